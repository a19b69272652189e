"""Searches for the settings of methods: the same number of trials for all, by the board's own score."""
