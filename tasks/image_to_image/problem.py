"""The problem of image-to-image forgetting: a network that fills holes, to edit."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.needs import Need
from ...benchmark.problem import Batch, Problem
from .holes import Hole
from .inpainter import Filling, Inpainter, blank


class ImageToImageProblem(Problem):
    """See ``Problem``. A batch's draw is its holes, and what the network's training loss draws beside."""

    offers = frozenset({Need.RETAIN, Need.IMAGES, Need.ENCODER, Need.ORACLE})

    def __init__(self, model: nn.Module, *args: Any, filling: Filling, holes: tuple[Hole, ...], **options: Any) -> None:
        super().__init__(model, *args, **options)
        self._filling = filling
        self._holes = holes

    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.loss``: the mean over the hole."""
        return self._filling.error(self._predicted(batch, model), batch.images, batch.draw["hole"], batch.draw)

    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.predict``: what stands outside the hole does not depend on the model; it knows no labels."""
        return self._filling.inside(self._predicted(batch, model), batch.images, batch.draw["hole"], batch.draw)

    def target(self, batch: Batch) -> Tensor:
        """See ``Problem.target``."""
        self.require(Need.IMAGES)
        return batch.images

    def encoder(self) -> nn.Module:
        """See ``Problem.encoder``."""
        self.require(Need.ENCODER)
        return _inpainter(self.model).encoder

    def warm_up(self) -> None:
        """See ``Problem.warm_up``: a step on a copy of the model, on images of noise."""
        model = copy.deepcopy(self.model)
        images, labels = self._pools["forget"].sample(self.batch_size, torch.Generator().manual_seed(0))
        images = torch.rand(images.shape).mul(2).sub(1).to(self.device)
        dummy = Batch(images, labels.to(self.device), self._draw_with(images, torch.Generator().manual_seed(0)))
        optimizer = torch.optim.Adam(model.parameters())
        self.loss(dummy, model).mean().backward()
        optimizer.step()

    def _predicted(self, batch: Batch, model: nn.Module | None) -> Tensor:
        predicted: Tensor = (model or self.model)(*self._seen(batch), **self._inputs(batch))
        return predicted

    def _encode(self, batch: Batch, model: nn.Module) -> Tensor:
        return _inpainter(model).encode(*self._seen(batch), **self._inputs(batch))

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return blank(batch.images, batch.draw["hole"]), batch.draw["hole"]

    def _inputs(self, batch: Batch) -> dict[str, Tensor]:
        return self._filling.inputs(batch.images, batch.draw["hole"], batch.draw)

    def _draw(self, images: Tensor) -> dict[str, Tensor]:
        return self._draw_with(images, self._generator)

    def _draw_with(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return draw_holes(self._filling, self._holes, images, generator)


def draw_holes(
    filling: Filling, holes: tuple[Hole, ...], images: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draws one kind of hole for the batch, a hole of it for every image, and what the training loss draws beside."""
    kind = holes[int(torch.randint(len(holes), (), generator=generator))]
    masks = kind.masks(len(images), images.shape[-1], generator)
    draw = {"hole": masks, **filling.draw(images, generator)}
    return {name: value.to(images.device) for name, value in draw.items()}


def _inpainter(model: nn.Module) -> Inpainter:
    if not isinstance(model, Inpainter):
        raise BenchmarkError(
            f"The method asks for the encoder after it replaced the model by a {type(model).__name__}; ask before."
        )
    return model
