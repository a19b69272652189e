"""Random encoder: Li et al.'s baseline that sends forget embeddings to random features."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..benchmark.problem import Batch, Problem
from .li2024 import EncoderMethod


class RandomEncoder(EncoderMethod):
    """As Li et al., but forget embeddings become Gaussian with the teacher's mean and deviation, not those of noise."""

    name = "random-encoder"
    update_rule = "L = |E(x_r) - E0(x_r)|^2 + alpha |E(x_f) - (s n + m)|^2, m and s the teacher's mean and deviation"
    deviations: ClassVar[tuple[str, ...]] = (
        *EncoderMethod.deviations,
        "The forget term is on forget images; in the released code a sign puts it on retain images.",
    )
    pitfalls = "The best answer to fresh random features is their mean, so forget embeddings collapse to a point."

    def target(self, problem: Problem, forget: Batch) -> Tensor:
        """See ``EncoderMethod.target``: random features."""
        known = problem.encode(forget, problem.original)
        return problem.random_like(known) * known.std() + known.mean()
