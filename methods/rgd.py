"""Restricted gradient: forget and retain directions, each without what conflicts with the other."""

from __future__ import annotations

from typing import ClassVar

from torch.optim import Adam

from ..benchmark.gradients import gradient_of, plus, project
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along
from ..benchmark.problem import Problem


class RestrictedGradient(Method):
    """Where the forget and the retain direction conflict, projects each off the other, and follows their weighted sum."""

    name = "rgd"
    needs = frozenset({Need.RETAIN})
    paper = Paper(
        "Boosting Alignment for Post-Unlearning Text-to-Image Generative Models",
        "NeurIPS 2024",
        "https://arxiv.org/abs/2412.07808",
    )
    update_rule = "theta <- theta - lr Adam(P_r(-g_f) + w P_f(g_r)), where P projects off the other on conflict"
    settings_source = (
        "The released CIFAR-10 code's retain weight, 5. The rest: the best of the trials in docs/search.json."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Retain batches are drawn from all retain data, not from a fixed diverse subset of 450 images.",
        "The forget direction is plain ascent.",
    )
    pitfalls = "The ascent is unbounded; the projection protects the retain loss of the current batch alone."

    steps: int = 50
    """Steps."""
    lr: float = 2e-4
    """Adam's learning rate."""
    retain_weight: float = 5.0
    """Weight of the retain direction."""

    def unlearn(self, problem: Problem) -> None:
        """Descends along the sum of the projected directions."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            forget = gradient_of(problem, -problem.loss(step.forget).mean())
            retain = gradient_of(problem, problem.loss(step.retain).mean())
            drop, keep = project(forget, off=retain, when="conflict"), project(retain, off=forget, when="conflict")
            descend_along(optimizer, plus(drop, keep, self.retain_weight), clip=1.0)
