"""Relabelling with SFRon's sample weights: each forget sample weighs by how well the model still does on it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ..benchmark.primitives import inverse_loss_weights
from ..benchmark.problem import Batch, Problem
from ..benchmark.search_space import Range
from .relabel import Relabel


class RelabelReweighted(Relabel):
    """Relabels with larger weights on samples whose loss is small. What is easy has been dealt with least.

    Inspired by LoReUn (arXiv 2507.22499), which reweights any unlearning loss so. Its function could not be read; SFRon's
    stands in its place, and no number here is one of LoReUn's.
    """

    name = "relabel-reweighted"
    update_rule = "L = sum_i w_i |e(x_i | c_f) - e(x_i | c_f + 1)|^2 + w L_r, w_i = 1 / L_i^temper up to a factor"
    settings_source = "Those of relabelling here; temper is SFRon's lambda."
    deviations: ClassVar[tuple[str, ...]] = (
        "A combination that neither paper has: SalUn's relabelling without its mask, and SFRon's weights.",
    )

    temper: Annotated[float, Range(0.0, 2.0)] = 0.5
    """How strongly small losses weigh."""

    def weights(self, problem: Problem, batch: Batch) -> Tensor:
        """Returns weights that fall as a sample's training loss grows."""
        with torch.no_grad():
            return inverse_loss_weights(problem.loss(batch), self.temper)
