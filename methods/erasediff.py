"""EraseDiff: keep the retain loss low, subject to the forget loss being as low as it can get."""

from __future__ import annotations

import copy
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.optim import Adam

from ..benchmark.gradients import barrier, gradient_of
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along
from ..benchmark.problem import Batch, Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from ..benchmark.targets import noise_images


class EraseDiff(Method):
    """Bilevel: a copy learns noise for the forgotten label, and the model closes the gap to it while it retains.

    The gap's gradient enters with the smallest weight that still closes it (the dynamic barrier of BOME).
    """

    name = "erasediff"
    needs = frozenset({Need.RETAIN, Need.LABELS})
    paper = Paper("Erasing Undesirable Influence in Diffusion Models", "CVPR 2025", "https://arxiv.org/abs/2401.05779")
    update_rule = "q = L_f(theta) - L_f(phi), phi a few steps ahead;  theta <- theta - lr Adam(g_r + w g_q)"
    settings_source = (
        "The released CIFAR-10 code: Adam 1e-4, clip 1, eta 0.1, uniform noise, two inner steps, and as many steps as "
        "four epochs of its 4,500 retain samples have batches of 128."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Inner steps are on batches, not epochs, and the weight is that of the barrier instead of the code's fixed 0.1.",
    )
    pitfalls = "Noise comes out for the forgotten label, which retraining would not draw."

    steps: Steps = 140
    """Outer steps."""
    lr: Rate = 1e-4
    """Adam's learning rate, outer and inner."""
    inner_steps: int = 2
    """Steps that the copy goes ahead."""
    eta: Annotated[float, LogRange(0.01, 1.0)] = 0.1
    """The share of the gap that a step is asked to close."""

    def unlearn(self, problem: Problem) -> None:
        """Alternates between the copy's few steps and one step of the model."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            drop = problem.conditioned(step.forget)
            drop = drop.replace(images=noise_images(problem, drop.images, "uniform"))
            forget = problem.loss(drop).mean()
            gap = float(forget.detach()) - self._ahead(problem, drop)
            keep = gradient_of(problem, problem.loss(step.retain).mean())
            descend_along(optimizer, barrier(keep, gradient_of(problem, forget), self.eta * gap), clip=1.0)

    def _ahead(self, problem: Problem, drop: Batch) -> float:
        """Returns the forget loss that a copy reaches in a few steps."""
        ahead = copy.deepcopy(problem.model)
        optimizer = Adam(ahead.parameters(), lr=self.lr)
        loss: Tensor = torch.zeros(())
        for _ in range(self.inner_steps + 1):
            loss = problem.loss(drop, ahead).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())
