"""PCGrad: forgetting and retaining as two tasks whose conflicting gradients are projected."""

from __future__ import annotations

from typing import ClassVar

from ..benchmark.method import Paper
from ..benchmark.search_space import Rate, Steps
from .rgd import RestrictedGradient


class PCGrad(RestrictedGradient):
    """Multi-task gradient surgery with two tasks: climb the forget loss, descend on the retain loss.

    With two tasks it is the restricted gradient with equal weights.
    """

    name = "pcgrad"
    paper = Paper("Gradient Surgery for Multi-Task Learning", "NeurIPS 2020", "https://arxiv.org/abs/2001.06782")
    update_rule = "theta <- theta - lr Adam(P_r(-g_f) + P_f(g_r)), where P projects off the other on conflict"
    settings_source = "Equal weights, as published for learning; Adam at 1e-4 and the steps are ours."
    deviations: ClassVar[tuple[str, ...]] = (
        "Published for learning several tasks; ascent on the forget set takes the place of one.",
    )

    steps: Steps = 50
    """Steps."""
    lr: Rate = 1e-4
    """Adam's learning rate."""
    retain_weight: float = 1.0
    """Weight of the retain direction."""
