"""Class forgetting in class-conditional diffusion models with classifier-free guidance."""
