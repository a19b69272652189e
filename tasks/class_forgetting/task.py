"""The family's task: what is trained, what a method is given, how a model is drawn from and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.method import Method, Need
from ...benchmark.problem import TensorPool
from ...benchmark.task import Evaluation
from ..common.retrained import OneClassTask
from . import evaluation
from .diffusion import Sampler
from .problem import ClassForgettingProblem
from .training import train


class ClassForgettingTask(OneClassTask):
    """Forgets a class of a class-conditional diffusion model. A concrete task says which network and data."""

    family: ClassVar[str] = "class-forgetting"
    offers: ClassVar[frozenset[Need]] = ClassForgettingProblem.offers
    sampler: ClassVar[Sampler]

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        return {"sampler": self.sampler.describe(), "batch_size": self.batch_size, **evaluation.sample_counts()}

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return self.sampler.describe()

    def train(self, pool: TensorPool, seed: int, progress: Callable[[int, int], None]) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return train(self.network(), pool, self.num_classes, self.recipe, seed, progress)

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``."""
        return evaluation.draw_samples(self, model, seed).images()

    def problem(self, method: Method, seed: int, device: torch.device) -> ClassForgettingProblem:
        """See ``Task.problem``."""
        return ClassForgettingProblem(sampler=self.sampler, **self.given(method, seed, device))

    def evaluate(self, model: nn.Module, method: Method, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self, model, seed, self.other_oracles(method, seed), device)
