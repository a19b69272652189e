"""NegGrad+: ascent on the forget set and descent on the retain set, in one loss."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps


class NegGradPlus(Method):
    """Descends on ``retain loss - alpha * forget loss``."""

    name = "neggrad-plus"
    needs = frozenset({Need.RETAIN})
    paper = Paper("Towards Unbounded Machine Unlearning", "NeurIPS 2023", "https://arxiv.org/abs/2302.09880")
    update_rule = "theta <- theta - lr Adam(g_r - alpha g_f)"
    settings_source = (
        "Adam 1e-4, clip 1, 150 steps, as in the class-forgetting baselines of SFRon. Alpha is ours, the "
        "middle of what a search may set."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Weighs the retain loss with 1 and the forget loss with alpha instead of with beta and 1 - beta.",
    )
    pitfalls = "The balance is fragile: alpha decides between nothing forgotten and a wrecked model."

    steps: Steps = 150
    """Joint steps."""
    lr: Rate = 1e-4
    """Adam's learning rate."""
    alpha: Annotated[float, LogRange(0.01, 1.0)] = 0.1
    """Weight of the forget loss."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the difference of the losses."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            loss = problem.loss(step.retain).mean() - self.alpha * problem.loss(step.forget).mean()
            descend(optimizer, loss, clip=1.0)
