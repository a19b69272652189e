"""What a network that fills holes can do, so that methods and evaluation need not know which network it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Inpainter(nn.Module, ABC):
    """A network that fills holes. Images are in [-1, 1], ``(B, C, H, W)``; holes are ``(B, 1, H, W)``, true where to fill.

    Whatever stands in the hole of an image that is to be filled has been blanked before the network sees it.
    """

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The part that embeds what is visible; the rest is the decoder."""

    @abstractmethod
    def forward(self, visible: Tensor, hole: Tensor, **inputs: Tensor) -> Tensor:
        """Returns the prediction, ``(B, ...)``, that ``Filling.error`` judges. Outside the hole it means nothing."""

    @abstractmethod
    def encode(self, visible: Tensor, hole: Tensor, **inputs: Tensor) -> Tensor:
        """Returns the encoder's embedding of what is visible, ``(B, ...)``."""


class Filling(Protocol):
    """How a kind of in-painter is trained and how it is asked to fill: all that lies around the network's call."""

    def draw(self, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns what the training loss draws at random beside the hole."""
        ...

    def inputs(self, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns what the network is given beside the blanked images and the hole."""
        ...

    def error(self, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Returns the training loss, ``(B,)``: the mean over the hole."""
        ...

    def inside(self, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Returns the prediction with everything that the loss does not look at replaced by what no weight moves."""
        ...

    def fill(self, model: nn.Module, visible: Tensor, hole: Tensor, seed: int) -> Tensor:
        """Returns the images with their holes filled, by a model with the in-painter's call, in [-1, 1]."""
        ...


class PixelFilling:
    """See ``Filling``: a prediction of the images' shape, compared in squares; images themselves unless overridden."""

    @staticmethod
    def draw(images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``Filling.draw``: nothing."""
        return {}

    @staticmethod
    def inputs(images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See ``Filling.inputs``: nothing."""
        return {}

    @staticmethod
    def target(images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Returns what the training loss compares the prediction with."""
        return images

    @classmethod
    def error(cls, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """See ``Filling.error``: the mean squared error inside the hole."""
        return hole_error(predicted, cls.target(images, draw), hole)

    @classmethod
    def inside(cls, predicted: Tensor, images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """See ``Filling.inside``: the target outside the hole."""
        return torch.where(hole, predicted, cls.target(images, draw))

    @classmethod
    def fill(cls, model: nn.Module, visible: Tensor, hole: Tensor, seed: int) -> Tensor:
        """See ``Filling.fill``: in one pass."""
        filled: Tensor = model(visible, hole)
        return torch.where(hole, filled.clamp(-1, 1), visible)


def blank(images: Tensor, hole: Tensor) -> Tensor:
    """Returns the images with zeros, a middle grey, in their holes."""
    return images.masked_fill(hole, 0.0)


def hole_error(predicted: Tensor, target: Tensor, hole: Tensor) -> Tensor:
    """Returns the mean squared error inside the holes, ``(B,)``."""
    errors = (predicted - target).square() * hole
    return errors.flatten(1).sum(1) / (hole.flatten(1).sum(1) * predicted.shape[1])
