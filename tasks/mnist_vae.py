"""``mnist-vae``: a variational autoencoder on MNIST stops drawing a digit, as in replications of one-shot unlearning."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..benchmark.errors import BenchmarkError
from ..benchmark.problem import TensorPool
from ..benchmark.records import places
from .data import mnist
from .one_shot.task import OneShotTask
from .retraining.trained_judges import JudgeData
from .training.recipe import TrainingRecipe


class MnistVAE(OneShotTask):
    """One-shot forgetting on a 784-400-2 VAE. Needs the data set ylecun/mnist, from the hub or a folder."""

    name: ClassVar[str] = "mnist-vae"
    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    num_classes: ClassVar[int] = mnist.NUM_CLASSES
    image_shape: ClassVar[tuple[int, int, int]] = (1, mnist.SIZE, mnist.SIZE)
    batch_size: ClassVar[int] = 128
    hidden: ClassVar[int] = 400
    latent: ClassVar[int] = 2
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=10_000, batch_size=128, lr=1e-3)

    forget_class: Annotated[int, Field(ge=0, le=9)] = 1
    """The digit to forget; the standard board forgets 1."""

    def missing(self) -> list[str]:
        """See ``Task.missing``: files, and the data where neither a folder nor the hub can give it."""
        lacking = super().missing()
        if mnist.source() == mnist.HUB_ID and places.is_offline():
            try:
                mnist.load_split()
            except BenchmarkError as error:
                lacking.append(f"The task '{self.name}' lacks its data. {error}")
        return lacking

    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``: images in [0, 1]."""
        return TensorPool(*mnist.load_split().train)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        train, test = mnist.load_split()
        return JudgeData(*(TensorPool(part.images * 2 - 1, part.labels) for part in (train, test)))

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return mnist.SHA256
