"""SalUn: relabelling of the salient weights only."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ..benchmark.primitives import Mask, mean_gradient, top_fraction_mask
from ..benchmark.problem import Problem
from ..benchmark.search_space import Range
from .relabel import Relabel


class SalUn(Relabel):
    """Relabels, but moves only the weights with the largest forget gradients."""

    name = "salun"
    update_rule = "that of relabelling, for the half of the weights with the largest |g_f|"
    settings_source = Relabel.settings_source.replace("without its mask", "with its mask of the top 50 %")
    deviations: ClassVar[tuple[str, ...]] = (
        *Relabel.deviations,
        "The mask's gradient is that of the training loss, not of the guided prediction.",
        "Masked weights stay bit-identical, as in the released code since February 2026.",
    )

    fraction: Annotated[float, Range(0.1, 0.9)] = 0.5
    """Share of the weights that may move."""

    def mask(self, problem: Problem) -> Mask:
        """Returns the weights with the largest absolute gradient over one pass through the forget set."""
        gradient = mean_gradient(problem, problem.epoch("forget"), clip=1.0)
        return top_fraction_mask([value.abs() for value in gradient], self.fraction)
