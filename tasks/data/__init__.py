"""Data sets as declarations, and the one loader of each kind."""
