"""Tasks whose judges are small classifiers that the suite trains on the task's own training images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from torch import nn

from ..data.pools import ImagePool
from ..judges import classifiers
from ..judges.judge import Judge
from ..training.checkpoint import Checkpoint
from .files import judge_file
from .retrained import RetrainedTask


class JudgeData(NamedTuple):
    """What judges are trained and tested on: images in [-1, 1] or bytes, and labels."""

    train: ImagePool
    test: ImagePool


class TrainedJudgesTask(RetrainedTask):
    """Trains all of its judges."""

    libraries: ClassVar[tuple[str, ...]] = ("timm",)

    @abstractmethod
    def judge_data(self) -> JudgeData:
        """Returns what the judges are trained and tested on."""

    def held_out(self) -> ImagePool:
        """Returns pictures that nothing was trained on: those that the judges are tested on."""
        return self.judge_data().test

    def judge_recipe(self, name: str) -> classifiers.JudgeRecipe:
        """Returns what a judge is and how it is trained."""
        return classifiers.small(name)

    def judge_facts(self, name: str) -> dict[str, Any]:
        """See ``RetrainedTask.judge_facts``."""
        recipe = self.judge_recipe(name)._asdict()
        return {"seed": 0, "architecture": f"timm {recipe.pop('architecture')}", **recipe}

    def train_judge(
        self, name: str, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> tuple[nn.Module, dict[str, Any]]:
        """See ``RetrainedTask.train_judge``: its accuracy on the test images."""
        (train, test), recipe = self.judge_data(), self.judge_recipe(name)
        judge = classifiers.train_judge(recipe, 0, train, self.num_classes, progress, checkpoint, self.training_device)
        return judge, {
            "test_accuracy": classifiers.accuracy(judge, test.images, test.labels),
            "test_images": len(test),
        }

    def load_judge(self, name: str) -> Judge:
        """See ``RetrainedTask.load_judge``."""
        judge = classifiers.TrainedJudge(self.judge_recipe(name), self.num_classes)
        judge.load_state_dict(self.judge_assets.load(judge_file(name)))
        return Judge(judge.eval(), self.judge_assets.entry(judge_file(name)).sha256)
