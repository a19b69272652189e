"""Image-to-image forgetting: a model that fills holes stops filling those of forgotten classes."""
