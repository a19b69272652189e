"""LoReUn: relabelling that weighs each forget sample by how well the model still does on it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..benchmark.method import Paper
from ..benchmark.primitives import inverse_loss_weights
from ..benchmark.problem import Batch, Problem
from .relabel import Relabel


class LoReUn(Relabel):
    """Relabels with larger weights on samples whose loss is small. What is easy has been dealt with least.

    Published as a plug-in for any unlearning loss; here it sits on relabelling.
    """

    name = "loreun"
    paper = Paper(
        "LoReUn: Data Itself Implicitly Provides Cues to Improve Machine Unlearning",
        "arXiv 2025",
        "https://arxiv.org/abs/2507.22499",
    )
    update_rule = "L = sum_i w_i |e(x_i | c_f) - e(x_i | c_f + 1)|^2 + w L_r, w_i falling with sample i's loss"
    settings_source = (
        "Those of relabelling here; temper as SFRon's lambda. The rest: the best of the trials in docs/search.json."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        *Relabel.deviations,
        "The weights are SFRon's power law of the loss; the published function may differ in form.",
    )

    temper: float = 0.5
    """How strongly small losses weigh."""

    def weights(self, problem: Problem, batch: Batch) -> Tensor:
        """Returns weights that fall as a sample's training loss grows."""
        with torch.no_grad():
            return inverse_loss_weights(problem.loss(batch), self.temper)
