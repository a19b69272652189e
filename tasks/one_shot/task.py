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
from ...benchmark.records.record import Metric
from ...benchmark.task import Evaluation
from ..data.pools import LabelledPool
from ..judges.report import Report
from ..retraining.retrained import OneClassTask
from ..retraining.trained_judges import TrainedJudgesTask
from ..training.checkpoint import Checkpoint
from . import evaluation, retracing, vae
from .evaluation import Exam
from .family import FAMILY
from .problem import OneShotProblem
from .retracing import Goal


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
        counts = evaluation.sample_counts() | ({} if self._is_short else {"probe": retracing.SAMPLES})
        return {"sampler": self.sampling(), "batch_size": self.batch_size, **counts}

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return "pixel means of latents from the prior, uint8"

    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return vae.train(self.network(), pool, self.latent, self.used_recipe, seed, progress, checkpoint)

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``."""
        return {"prior": evaluation.draw_samples(self.name, self.latent, model, seed)}

    def problem(self, method: Method, seed: int, device: torch.device) -> OneShotProblem:
        """See ``Task.problem``."""
        return OneShotProblem(latent=self.latent, **self.given(method, seed, device))

    def evaluate(self, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self.exam(self.other_oracles(model)), model, seed, device)

    def retrace(self, method: Method, seed: int, device: torch.device) -> list[Metric]:
        """See ``Task.retrace``: the step at which the forgotten class fell below the threshold."""
        # A trial does without, since it takes most of the time.
        if self._is_short:
            return []
        goal = Goal(self.name, self.forget_class, self.latent, self.threshold)
        name, judge = next(iter(self.load_judges().items()))
        # Retraining takes no steps from the original.
        steps = Need.ORACLE not in method.needs
        reached = retracing.first_step(goal, self.problem(method, seed, device), judge, method, seed) if steps else None
        report = Report(self.family, self.sampling(), {name: judge})
        real = evaluation.kept_reference(judge, self.training_pool(), self.forget_class)
        retracing.add_to(report, goal, reached, real, self.data_sha256())
        return report.metrics

    def exam(self, oracles: list[int]) -> Exam:
        """Returns what models are measured by.

        Args:
            oracles: The seeds of the oracles to compare with.
        """
        return Exam(
            task=self.name,
            family=self.family,
            sampling=self.sampling(),
            num_classes=self.num_classes,
            forget_class=self.forget_class,
            latent=self.latent,
            judges=self.load_judges(),
            real=self.training_pool(),
            test=self.judge_data().test,
            data_sha256=self.data_sha256(),
            oracle_samples=self.oracle_samples("prior", oracles),
            oracles_sha256=self.assets.sha256([self.oracle_file(other) for other in oracles]),
        )
