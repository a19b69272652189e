"""Noisy label: Li et al.'s baseline that teaches noise as the answer to forget images."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..benchmark.problem import Problem, Step
from ..benchmark.targets import noise_images, squared_error
from .max_loss import MaxLoss


class NoisyLabel(MaxLoss):
    """Trains the whole model to answer forget images with noise."""

    name = "noisy-label"
    update_rule = "L = L_r + alpha |h(x_f) - n|^2, n noise with the batch's mean and deviation"
    deviations: ClassVar[tuple[str, ...]] = (
        *MaxLoss.deviations,
        "Noise is drawn in pixels for every family.",
    )
    pitfalls = "The best answer to fresh noise is its mean, so forget images turn grey rather than noisy."

    def forget(self, problem: Problem, step: Step) -> Tensor:
        """Returns the error to noise, ``(B,)``."""
        noise = step.forget.replace(images=noise_images(problem, step.forget.images, "batch"))
        return squared_error(problem.predict(step.forget), problem.target(noise))
