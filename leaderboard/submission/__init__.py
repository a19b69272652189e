"""From a folder of results to a row on the board: packing, validation, and running a record again."""
