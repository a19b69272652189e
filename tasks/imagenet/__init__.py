"""ImageNet at 256x256: its data, a latent diffusion transformer trained on it, and what is measured on one that forgets a class."""
