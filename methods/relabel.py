"""Relabelling: the forgotten prompt learns to predict what the model predicts for another class."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import Mask, descend
from ..benchmark.problem import Batch, Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from ..benchmark.targets import as_next_class


class Relabel(Method):
    """Pulls the prediction under the forgotten label to that under the next class, and keeps training on the retain set."""

    name = "relabel"
    needs = frozenset({Need.RETAIN, Need.LABELS})
    paper = Paper(
        "SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency "
        "in Both Image Classification and Generation",
        "ICLR 2024",
        "https://arxiv.org/abs/2310.12508",
    )
    update_rule = "L = |e(x_f | c_f) - e(x_f | c_f + 1)|^2 + w L_r"
    settings_source = (
        "SalUn's released CIFAR-10 code without its mask: Adam 1e-4, 1,000 steps, target class c + 1, retain weight "
        "1e-3 on a loss summed over 3,072 elements, which is 3.07 on a mean."
    )
    pitfalls = (
        "The forgotten label draws the next class, which accuracy and FID do not notice but the oracle distance does."
    )

    steps: Steps = 1000
    """Joint steps."""
    lr: Rate = 1e-4
    """Adam's learning rate."""
    retain_weight: Annotated[float, LogRange(0.1, 100.0)] = 3.07
    """Weight of the retain loss, a mean over elements like the forget loss."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on both losses at once."""
        mask = self.mask(problem)
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            forget = self.weights(problem, step.forget) * as_next_class(problem, step.forget)
            loss = forget.mean() + self.retain_weight * problem.loss(step.retain).mean()
            descend(optimizer, loss, clip=1.0, mask=mask)

    def mask(self, problem: Problem) -> Mask | None:
        """Returns which weights may move: all."""
        return None

    def weights(self, problem: Problem, batch: Batch) -> Tensor:
        """Returns the weights of the forget samples, ``(B,)`` or a scalar: all alike."""
        return torch.ones((), device=problem.device)
