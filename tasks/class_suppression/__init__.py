"""Class forgetting without an oracle, on latent diffusion transformers."""
