"""What a run took and where: clock, counts, peaks, device, provenance."""
