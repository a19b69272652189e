"""``digits-vae``: a variational autoencoder on scikit-learn's digits stops drawing one of them. Runs in seconds."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ..benchmark.problem import TensorPool
from .data import digits
from .one_shot.task import OneShotTask
from .retraining.digits import DigitsTask
from .training.recipe import TrainingRecipe


class DigitsVAE(DigitsTask, OneShotTask):
    """One-shot forgetting on a fully connected VAE, trained on 1,437 real 8x8 scans of digits."""

    name: ClassVar[str] = "digits-vae"
    batch_size: ClassVar[int] = 128
    hidden: ClassVar[int] = 256
    latent: ClassVar[int] = 4
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=6000, batch_size=128, lr=1e-3)

    forget_class: Annotated[int, Field(ge=0, le=9)] = 3
    """The digit to forget; the standard board forgets 0, 3 and 8, each in turn."""

    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``: images in [0, 1]."""
        train = digits.load_split().train
        return TensorPool((train.images + 1) / 2, train.labels)
