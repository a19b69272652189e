"""The family's task: what is trained, what a method is given, how a model is drawn from and judged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.task import Evaluation
from ..data.pools import ImagePool, LabelledPool
from ..judges.judge import Extractor
from ..judges.report import Report
from ..retraining.retrained import OneClassTask
from ..training.checkpoint import Checkpoint
from . import evaluation, training
from .evaluation import Drawing, Exam, Oracles
from .family import FAMILY
from .probes import Budget
from .problem import ClassForgettingProblem
from .sampler import Sampler
from .training import train

FEW = 60
"""Samples of a set in a check."""
SHORT = {"forget": 120, "null": 30}
"""Samples of a set in a search's trials; a kept class has ``SHORT_CLASS`` of them."""
SHORT_CLASS = 30


class ClassForgettingTask(OneClassTask):
    """Forgets a class of a class-conditional diffusion model. A concrete task says which network and data."""

    family: ClassVar[Family] = FAMILY
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = (
        "diffusers.models.unets.unet_2d",
        "diffusers.schedulers.scheduling_ddim",
        "diffusers.schedulers.scheduling_ddpm",
        "diffusers.schedulers.scheduling_dpmsolver_multistep",
    )
    offers: ClassVar[frozenset[Need]] = ClassForgettingProblem.offers
    sampler: ClassVar[Sampler]
    _most: int | None = PrivateAttr(None)
    """Samples of a set at most, in a check."""
    short_compares: ClassVar[bool] = False
    class_names: ClassVar[tuple[str, ...]] = ()
    """What pictures of samples call the classes; their numbers unless given."""
    ema_decay: ClassVar[float] = training.EMA_DECAY
    budget: ClassVar[Budget] = Budget()
    """Of the attackers that try to bring the class back."""

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        fixed = {"sampler": self.sampler.describe(), "batch_size": self.batch_size}
        return {**fixed, "attackers": self._attackers().describe(), **self._counts()}

    def _counts(self) -> dict[str, int]:
        """How many samples are drawn."""
        return self.sample_counts() if not self._is_short else SHORT | {"retain": SHORT_CLASS * (self.num_classes - 1)}

    def _attackers(self) -> Budget:
        """The attackers' budget; a search's trials look at losses alone, which the score is made of."""
        if self._most is not None:
            return self.budget.brief()
        return replace(self.budget, benign_steps=0, samples=0) if self._is_short else self.budget

    def sample_counts(self) -> dict[str, int]:
        """Returns how many samples each set holds."""
        return evaluation.sample_counts()

    def oracle_counts(self) -> dict[str, int]:
        """Returns how many samples of each oracle a model is compared with, by set; as many as it draws itself."""
        return self.sample_counts()

    def reference(self) -> ImagePool:
        """Returns the real images that samples are compared with."""
        return self.training_pool()

    @abstractmethod
    def held_out(self) -> ImagePool:
        """Returns pictures of all classes that nothing was trained on."""

    def extractor(self) -> tuple[str, Extractor] | None:
        """Returns what gives the features of the distances, with its name; None takes the first judge's."""
        return None

    def add_metrics(self, report: Report) -> None:
        """Adds what only this task measures."""

    def sampling(self) -> str:
        """See ``RetrainedTask.sampling``."""
        return self.sampler.describe()

    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """See ``RetrainedTask.train``."""
        return train(
            self.network(),
            pool,
            self.num_classes,
            self.used_recipe,
            seed,
            progress,
            checkpoint,
            device=self.training_device,
            ema_decay=self.ema_decay,
        )

    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """See ``RetrainedTask.draw``."""
        return evaluation.draw_sets(replace(self.drawing(), counts=self.oracle_counts()), model, seed)

    def problem(self, method: Method, seed: int, device: torch.device) -> ClassForgettingProblem:
        """See ``Task.problem``."""
        self.sampler.check(device)
        return ClassForgettingProblem(sampler=self.sampler, **self.given(method, seed, device))

    def evaluate(self, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        exam = self.exam(self.other_oracles(model), device)
        report, gallery = evaluation.evaluate(exam, model, seed, device)
        self.add_metrics(report)
        return Evaluation(report.metrics, gallery)

    def brief(self) -> Self:
        """See ``Task.brief``."""
        found = self.model_copy()
        found._most = FEW
        return found

    def drawing(self) -> Drawing:
        """Returns what is drawn from a model."""
        counts = self._counts()
        if self._most is not None:
            counts = {name: min(count, self._most) for name, count in counts.items()}
            counts["retain"] = max(counts["retain"], self.num_classes)
        names = self.class_names or tuple(map(str, range(self.num_classes)))
        return Drawing(self.name, self.sampler, self.image_shape, names, self.forget_class, counts)

    def exam(self, oracles: list[int], device: torch.device) -> Exam:
        """Returns what models are measured by.

        Args:
            oracles: The seeds of the oracles to compare with.
            device: Where judges and oracles work.
        """
        _, retain = self.parted(self.training_pool())
        drawing = self.drawing()
        return Exam(
            family=self.family,
            drawing=drawing,
            judges=self.load_judges(device),
            extractor=self.extractor(),
            reference=self.reference(),
            data_sha256=self.data_sha256(),
            oracles=None if self._is_short else self._oracles(oracles),
            retain=retain,
            held_out=self.held_out(),
            budget=self._attackers(),
        )

    def _oracles(self, seeds: list[int]) -> Oracles:
        least = self.oracle_counts()
        samples = {name: self.oracle_samples(name, seeds, least[name]) for name in ("retain", "null")}
        return Oracles(samples, self.assets.sha256([self.oracle_samples_file]))
