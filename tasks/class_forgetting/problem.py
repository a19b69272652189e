"""The problem of class forgetting: a class-conditional noise predictor to edit."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ...benchmark.needs import Need
from ...benchmark.problem import Batch, Problem
from . import diffusion
from .label_tables import label_tables
from .sampler import Sampler


class ClassForgettingProblem(Problem):
    """See ``Problem``. A batch's draw is its noise, its time steps, and which of its labels are dropped."""

    offers = frozenset({Need.RETAIN, Need.LABELS, Need.GUIDANCE, Need.GENERATOR, Need.LABEL_TABLES, Need.ORACLE})

    def __init__(self, model: nn.Module, *args: Any, sampler: Sampler, **options: Any) -> None:
        super().__init__(model, *args, **options)
        self._schedule = diffusion.noise_schedule()
        self._sampler = sampler
        self._shape = next(self._pools["forget"].ordered(1))[0].shape[1:]

    @property
    def null_label(self) -> int:
        """See ``Problem.null_label``."""
        self.require(Need.GUIDANCE)
        return self.num_classes

    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.loss``: the denoising loss of the training run, dropped labels included."""
        return diffusion.denoising_loss(
            model or self.model, self._schedule, batch.images, batch.labels, batch.draw, self.num_classes
        )

    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.predict``: the noise prediction, ``(B, C, H, W)``."""
        if labels is not None:
            self.require(Need.LABELS)
        draw = batch.draw
        noisy = self._schedule.add_noise(batch.images, draw["noise"], draw["timesteps"])
        conditions = diffusion.condition(batch.labels if labels is None else labels, draw, self.num_classes)
        return diffusion.predict_noise(model or self.model, noisy, draw["timesteps"], conditions)

    def conditioned(self, batch: Batch) -> Batch:
        """See ``Problem.conditioned``."""
        draw = dict(batch.draw, dropped=torch.zeros_like(batch.draw["dropped"]))
        return Batch(batch.images, batch.labels, draw)

    def label_tables(self) -> list[nn.Parameter]:
        """See ``Problem.label_tables``."""
        self.require(Need.LABEL_TABLES)
        return label_tables(self.model, self.num_classes)

    def _generate(self, labels: Tensor, model: nn.Module, seed: int) -> Tensor:
        images = self._sampler.sample(model, labels, self.num_classes, self._shape, seed)
        return images.to(self.device) / 127.5 - 1

    def warm_up(self) -> None:
        """See ``Problem.warm_up``: a step on a copy of the model, on images of noise."""
        model = copy.deepcopy(self.model)
        images, labels = self._pools["forget"].sample(self.batch_size, torch.Generator().manual_seed(0))
        images = torch.randn(images.shape, device=self.device)
        draw = diffusion.draw_corruption(images, torch.Generator().manual_seed(0))
        dummy = Batch(images, torch.zeros_like(labels, device=self.device), draw)
        optimizer = torch.optim.Adam(model.parameters())
        self.loss(dummy, model).mean().backward()
        optimizer.step()

    def _draw(self, images: Tensor) -> dict[str, Tensor]:
        return diffusion.draw_corruption(images, self._generator)
