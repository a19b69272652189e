"""What stays on disk: records, assets, and the folders that they lie in."""
