"""EUPMU-style constrained relabelling: forget as long as the retain loss stays within its bound."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from ..benchmark.targets import as_next_class


class EUPMU(Method):
    """Relabels under a bound on the retain loss. A multiplier grows while the bound is broken and falls while it holds.

    Our reconstruction: one backward pass a step, the multiplier updated from loss values alone.
    """

    name = "eupmu"
    rebuilt = True
    needs = frozenset({Need.RETAIN, Need.LABELS})
    paper = Paper(
        "Efficient Utility-Preserving Machine Unlearning with Implicit Gradient Surgery",
        "NeurIPS 2025",
        "https://arxiv.org/abs/2510.22124",
    )
    update_rule = "theta <- theta - lr Adam(g_relabel + m g_r);  m <- max(0, m + rate (L_r / ((1 + slack) L_r0) - 1))"
    settings_source = (
        "Adam 1e-4 as for relabelling, whose retain weight is where the multiplier starts; its rate, the slack and the "
        "steps are ours."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Written from the abstract and secondary descriptions; the released code could not be read.",
        "The retain loss is compared with a running mean of the original's on the same batches.",
    )
    pitfalls = "Batch noise moves the multiplier: with a slack near zero it grows until nothing is forgotten."

    steps: Steps = 150
    """Joint steps."""
    lr: Rate = 1e-4
    """Adam's learning rate."""
    multiplier: float = 3.07
    """Weight of the retain loss to begin with."""
    rate: float = 1.0
    """How fast the multiplier follows the broken bound."""
    slack: Annotated[float, LogRange(0.005, 0.5)] = 0.05
    """How much larger than the original's the retain loss may be."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the Lagrangian and climbs in the multiplier."""
        multiplier, bound, original = self.multiplier, 0.0, problem.original
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            reference = float(problem.loss(step.retain, original).mean())
            bound += ((1 + self.slack) * reference - bound) / (step.number + 1)
            retain = problem.loss(step.retain).mean()
            descend(optimizer, as_next_class(problem, step.forget).mean() + multiplier * retain, clip=1.0)
            multiplier = max(0.0, multiplier + self.rate * (float(retain.detach()) / bound - 1))
