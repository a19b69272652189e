"""The problem of one-shot forgetting: a variational autoencoder to edit."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ...benchmark.needs import Need
from ...benchmark.problem import Batch, Problem
from . import vae


class OneShotProblem(Problem):
    """See ``Problem``. A batch's draw is the noise of its latents."""

    offers = frozenset({Need.RETAIN, Need.IMAGES, Need.ORACLE})
    value_range = (0.0, 1.0)

    def __init__(self, model: nn.Module, *args: Any, latent: int, **options: Any) -> None:
        super().__init__(model, *args, **options)
        self._latent = latent

    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.loss``: the negative evidence lower bound of the training run."""
        return vae.evidence_loss(model or self.model, batch.images, batch.draw["noise"])

    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.predict``: the reconstructed images, ``(B, C, H, W)``; the model knows no labels."""
        logits: Tensor = (model or self.model)(batch.images, batch.draw["noise"])[0]
        return torch.sigmoid(logits)

    def target(self, batch: Batch) -> Tensor:
        """See ``Problem.target``: the images."""
        self.require(Need.IMAGES)
        return batch.images

    def warm_up(self) -> None:
        """See ``Problem.warm_up``: a step on a copy of the model, on images of noise."""
        model = copy.deepcopy(self.model)
        images, _ = self._pools["forget"].sample(self.batch_size, torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam(model.parameters())
        noise = torch.zeros((len(images), self._latent), device=self.device)
        vae.evidence_loss(model, torch.rand(images.shape).to(self.device), noise).mean().backward()
        optimizer.step()

    def _draw(self, images: Tensor) -> dict[str, Tensor]:
        return {"noise": torch.randn((len(images), self._latent), generator=self._generator).to(self.device)}
