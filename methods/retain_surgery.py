"""Retain-side surgery: descend on the retain loss without its part along the forget gradient."""

from __future__ import annotations

from typing import ClassVar

from torch.optim import Adam, Optimizer

from ..benchmark.gradients import gradient_of, project
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along
from ..benchmark.problem import Problem, Step
from ..benchmark.search_space import Rate, Steps


class RetainSurgery(Method):
    """Descends on the retain gradient projected off the forget gradient. It forgets by keeping on learning the rest."""

    name = "retain-surgery"
    needs = frozenset({Need.RETAIN})
    paper = Paper(
        "UNO: Unlearning via Orthogonalization in Generative Models", "arXiv 2025", "https://arxiv.org/abs/2506.04712"
    )
    update_rule = "theta <- theta - lr Adam(g_r - <g_r, g_f> / |g_f|^2 g_f)"
    settings_source = (
        "The released MNIST code: Adam 1e-3, one projection for all weights, on every step, and as many steps as are "
        "reported there until the class is gone. The released rate for DiT is 1e-4."
    )
    deviations: ClassVar[tuple[str, ...]] = ("A fixed number of steps instead of a stop at a forget share.",)
    pitfalls = "Slow: nothing pushes the class out, it fades as in fine-tuning, and after few steps it is still there."

    steps: Steps = 150
    """Steps."""
    lr: Rate = 1e-3
    """Adam's learning rate."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the projected retain gradient."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            surgery_step(problem, step, optimizer)


def surgery_step(problem: Problem, step: Step, optimizer: Optimizer) -> None:
    """Takes one step on the retain gradient projected off the forget gradient."""
    forget = gradient_of(problem, problem.loss(step.forget).mean())
    retain = gradient_of(problem, problem.loss(step.retain).mean())
    descend_along(optimizer, project(retain, off=forget), clip=1.0)
