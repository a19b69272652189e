"""Retain label: Li et al.'s baseline that teaches the original's answers to retain images."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..benchmark.problem import Problem, Step
from ..benchmark.targets import squared_error
from .max_loss import MaxLoss


class RetainLabel(MaxLoss):
    """Trains the whole model to answer forget images with what the original answers to retain images."""

    name = "retain-label"
    update_rule = "L = L_r + alpha |h(x_f) - h0(x_r)|^2, h0 the original"
    deviations: ClassVar[tuple[str, ...]] = (
        *MaxLoss.deviations,
        "The forget term is on forget images; in the released code a sign puts it on retain images.",
    )
    pitfalls = "The pairing is arbitrary, so forget images turn into the mean of the retain set."

    def forget(self, problem: Problem, step: Step) -> Tensor:
        """Returns the error to the original's answers to retain images, ``(B,)``."""
        with torch.no_grad():
            answer = problem.predict(step.retain, model=problem.original)
        return squared_error(problem.predict(step.forget), answer)
