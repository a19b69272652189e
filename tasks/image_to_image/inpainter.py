"""What a network that fills holes can do, so that methods and evaluation need not know which network it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

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
    def forward(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """Returns the prediction, ``(B, C, H, W)``: images, or what ``target`` says. Outside the hole it means nothing."""

    @abstractmethod
    def encode(self, visible: Tensor, hole: Tensor, **draw: Tensor) -> Tensor:
        """Returns the encoder's embedding of what is visible, ``(B, ...)``."""

    @staticmethod
    def draw(images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns what the training loss draws at random beside the hole."""
        return {}

    @staticmethod
    def inputs(images: Tensor, hole: Tensor, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns what ``forward`` is given beside the blanked images and the hole."""
        return {}

    @staticmethod
    def target(images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Returns what the training loss compares the prediction with."""
        return images

    @staticmethod
    def fill(model: nn.Module, visible: Tensor, hole: Tensor, seed: int) -> Tensor:
        """Returns the images with their holes filled, by a model with this class's call, in [-1, 1]."""
        filled: Tensor = model(visible, hole)
        return torch.where(hole, filled.clamp(-1, 1), visible)


def blank(images: Tensor, hole: Tensor) -> Tensor:
    """Returns the images with zeros, a middle grey, in their holes."""
    return images.masked_fill(hole, 0.0)
