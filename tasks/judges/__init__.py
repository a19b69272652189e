"""Independent classifiers and feature extractors that score samples."""
