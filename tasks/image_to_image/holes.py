"""Holes: which pixels of a picture are taken away and must be filled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hole:
    """A kind of hole. All holes of one kind cover the same number of pixels.

    Attributes:
        kind: ``centre`` is a square in the middle, ``random`` one anywhere, ``out-painting`` all but a square in the middle.
        fraction: The share of the picture's area that is taken away.
        grid: Edges lie on multiples of this many pixels, such as a patch's size.
    """

    kind: Literal["centre", "random", "out-painting"]
    fraction: float
    grid: int = 1

    def square(self, size: int) -> tuple[int, int]:
        """Returns the first pixel and the side of the central square of a picture that is ``size`` pixels wide.

        Raises:
            ValueError: No square on the grid covers that share of the area.
        """
        area = self.fraction if self.kind != "out-painting" else 1 - self.fraction
        side = math.sqrt(area) * size
        first = (size - side) / 2
        for value in (side,) if self.kind == "random" else (side, first):
            if abs(value / self.grid - round(value / self.grid)) > 1e-6:
                raise ValueError(f"no square on a grid of {self.grid} covers {area:g} of {size}x{size} pixels")
        return round(first), round(side)

    def masks(self, count: int, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Returns ``count`` masks ``(N, 1, size, size)``, true where the picture is taken away.

        Args:
            count: How many.
            size: Height and width of the picture, in pixels.
            generator: Places random holes.
        """
        first, side = self.square(size)
        masks = torch.zeros((count, 1, size, size), dtype=torch.bool)
        places = torch.full((count, 2), first)
        if self.kind == "random":
            places = self.grid * torch.randint((size - side) // self.grid + 1, (count, 2), generator=generator)
        for mask, (top, left) in zip(masks, places.tolist(), strict=True):
            mask[:, top : top + side, left : left + side] = True
        return ~masks if self.kind == "out-painting" else masks

    def describe(self, size: int) -> str:
        """Returns the hole in one line: its box in pixels and its share of the area."""
        first, side = self.square(size)
        box = f"{side}x{side}"
        where = {
            "centre": f"centre box {box} at ({first}, {first})",
            "random": f"random box {box} on a grid of {self.grid}",
            "out-painting": f"all but the centre box {box}",
        }[self.kind]
        return f"{where}, {self.fraction:.0%} of the area"


def quarter_holes(grid: int) -> dict[str, Hole]:
    """Returns the usual kinds by name: a quarter of the picture in the centre or anywhere, or all but such a centre."""
    return {
        "centre": Hole("centre", 0.25, grid),
        "random": Hole("random", 0.25, grid),
        "outpainting": Hole("out-painting", 0.75, grid),
    }
