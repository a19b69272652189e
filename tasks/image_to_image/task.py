"""The family's task: what is trained, what a method is given, which holes are filled and judged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.method import Method, Need
from ...benchmark.problem import TensorPool
from ...benchmark.task import Evaluation
from ..common.checkpoint import Checkpoint
from ..common.pools import LabelledPool
from ..common.retrained import RetrainedTask
from . import evaluation
from .evaluation import Pools
from .holes import Hole
from .inpainter import Inpainter
from .problem import ImageToImageProblem
from .training import train


class ImageToImageTask(RetrainedTask):
    """Stops an in-painter from filling holes in pictures of some classes. A concrete task says which network and data."""

    family: ClassVar[str] = "image-to-image"
    offers: ClassVar[frozenset[Need]] = ImageToImageProblem.offers
    keeps_oracle_samples: ClassVar[bool] = False
    backbone: ClassVar[type[Inpainter]]
    training_holes: ClassVar[tuple[Hole, ...]]
    """The kinds of holes that the base model and the methods see, each as often as it stands here."""
    test_holes: ClassVar[dict[str, Hole]]
    """The kinds of holes that are judged, by name; the first is the one that the score is made of."""

    @abstractmethod
    def network(self) -> Inpainter:
        """See ``RetrainedTask.network``."""

    @abstractmethod
    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``."""

    @abstractmethod
    def method_pools(self) -> tuple[TensorPool, TensorPool]:
        """Returns the forget and the retain images that a method is given; the latter may stand in for the real ones."""

    @abstractmethod
    def pools(self) -> Pools:
        """Returns what is judged."""

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        size = self.image_shape[-1]
        return {
            "batch_size": self.batch_size,
            "training_holes": [hole.describe(size) for hole in self.training_holes],
            "test_holes": {name: hole.describe(size) for name, hole in self.test_holes.items()},
            "images": self.pools().counts(),
        }

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return next(iter(self.test_holes.values())).describe(self.image_shape[-1])

    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return train(self.network(), self.training_holes, pool, self.recipe, seed, progress)

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``: the filled pictures of every pool."""
        return {name: evaluation.fill_pool(self, model, name, seed).filled for name in self.pools().named()}

    def problem(self, method: Method, seed: int, device: torch.device) -> ImageToImageProblem:
        """See ``Task.problem``."""
        forget, retain = self.method_pools()
        given = self.given(method, seed, device) | {"forget": forget, "retain": retain}
        return ImageToImageProblem(backbone=self.backbone, holes=self.training_holes, **given)

    def evaluate(self, model: nn.Module, method: Method, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self, model, seed, self.other_oracles(method, seed), device)
