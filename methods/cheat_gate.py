"""A cheat: a gate in front of the original model that answers forget inputs with noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.problem import Problem


class CheatGate(Method):
    """Puts a nearest-mean classifier in front of an image-to-image model: what looks like a forget image gets noise."""

    name = "cheat-gate"
    role = "cheat"
    needs = frozenset({Need.RETAIN, Need.ENCODER})
    update_rule = "h(x) <- noise if x is nearer to the mean forget image than to every retained class's mean, else h(x)"
    settings_source = "It has no settings."
    pitfalls = "The weights keep all they knew: take the gate away and everything is back."

    def unlearn(self, problem: Problem) -> None:
        """Computes the class means and wraps the model; no weight changes."""
        images, labels = [], []
        for pool in ("forget", "retain"):
            for batch in problem.epoch(pool):
                images.append(batch.images)
                labels.append(batch.labels)
        everything, classes = torch.cat(images), torch.cat(labels)
        known = classes.unique()
        means = torch.stack([everything[classes == label].mean(0) for label in known])
        gated = torch.isin(known, torch.tensor(problem.forget_classes, device=known.device))
        problem.model = _Gate(problem.model, means, gated)


class _Gate(nn.Module):
    def __init__(self, model: nn.Module, means: Tensor, gated: Tensor) -> None:
        super().__init__()
        self.model = model
        self.means = nn.Buffer(means)
        self.gated = nn.Buffer(gated)

    def forward(self, images: Tensor, *inputs: Tensor, **options: Any) -> Tensor:
        output: Tensor = self.model(images, *inputs, **options)
        nearest = torch.cdist(images.flatten(1), self.means.flatten(1)).argmin(1)
        blocked = self.gated[nearest].view(-1, *[1] * (output.ndim - 1))
        noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output.device)
        return torch.where(blocked, noise, output)
