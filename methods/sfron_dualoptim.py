"""DualOptim on SFRon: the forget and the retain steps keep momenta of their own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam, Optimizer

from ..benchmark.method import Paper
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from .sfron import SFRon


class SFRonDualOptim(SFRon):
    """SFRon with two Adams. The moments of ascent and descent no longer cancel or drown each other."""

    name = "sfron-dualoptim"
    paper = Paper(
        "DualOptim: Enhancing Efficacy and Stability in Machine Unlearning with Dual Optimizers",
        "NeurIPS 2025",
        "https://arxiv.org/abs/2504.15827",
    )
    update_rule = "that of SFRon, with one Adam for the steps up and another for the steps down"
    settings_source = "The released CIFAR-10 settings: 1e-4 for both, 150 pairs of steps, scale 1, lambda 0.5, gamma 3."
    deviations: ClassVar[tuple[str, ...]] = SFRon.deviations
    pitfalls = (
        "With equal rates for both, as released, the class is still there after 50 pairs of steps on digits-ddpm."
    )

    steps: Steps = 150
    """Pairs of a forget and a retain step."""
    lr: Rate = 1e-4
    """Adam's learning rate in forget steps."""
    retain_lr: Rate = 1e-4
    """Adam's learning rate in retain steps."""
    scale: float = 1.0
    """Factor of the forget loss, decaying to zero along a cosine."""
    threshold: Annotated[float, LogRange(0.3, 10.0)] = 3.0
    """Smallest ratio of forget to retain Fisher information of a salient weight (the paper's gamma)."""

    def optimizers(self, problem: Problem) -> tuple[Optimizer, Optimizer]:
        """Returns one optimizer for each kind of step."""
        return Adam(problem.parameters(), lr=self.lr), Adam(problem.parameters(), lr=self.retain_lr)
