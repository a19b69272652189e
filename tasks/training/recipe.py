"""How a model is trained."""

from __future__ import annotations

from typing import NamedTuple


class TrainingRecipe(NamedTuple):
    """How a model is trained."""

    steps: int
    batch_size: int
    lr: float
