"""ESD for class-conditional models: the forgotten label steers the model away from what it used to draw."""

from __future__ import annotations

from typing import ClassVar

from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.targets import away_from_label


class ESD(Method):
    """Teaches the forgotten label the negatively guided prediction of the original. Retain data is not used."""

    name = "esd"
    needs = frozenset({Need.LABELS, Need.GUIDANCE})
    paper = Paper("Erasing Concepts from Diffusion Models", "ICCV 2023", "https://arxiv.org/abs/2303.07345")
    update_rule = "L = |e(x_f | c_f) - (e0(x_f) - s (e0(x_f | c_f) - e0(x_f)))|^2, e0 the original"
    settings_source = (
        "Strength 1, the default for text-to-image models; all weights. "
        "The rest: the best of the trials in docs/search.json."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Published for text prompts; a class label takes the prompt's place and real forget images that of its samples.",
    )
    pitfalls = "Nothing holds the other labels: their FID grows with every step that forgets."

    steps: int = 100
    """Steps on forget batches."""
    lr: float = 1e-5
    """Adam's learning rate."""
    strength: float = 1.0
    """How far beyond the unconditional prediction to go (the paper's eta)."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the error to the guided target, computed by the frozen original."""
        problem.original  # noqa: B018 - it is copied before the first update
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for forget in problem.batches("forget", self.steps):
            descend(optimizer, away_from_label(problem, forget, self.strength).mean(), clip=1.0)
