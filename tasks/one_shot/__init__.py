"""One-shot forgetting: a few corrective steps make a variational autoencoder stop drawing a class."""
