"""What the tasks on scikit-learn's digits share."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ...benchmark.problem import TensorPool
from ..data import digits
from .retrained import OneClassTask
from .trained_judges import JudgeData, TrainedJudgesTask


class DigitsTask(TrainedJudgesTask, OneClassTask):
    """Forgets one of the digits; images are in [-1, 1]."""

    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "embedded"
    num_classes: ClassVar[int] = digits.NUM_CLASSES
    image_shape: ClassVar[tuple[int, int, int]] = (1, digits.SIZE, digits.SIZE)
    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple({"forget_class": digit} for digit in (0, 3, 8))
    tuning_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple({"forget_class": digit} for digit in (1, 7))

    def training_pool(self) -> TensorPool:
        """See ``RetrainedTask.training_pool``."""
        return TensorPool(*digits.load_split().train)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        train, test = digits.load_split()
        return JudgeData(TensorPool(*train), TensorPool(*test))

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return digits.load_split().train.sha256()
