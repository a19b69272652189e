"""Gradient surgery for one-shot unlearning: climb the forget loss where the retain loss does not notice."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from torch.optim import SGD, Adam

from ..benchmark.gradients import Scope, When, gradient_of, project
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along
from ..benchmark.problem import Problem
from ..benchmark.search_space import Choice, LogRange, Steps


class GradientSurgery(Method):
    """Climbs the forget gradient after projecting it onto the normal plane of the retain gradient.

    One corrective step, or a few: to first order the retain loss does not move.
    """

    name = "gradient-surgery"
    needs = frozenset({Need.RETAIN})
    paper = Paper(
        "Gradient Surgery for One-shot Unlearning on Generative Model",
        "ICML 2023 workshop on Generative AI and Law",
        "https://arxiv.org/abs/2307.04550",
    )
    update_rule = "theta <- theta + lr (g_f - <g_f, g_r> / |g_r|^2 g_r)"
    settings_source = (
        "No numbers are public. Plain SGD, for which the projection keeps its promise, 10 steps, clip 1, and a rate that is "
        "the middle of what a search may set are ours."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "No code is public: the projection is written from the abstract, with the retain gradient of one batch.",
    )
    pitfalls = (
        "Unbounded along every direction that one retain batch does not see. Under Adam the projection no longer "
        "holds, and the model is wrecked within a few steps."
    )

    steps: Steps = 10
    """Corrective steps; 1 is one-shot."""
    lr: Annotated[float, LogRange(1e-4, 1.0)] = 0.01
    """The optimizer's learning rate."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD keeps the projection's promise; Adam is what replications used."""
    when: Annotated[When, Choice(("always", "conflict"))] = "always"
    """``conflict`` projects only where climbing would raise the retain loss."""
    scope: Scope = "global"
    """What is projected as one vector."""

    def unlearn(self, problem: Problem) -> None:
        """Climbs the projected forget gradient."""
        optimizer = {"sgd": SGD, "adam": Adam}[self.optimizer](problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            down = gradient_of(problem, -problem.loss(step.forget).mean())
            retain = gradient_of(problem, problem.loss(step.retain).mean())
            projected = project(down, off=retain, when=self.when, scope=self.scope, layers=problem.layers())
            descend_along(optimizer, projected, clip=1.0)
