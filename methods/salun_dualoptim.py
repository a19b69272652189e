"""DualOptim on SalUn: relabelling and retaining take turns, each with a momentum of its own."""

from __future__ import annotations

from typing import ClassVar

from torch.optim import Adam

from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import Rate, Steps
from ..benchmark.targets import as_next_class
from .salun import SalUn
from .sfron_dualoptim import SFRonDualOptim


class SalUnDualOptim(SalUn):
    """SalUn with two Adams. A masked relabelling step and a masked retain step alternate."""

    name = "salun-dualoptim"
    paper = SFRonDualOptim.paper
    update_rule = "theta <- theta - lr_f Adam_f(M g_relabel);  theta <- theta - lr_r Adam_r(M g_r)"
    settings_source = "The released CIFAR-10 settings: 4e-5 and 1e-4, 150 pairs of steps, top 50 %."
    deviations: ClassVar[tuple[str, ...]] = (
        "The mask's gradient is that of the training loss, not of the guided prediction.",
    )

    steps: Steps = 150
    """Pairs of a forget and a retain step."""
    lr: Rate = 4e-5
    """Adam's learning rate in forget steps."""
    retain_lr: Rate = 1e-4
    """Adam's learning rate in retain steps."""
    retain_weight: float = 1.0
    """Weight of the retain loss; Adam makes nothing of it."""

    def unlearn(self, problem: Problem) -> None:
        """Computes the mask once, then alternates."""
        mask = self.mask(problem)
        forget = Adam(problem.parameters(), lr=self.lr)
        keep = Adam(problem.parameters(), lr=self.retain_lr)
        for step in problem.steps(self.steps):
            descend(forget, as_next_class(problem, step.forget).mean(), clip=1.0, mask=mask)
            descend(keep, self.retain_weight * problem.loss(step.retain).mean(), clip=1.0, mask=mask)
