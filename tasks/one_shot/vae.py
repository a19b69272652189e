"""A variational autoencoder of fully connected layers (Kingma and Welling, 2014), its loss and its sampler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.errors import Diverged
from ...benchmark.problem import Pool
from ..training import loop
from ..training.checkpoint import Checkpoint
from ..training.loop import Descent
from ..training.recipe import TrainingRecipe


class Reconstruction(NamedTuple):
    """What a pass through the model gives."""

    logits: Tensor
    """``(B, C, H, W)``: of the pixels as Bernoulli variables."""
    mean: Tensor
    """``(B, Z)``: of the latent's posterior."""
    log_variance: Tensor
    """``(B, Z)``: of the latent's posterior."""


class VAE(nn.Module):
    """Encoder and decoder with one hidden layer each, over images in [0, 1].

    Args:
        shape: ``(C, H, W)`` of an image.
        hidden: Units of the hidden layers.
        latent: Dimensions of the latent space.
    """

    def __init__(self, shape: tuple[int, int, int], hidden: int, latent: int) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        self.shape, self.latent = shape, latent
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes images ``(B, C, H, W)``, draws the latent with standard normal noise ``(B, Z)``, decodes it."""
        mean, log_variance = self.encoder(images.flatten(1)).chunk(2, dim=1)
        logits = self.decode(mean + noise * torch.exp(0.5 * log_variance))
        return Reconstruction(logits, mean, log_variance)

    def decode(self, latent: Tensor) -> Tensor:
        """Maps latents ``(B, Z)`` to logits ``(B, C, H, W)``."""
        logits: Tensor = self.decoder(latent).view(-1, *self.shape)
        return logits


def evidence_loss(model: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
    """Returns the negative evidence lower bound in nats, ``(B,)``, divided by the number of an image's elements."""
    logits, mean, log_variance = model(images, noise)
    error = nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    bound: Tensor = (error + divergence) / images[0].numel()
    return bound


@torch.inference_mode()
def sample(model: nn.Module, count: int, latent: int, seed: int) -> Tensor:
    """Draws images from the prior, as bytes ``(N, C, H, W)``: the means of their pixels, rounded.

    Raises:
        Diverged: An image is not finite.
    """
    device = next(model.parameters()).device
    noise = torch.randn((count, latent), generator=torch.Generator().manual_seed(seed)).to(device)
    images = torch.sigmoid(model.decode(noise))  # type: ignore[operator]
    if not torch.isfinite(images).all():
        raise Diverged("the model draws images that are not finite")
    pixels: Tensor = (images * 255).round().to(torch.uint8)
    return pixels.cpu()


def train(
    model: nn.Module,
    pool: Pool,
    latent: int,
    recipe: TrainingRecipe,
    seed: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
) -> dict[str, Tensor]:
    """Trains with Adam and returns the weights."""

    def loss(network: nn.Module, images: Tensor, _: Tensor, generator: torch.Generator) -> Tensor:
        return evidence_loss(network, images, torch.randn((len(images), latent), generator=generator)).mean()

    trained = loop.train(
        model,
        partial(pool.sample, recipe.batch_size),
        loss,
        Descent(partial(torch.optim.Adam, lr=recipe.lr)),
        steps=recipe.steps,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
        checkpoint=checkpoint,
    )
    return trained.state_dict()
