"""ImageNet at 256x256: its data, a latent diffusion transformer that forgets one of its classes, and what is measured."""
