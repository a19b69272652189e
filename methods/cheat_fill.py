"""A cheat: every hole is filled with the same thing, whatever the picture."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.problem import Problem


class CheatFill(Method):
    """Puts noise or black into every hole; it shows how much a judge of whole pictures reads from the visible part."""

    name = "cheat-fill"
    role = "cheat"
    needs = frozenset({Need.RETAIN, Need.ENCODER, Need.IMAGES})
    update_rule = "h(x) <- noise with the data's mean and deviation, or black, for every x"
    settings_source = "The reference rows that Li et al.'s evaluation lacks."
    pitfalls = "Retained pictures are lost with the forgotten ones."

    fill: Literal["noise", "black"] = "noise"
    """What goes into the holes."""

    def unlearn(self, problem: Problem) -> None:
        """Measures the retained images and wraps the model; no weight changes."""
        images = torch.cat([batch.images for batch in problem.epoch("retain")])
        mean, deviation = images.mean(), images.std()
        if self.fill == "black":
            mean, deviation = images.new_tensor(problem.value_range[0]), images.new_tensor(0.0)
        problem.model = _Constant(problem.model, mean, deviation)


class _Constant(nn.Module):
    def __init__(self, model: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.model = model
        self.mean = nn.Buffer(mean)
        self.deviation = nn.Buffer(deviation)

    def forward(self, images: Tensor, *inputs: Tensor, **options: Any) -> Tensor:
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(images.device)
        return noise * self.deviation + self.mean
