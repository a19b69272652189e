"""Class forgetting on any data set: a small U-Net, judges that ``prepare`` trains, and all else by default."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn

from ...benchmark.measuring.device import resolve_device
from ..data.pools import BytePool
from ..judges.classifiers import INPUT_SIZE, TRAIN_STEPS, JudgeRecipe, small
from ..judges.report import Report
from ..retraining.declared import DataSetTask
from ..retraining.trained_judges import JudgeData, TrainedJudgesTask
from ..training.recipe import TrainingRecipe
from .networks import small_unet
from .probes import Budget
from .sampler import Sampler
from .task import ClassForgettingTask

REHEARSED, REHEARSAL_BATCH, REHEARSAL_WIDTH = 30, 16, 8
"""Training steps, and samples in each set, of a rehearsal, and how large it is."""


class SmallClassForgetting(DataSetTask, TrainedJudgesTask, ClassForgettingTask):
    """A task is this with a ``name`` and its ``data``; the rest may be left as it is.

    Network, training, judges and sampling are those of ``digits-ddpm``, made to measure for the pictures.
    """

    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    batch_size: ClassVar[int] = 128
    """Pictures in a batch that a method is given."""
    training: ClassVar[TrainingRecipe] = TrainingRecipe(steps=5000, batch_size=128, lr=1e-3)
    """Of base model and oracles."""
    width: ClassVar[int] = 32
    """Channels of the network's first level, a multiple of 8."""
    sampler: ClassVar[Sampler] = Sampler(solver="dpm", steps=10, guidance=1.5)
    samples: ClassVar[int] = 1000
    """Samples with the forgotten label, as many without a label, and about as many with the others."""
    judge_steps: ClassVar[int] = TRAIN_STEPS
    """Training steps of each judge."""

    forget_class: int = 0
    """The class to forget, by its place among the data's classes."""
    rehearsal: bool = False
    """Whether a narrow network is trained for 30 steps and judged on 30 samples, to see that it works; no number counts."""

    @property
    def recipe(self) -> TrainingRecipe:  # type: ignore[override]
        """See ``RetrainedTask.recipe``."""
        short = self.training._replace(steps=REHEARSED, batch_size=REHEARSAL_BATCH)
        return short if self.rehearsal else self.training

    @property
    def judge_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """See ``RetrainedTask.judge_names``."""
        return tuple(f"{name}{self._mark}" for name in super().judge_names)

    @property
    def base_file(self) -> str:
        """See ``RetrainedTask.base_file``."""
        return f"base{self._mark}.safetensors"

    @property
    def training_device(self) -> torch.device:
        """See ``RetrainedTask.training_device``: a GPU where there is one."""
        return resolve_device("auto")

    def request(self) -> str:
        """See ``RetrainedTask.request``."""
        return f"{super().request()}{self._mark}"

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        return small_unet(self.image_shape, self.num_classes, REHEARSAL_WIDTH if self.rehearsal else self.width)

    def sample_counts(self) -> dict[str, int]:
        """See ``ClassForgettingTask.sample_counts``; each retained class has as many samples."""
        samples, kept = REHEARSED if self.rehearsal else self.samples, self.num_classes - 1
        return {"forget": samples, "retain": -(-samples // kept) * kept, "null": samples}

    def _attackers(self) -> Budget:
        return self.budget.brief() if self.rehearsal else super()._attackers()

    def add_metrics(self, report: Report) -> None:
        """See ``ClassForgettingTask.add_metrics``: how often each judge is right on the test pictures."""
        self.add_judge_accuracy(report)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        return JudgeData(*(BytePool(*self.data.load(split)) for split in (self.data.train, self.data.test)))

    def judge_recipe(self, name: str) -> JudgeRecipe:
        """See ``TrainedJudgesTask.judge_recipe``."""
        return small(name.removesuffix(self._mark))._replace(
            steps=REHEARSED if self.rehearsal else self.judge_steps,
            channels=self.data.channels,
            input_size=max(INPUT_SIZE, self.data.size),
            mirrored=self.mirrored,
        )

    @property
    def _mark(self) -> str:
        return "-rehearsal" if self.rehearsal else ""
