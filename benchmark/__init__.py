"""The ground floor: contracts, registry, runner, timing, metrics, statistics and the record. Imports no other folder."""
