"""From records to a ranking to a static site. Needs pandas and SciPy, no PyTorch."""
