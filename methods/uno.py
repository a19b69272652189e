"""UNO: unlearning by making the retain and the forget gradient orthogonal."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam

from ..benchmark.gradients import gradient_of, squared_cosine, twice_differentiable
from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from .retain_surgery import RetainSurgery, surgery_step


class UNO(Method):
    """Descends on the retain loss and on the squared cosine between the retain and the forget gradient.

    Costs a second derivative a step.
    """

    name = "uno"
    needs = frozenset({Need.RETAIN})
    paper = RetainSurgery.paper
    update_rule = "L = L_r + beta cos^2(g_r, g_f), differentiated twice"
    settings_source = (
        "The released MNIST code: Adam 1e-3, and a beta of 1e5 on a loss summed over 128 pictures of 784 elements, which is 1 "
        "on a mean. It stops after 2.7 steps on average."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        *RetainSurgery.deviations,
        "No term for the uniformity of classes: the code reads it from a classifier of what is drawn.",
    )
    pitfalls = (
        "Orthogonal gradients do not imply that the class is gone; the second derivative doubles time and memory."
    )

    steps: Steps = 3
    """Steps."""
    lr: Rate = 1e-3
    """Adam's learning rate."""
    beta: Annotated[float, LogRange(0.01, 100.0)] = 1.0
    """Weight of the squared cosine."""
    alternate: bool = False
    """Whether every second step is one of retain-side surgery (the paper's UNO-S)."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the penalized retain loss."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            if self.alternate and step.number % 2:
                surgery_step(problem, step, optimizer)
                continue
            with twice_differentiable():
                retain = problem.loss(step.retain).mean()
                forget = problem.loss(step.forget).mean()
                keep, drop = (gradient_of(problem, loss, differentiable=True) for loss in (retain, forget))
                descend(optimizer, retain + self.beta * squared_cosine(keep, drop), clip=1.0)
