"""The family's task: what is trained, what a method is given, how a model is drawn from and judged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.problem import TensorPool
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..data.pools import LabelledPool
from ..retraining.retrained import OneClassTask
from ..retraining.trained_judges import TrainedJudgesTask
from ..training.checkpoint import Checkpoint
from . import evaluation, vae
from .family import FAMILY
from .problem import OneShotProblem


class OneShotTask(TrainedJudgesTask, OneClassTask):
    """Stops a variational autoencoder from drawing a class. A concrete task says which data and sizes."""

    family: ClassVar[Family] = FAMILY
    offers: ClassVar[frozenset[Need]] = OneShotProblem.offers
    keeps_oracle_samples: ClassVar[bool] = False
    hidden: ClassVar[int]
    latent: ClassVar[int]
    threshold: ClassVar[float] = 0.02
    """The share of the forgotten class below which a method counts as having reached its goal."""

    @abstractmethod
    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``."""

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        return vae.VAE(self.image_shape, self.hidden, self.latent)

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        return {"sampler": self.sampling(), "batch_size": self.batch_size, **evaluation.sample_counts()}

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return "pixel means of latents from the prior, uint8"

    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return vae.train(self.network(), pool, self.latent, self.recipe, seed, progress, checkpoint)

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``."""
        wanted = derive_seed(self.name, "sample", seed)
        return {"prior": vae.sample(model, evaluation.PRIOR_SAMPLES, self.latent, wanted)}

    def problem(self, method: Method, seed: int, device: torch.device) -> OneShotProblem:
        """See ``Task.problem``."""
        return OneShotProblem(latent=self.latent, **self.given(method, seed, device))

    def evaluate(self, model: nn.Module, method: Method, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self, model, method, seed, device)
