"""The family's tasks: what a method is given, which holes are filled and judged, with oracles or without."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.family import Family
from ...benchmark.measuring.device import CPU
from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.problem import Pool
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation, RetrainingCost, Task
from ..data.pools import LabelledPool
from ..judges.judge import Judge
from ..retraining.files import ORACLE_SEEDS
from ..retraining.retrained import RetrainedTask
from ..training.checkpoint import Checkpoint
from . import evaluation
from .evaluation import Drawing, Exam, Oracles, Pools
from .family import FAMILY
from .holes import Hole
from .inpainter import Filling, Inpainter
from .problem import ImageToImageProblem
from .training import train


class InpaintingTask(Task):
    """Stops an in-painter from filling holes in pictures of some classes, wherever the in-painter comes from.

    Without oracles no distance to them is written, and the board shows the suppression track alone.
    """

    family: ClassVar[Family] = FAMILY
    offers: ClassVar[frozenset[Need]] = ImageToImageProblem.offers - {Need.ORACLE}
    num_classes: ClassVar[int]
    image_shape: ClassVar[tuple[int, int, int]]
    batch_size: ClassVar[int]
    fill_batch: ClassVar[int] = evaluation.BATCH_SIZE
    """Pictures that are filled at a time."""
    clustered: ClassVar[bool] = False
    """Whether intervals resample classes before pictures, for pools of many classes."""
    filling: ClassVar[Filling]
    """How the in-painter is trained and asked."""
    test_holes: ClassVar[dict[str, Hole]]
    """The kinds of holes that are judged, by name; the first is the one that the score is made of."""

    @property
    def training_holes(self) -> tuple[Hole, ...]:
        """The kinds of holes that the base model and the methods see, each as often as it stands here."""
        return tuple(self.test_holes.values())

    @abstractmethod
    def forgotten(self) -> tuple[int, ...]:
        """Returns the classes to forget."""

    @abstractmethod
    def method_pools(self) -> tuple[Pool, Pool]:
        """Returns the forget and the retain images that a method is given; the latter may stand in for the real ones."""

    @abstractmethod
    def pools(self) -> Pools:
        """Returns what is judged."""

    @abstractmethod
    def pixel_moments(self) -> tuple[Tensor, Tensor]:
        """Returns mean and deviation of the training images' values in [-1, 1]: of the noise that stands for nothing."""

    @abstractmethod
    def data_sha256(self) -> str:
        """Returns the hash of the data."""

    @abstractmethod
    def load_base(self) -> nn.Module:
        """Returns the model that forgets, as it is before, in evaluation mode."""

    @abstractmethod
    def load_judges(self, device: torch.device = CPU) -> dict[str, Judge]:
        """Returns the judges by name; the first one's features serve the distances."""

    def network(self) -> nn.Module:
        """See ``Task.network``."""
        return self.load_base()

    def load_oracles(self, model: nn.Module) -> Oracles | None:
        """Returns the oracles to compare a model with, if there are any."""
        return None

    def own_oracle(self, seed: int) -> nn.Module | None:
        """Returns the oracle that a seed's reference row is, if there is any."""
        return None

    def retraining_cost(self, seed: int) -> RetrainingCost:
        """See ``Task.retraining_cost``.

        Raises:
            BenchmarkError: There are no oracles.
        """
        raise BenchmarkError(f"The task '{self.name}' has no oracle, so nothing says what retraining takes.")

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        size = self.image_shape[-1]
        return {
            "batch_size": self.batch_size,
            "training_holes": [hole.describe(size) for hole in self.training_holes],
            "test_holes": {name: hole.describe(size) for name, hole in self.test_holes.items()},
            "images": self.image_counts(),
        }

    def shared_protocol(self) -> dict[str, Any]:
        """See ``Task.shared_protocol``: of one class there are more pictures than of another."""
        return {key: value for key, value in self.evaluation_protocol().items() if key != "images"}

    def image_counts(self) -> dict[str, int]:
        """Returns how many images are judged, pool by pool."""
        return self.pools().counts()

    def sampling(self) -> str:
        """Returns how samples are drawn, in one line."""
        return next(iter(self.test_holes.values())).describe(self.image_shape[-1])

    def problem(self, method: Method, seed: int, device: torch.device) -> ImageToImageProblem:
        """See ``Task.problem``."""
        forget, retain = self.method_pools()

        def oracle() -> nn.Module:
            network = self.own_oracle(seed)
            assert network is not None
            return network.to(device)

        return ImageToImageProblem(
            self.load_base().to(device),
            forget,
            retain,
            batch_size=self.batch_size,
            forget_classes=self.forgotten(),
            num_classes=self.num_classes,
            granted=method.needs,
            seed=derive_seed(self.name, "unlearn", seed),
            device=device,
            oracle=oracle,
            filling=self.filling,
            holes=self.training_holes,
        )

    def evaluate(self, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self.exam(self.load_oracles(model), device), model, seed, device)

    def drawing(self) -> Drawing:
        """Returns which holes a model fills, and how."""
        return Drawing(self.name, self.pools(), self.test_holes, self.filling, self.fill_batch)

    def exam(self, oracles: Oracles | None, device: torch.device) -> Exam:
        """Returns what models are measured by.

        Args:
            oracles: Those to compare with, if there are any.
            device: Where the models and the judges work.
        """
        return Exam(
            family=self.family,
            sampling=self.sampling(),
            drawing=self.drawing(),
            clustered=self.clustered,
            pixel_moments=self.pixel_moments(),
            judges=self.load_judges(device),
            original=self.load_base().to(device),
            oracles=oracles,
            data_sha256=self.data_sha256(),
        )


class ImageToImageTask(RetrainedTask, InpaintingTask):
    """With a base model, oracles and judges that the suite trains. A concrete task says which network and data."""

    offers: ClassVar[frozenset[Need]] = ImageToImageProblem.offers
    keeps_oracle_samples: ClassVar[bool] = False
    short_compares: ClassVar[bool] = False
    """The first track asks for no oracle."""

    @abstractmethod
    def network(self) -> Inpainter:
        """See ``RetrainedTask.network``."""

    def load_base(self) -> nn.Module:
        """See ``InpaintingTask.load_base``."""
        return self.load_model(self.base_file)

    def load_oracles(self, model: nn.Module) -> Oracles | None:
        """See ``InpaintingTask.load_oracles``: all but the one that the model is."""
        if self._is_short:
            return None
        files = [self.oracle_file(other) for other in self.other_oracles(model)]
        return Oracles([self.load_model(file) for file in files], self.assets.sha256(files))

    def own_oracle(self, seed: int) -> nn.Module:
        """See ``InpaintingTask.own_oracle``."""
        return self.load_model(self.oracle_file(seed % len(ORACLE_SEEDS)))

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return InpaintingTask.sampling(self)

    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return train(
            self.network(),
            self.filling,
            self.training_holes,
            pool,
            self.used_recipe,
            seed,
            progress,
            checkpoint,
            device=self.training_device,
        )

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``: the filled pictures of every pool."""
        drawing = self.drawing()
        return {name: evaluation.fill_pool(drawing, model, name, seed).filled for name in drawing.pools.named()}
