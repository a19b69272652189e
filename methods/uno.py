"""UNO: unlearning by making the retain and the forget gradient orthogonal."""

from __future__ import annotations

from torch.optim import Adam

from ..benchmark.gradients import gradient_of, squared_cosine, twice_differentiable
from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from .retain_surgery import RetainSurgery


class UNO(Method):
    """Descends on the retain loss and on the squared cosine between the retain and the forget gradient.

    Costs a second derivative a step.
    """

    name = "uno"
    needs = frozenset({Need.RETAIN})
    paper = RetainSurgery.paper
    update_rule = "L = L_r + beta cos^2(g_r, g_f), differentiated twice"
    settings_source = "Adam, as in the released code. The rest: the best of the trials in docs/search.json."
    deviations = RetainSurgery.deviations
    pitfalls = (
        "Orthogonal gradients do not imply that the class is gone; the second derivative doubles time and memory."
    )

    steps: int = 20
    """Steps."""
    lr: float = 1e-4
    """Adam's learning rate."""
    beta: float = 1.0
    """Weight of the squared cosine."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the penalized retain loss."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            with twice_differentiable():
                retain = problem.loss(step.retain).mean()
                forget = problem.loss(step.forget).mean()
                keep, drop = (gradient_of(problem, loss, differentiable=True) for loss in (retain, forget))
                descend(optimizer, retain + self.beta * squared_cosine(keep, drop), clip=1.0)
