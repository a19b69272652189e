"""Gradient ascent on the forget set."""

from __future__ import annotations

from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import Rate, Steps


class GradientAscent(Method):
    """Climbs the training loss of the forget set. Unbounded: it must stop before it wrecks the model."""

    name = "ascent"
    paper = Paper("Unrolling SGD: Understanding Factors Influencing Machine Unlearning", "EuroS&P 2022")
    update_rule = "theta <- theta + lr Adam(g_f)"
    settings_source = "Class-forgetting baselines of SFRon and SalUn: Adam 1e-5 to 1e-4, at most 50 steps, clip 1."
    pitfalls = "Nothing bounds it: a few steps too many and every class is noise."

    steps: Steps = 50
    """Steps on forget batches."""
    lr: Rate = 1e-5
    """Adam's learning rate."""

    def unlearn(self, problem: Problem) -> None:
        """Ascends on forget batches."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for forget in problem.batches("forget", self.steps):
            descend(optimizer, -problem.loss(forget).mean(), clip=1.0)
