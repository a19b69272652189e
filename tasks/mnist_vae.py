"""``mnist-vae``: a variational autoencoder on MNIST stops drawing a digit, as in replications of one-shot unlearning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ..benchmark.problem import TensorPool
from .data.dataset import DataSet
from .data.pools import from_bytes
from .data.sets import MNIST
from .one_shot.task import OneShotTask
from .retraining.declared import DataSetTask
from .retraining.trained_judges import JudgeData
from .training.recipe import TrainingRecipe

SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
"""The hash of all pixels and labels, which stands for the data in the task's identity."""


class MnistVAE(DataSetTask, OneShotTask):
    """One-shot forgetting on a 784-400-2 VAE. Needs the data set ylecun/mnist, from the hub or a folder."""

    name: ClassVar[str] = "mnist-vae"
    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    data: ClassVar[DataSet] = MNIST
    batch_size: ClassVar[int] = 128
    hidden: ClassVar[int] = 400
    latent: ClassVar[int] = 2
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=10_000, batch_size=128, lr=1e-3)
    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple({"forget_class": digit} for digit in (0, 1, 8))
    tuning_requests: ClassVar[tuple[dict[str, Any], ...]] = ({"forget_class": 3}, {"forget_class": 7})

    forget_class: Annotated[int, Field(ge=0, le=9)] = 1
    """The digit to forget; the standard board forgets 0, 1 and 8, each in turn."""

    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``: images in [0, 1]."""
        images, labels = self.data.load(self.data.train)
        return TensorPool(images.float().div(255), labels)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        train, test = (self.data.load(split) for split in (self.data.train, self.data.test))
        return JudgeData(*(TensorPool(from_bytes(images), labels) for images, labels in (train, test)))

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return SHA256
