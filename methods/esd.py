"""ESD for class-conditional models: the forgotten label steers the model away from what it used to draw."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from torch import nn
from torch.optim import Adam

from ..benchmark.errors import BenchmarkError
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from ..benchmark.targets import away_from_label


class ESD(Method):
    """Teaches the forgotten label the negatively guided prediction of the original. Retain data is not used."""

    name = "esd"
    needs = frozenset({Need.LABELS, Need.GUIDANCE})
    paper = Paper("Erasing Concepts from Diffusion Models", "ICCV 2023", "https://arxiv.org/abs/2303.07345")
    update_rule = "L = |e(x_f | c_f) - (e0(x_f) - s (e0(x_f | c_f) - e0(x_f)))|^2, e0 the original"
    settings_source = (
        "The released text-to-image code: strength 1, Adam 1e-5, 1,000 steps; all weights. SalUn's first code for the "
        "CIFAR-10 model had strength 7.5 and 10,000 steps of one sample."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Published for text prompts; a class label takes the prompt's place and real forget images that of its samples.",
    )
    pitfalls = "Nothing holds the other labels: their FID grows with every step that forgets."

    steps: Steps = 1000
    """Steps on forget batches."""
    lr: Rate = 1e-5
    """Adam's learning rate."""
    strength: Annotated[float, LogRange(0.5, 10.0)] = 1.0
    """How far beyond the unconditional prediction to go (the paper's eta)."""
    weights: Literal["all", "attention"] = "all"
    """Which weights may move: all, or those of attention layers, as far as the network names any."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the error to the guided target, computed by the frozen original."""
        problem.original  # noqa: B018 - it is copied before the first update
        optimizer = Adam(self._moving(problem), lr=self.lr)
        for forget in problem.batches("forget", self.steps):
            descend(optimizer, away_from_label(problem, forget, self.strength).mean(), clip=1.0)

    def _moving(self, problem: Problem) -> list[nn.Parameter]:
        if self.weights == "all":
            return problem.parameters()
        named = ((name, weight) for name, weight in problem.model.named_parameters() if weight.requires_grad)
        found = [weight for name, weight in named if "attn" in name or "attention" in name]
        if not found:
            raise BenchmarkError(
                "ESD finds no attention layer in the network to train; leave its setting `weights` at 'all'."
            )
        return found
