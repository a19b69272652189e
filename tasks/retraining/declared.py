"""Tasks whose pictures are a declared data set."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator

from ...benchmark.metrics import measures
from ..data.dataset import DataSet
from ..data.pools import BytePool, ImagePool
from ..judges.fixed import fixed_features
from ..judges.judge import Judge, labels_of
from ..judges.report import Report
from .retrained import OneClassTask


class DataSetTask(OneClassTask):
    """Forgets a class of a declared data set, which says how many classes there are and how large pictures are."""

    data: ClassVar[DataSet]
    mirrored: ClassVar[bool] = False
    """Whether every second training picture is mirrored, on average."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Takes over what the declaration says.

        Raises:
            ValueError: A task has none, or one of less than two classes.
        """
        if hasattr(cls, "name") and not hasattr(cls, "data"):
            raise ValueError(f"the task '{cls.name}' declares no `data`")
        if "data" in vars(cls):
            if len(cls.data.classes) < 2:
                raise ValueError(
                    f"the data of '{cls.__name__}' declares fewer than two classes, so that none could be kept"
                )
            cls.num_classes = len(cls.data.classes)
            cls.image_shape = (cls.data.channels, cls.data.size, cls.data.size)

    @field_validator("forget_class", check_fields=False)
    @classmethod
    def _is_a_class(cls, label: int) -> int:
        if not 0 <= label < cls.num_classes:
            raise ValueError(f"the classes are 0 to {cls.num_classes - 1}")
        return label

    def missing(self) -> list[str]:
        """See ``Task.missing``: the data where neither a folder nor the hub can give it, and files."""
        lacking = self.data.lacking()
        return ([f"The task '{self.name}' lacks its data. {lacking}"] if lacking else []) + super().missing()

    def fetched(self) -> list[str]:
        """See ``Task.fetched``: the data, where only the hub has it."""
        return [] if self.data.found() or self.data.hub_id is None else [self.data.hub_id]

    def training_pool(self) -> ImagePool:
        """See ``RetrainedTask.training_pool``."""
        return BytePool(*self.data.load(self.data.train), mirrored=self.mirrored)

    def add_judge_accuracy(self, report: Report) -> None:
        """Adds how often each judge is right on the data's test pictures."""
        images, labels = self.data.load(self.data.test)
        for name, judge in report.judges.items():
            if isinstance(judge, Judge):
                found = labels_of(judge, fixed_features(judge, images))
                report.add(
                    "judge_accuracy",
                    measures.proportion(found == labels),
                    judge=name,
                    reference_sha256=self.data_sha256(),
                    protocol="real test images",
                )

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return self.data.identity()
