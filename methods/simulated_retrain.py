"""A simulated retraining, for tasks where nobody retrains: the forgotten label means nothing any more."""

from __future__ import annotations

from typing import ClassVar

import torch

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.problem import Problem


class SimulatedRetrain(Method):
    """Replaces the forgotten labels' embeddings by random ones, as a label that was never trained would have.

    It stands in for the oracle where there is none, and it is no oracle: all other weights still know the class.
    """

    name = "simulated-retrain"
    role = "reference"
    needs = frozenset({Need.LABEL_TABLES})
    paper = Paper(
        "Unified Gradient-Based Machine Unlearning with Remain Geometry Enhancement",
        "NeurIPS 2024",
        "https://arxiv.org/abs/2409.19732",
    )
    update_rule = "E[c_f] <- N(0, s^2), in every table of label embeddings"
    settings_source = "The deviation that label embeddings are initialized with in DiT's released code, 0.02."
    deviations: ClassVar[tuple[str, ...]] = (
        "The paper's row for retraining on ImageNet is reported to be made like this; its draw is not published.",
    )
    pitfalls = (
        "The class stays in the weights and comes back with the embedding, so it bounds nothing but the label's effect."
    )

    deviation: float = 0.02
    """Standard deviation of the random embeddings."""

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """Draws one random row a table and forgotten label."""
        for table in problem.label_tables():
            for label in problem.forget_classes:
                table[label] = self.deviation * problem.random_like(table[label])
