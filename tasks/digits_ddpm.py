"""``digits-ddpm``: a class-conditional DDPM on scikit-learn's digits forgets one of them. Runs on a laptop in minutes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from .class_forgetting.networks import small_unet
from .class_forgetting.sampler import Sampler
from .class_forgetting.task import ClassForgettingTask
from .retraining.digits import DigitsTask
from .training.recipe import TrainingRecipe


class DigitsDDPM(DigitsTask, ClassForgettingTask):
    """Class forgetting on a DDPM of 0.7 M parameters, trained on 1,437 real 8x8 scans of digits."""

    name: ClassVar[str] = "digits-ddpm"
    batch_size: ClassVar[int] = 128
    most_steps: ClassVar[int] = 150
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=2000, batch_size=128, lr=2e-3)
    sampler: ClassVar[Sampler] = Sampler(solver="dpm", steps=10, guidance=1.5)

    forget_class: Annotated[int, Field(ge=0, le=9)] = 3
    """The digit to forget; the standard board forgets 0, 3 and 8, each in turn."""

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        return small_unet(self.image_shape, self.num_classes)
