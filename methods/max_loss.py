"""Max loss: Li et al.'s baseline that climbs the forget loss of the whole model."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch import Tensor
from torch.optim import Adam

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem, Step
from ..benchmark.search_space import LogRange, Rate, Steps
from .li2024 import Li2024


class MaxLoss(Method):
    """Trains the whole model on the retain loss minus a share of the forget loss."""

    name = "max-loss"
    needs = frozenset({Need.RETAIN, Need.IMAGES})
    paper = Li2024.paper
    update_rule = "L = L_r - alpha L_f"
    settings_source = (
        "The released code: alpha 0.25, Adam (0.9, 0.95), clip 3, and the rate and steps of their own method here."
    )
    deviations: ClassVar[tuple[str, ...]] = ("No weight decay, as for Li et al.'s method here.",)
    pitfalls = "The forget loss has no upper bound; the whole model drifts."

    steps: Steps = 1000
    """Joint steps."""
    lr: Rate = 5e-5
    """Adam's learning rate."""
    alpha: Annotated[float, LogRange(0.01, 10.0)] = 0.25
    """Weight of the forget term."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the retain loss and the weighted forget term."""
        problem.original  # noqa: B018 - it is copied before the first update
        optimizer = Adam(problem.parameters(), lr=self.lr, betas=(0.9, 0.95))
        for step in problem.steps(self.steps):
            loss = problem.loss(step.retain).mean() + self.alpha * self.forget(problem, step).mean()
            descend(optimizer, loss, clip=3.0)

    def forget(self, problem: Problem, step: Step) -> Tensor:
        """Returns the forget term, ``(B,)``: the negative loss."""
        return -problem.loss(step.forget)
