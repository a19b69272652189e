"""What the tasks on scikit-learn's digits share."""

from __future__ import annotations

from typing import ClassVar, Literal

from ...benchmark.problem import TensorPool
from ..common.retrained import OneClassTask
from ..common.trained_judges import JudgeData, TrainedJudgesTask
from . import data


class DigitsTask(TrainedJudgesTask, OneClassTask):
    """Forgets one of the digits; images are in [-1, 1]."""

    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "embedded"
    num_classes: ClassVar[int] = data.NUM_CLASSES
    image_shape: ClassVar[tuple[int, int, int]] = (1, data.SIZE, data.SIZE)

    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``."""
        return TensorPool(*data.load_split().train)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        train, test = data.load_split()
        return JudgeData(TensorPool(*train), TensorPool(*test))

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return data.load_split().train.sha256()
