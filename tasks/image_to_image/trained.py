"""Masked autoencoders for 64x64 photographs, with base, oracles and judges that ``prepare`` trains."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch

from ...benchmark.errors import BenchmarkError
from ...benchmark.measuring.device import resolve_device
from ...benchmark.task import Progress
from ..data.dataset import DataSet
from ..data.pictures import Pictures
from ..data.pools import BytePool
from ..judges.classifiers import JudgeRecipe
from ..retraining.trained_judges import JudgeData, TrainedJudgesTask
from ..training.recipe import TrainingRecipe
from .holes import Hole, quarter_holes
from .inpainter import Filling, Inpainter
from .mae import MAE, small_mae
from .photographs import PictureTask, Sizes, first_pictures
from .task import ImageToImageTask

SIZE = 64
GRID = 8
"""The holes' edges lie on multiples of this many pixels; patches may be smaller."""


class Preset(NamedTuple):
    """A size of everything."""

    patch: int
    width: int
    layers: int
    decoder_layers: int
    recipe: TrainingRecipe
    judges: tuple[JudgeRecipe, ...]
    sizes: Sizes
    each: int | None = None
    """Pictures of each class that base, oracles and judges are trained on; all there are unless given."""


def _judge(architecture: str, steps: int, lr: float) -> JudgeRecipe:
    return JudgeRecipe(architecture, steps, channels=3, input_size=SIZE, mirrored=True, lr=lr)


PRESETS = {
    "small": Preset(
        patch=8,
        width=96,
        layers=4,
        decoder_layers=2,
        # After 1,500 steps it paints the mean colours of a hole's surroundings, and knows of no class.
        recipe=TrainingRecipe(steps=9000, batch_size=64, lr=1e-3),
        judges=(_judge("test_resnet", 1500, 4e-3), _judge("test_efficientnet", 1500, 4e-3)),
        sizes=Sizes(method=200, judged=25),
    ),
    "full": Preset(
        patch=4,
        width=256,
        layers=8,
        decoder_layers=4,
        recipe=TrainingRecipe(steps=15_000, batch_size=256, lr=1e-3),
        judges=(_judge("resnet18", 6000, 1e-3), _judge("efficientnet_b0", 6000, 2e-3)),
        sizes=Sizes(method=500, judged=50),
    ),
}


class TrainedMAETask(PictureTask, TrainedJudgesTask, ImageToImageTask):  # type: ignore[override]
    """In-painting 64x64 photographs with a small masked autoencoder. A concrete task says which data."""

    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    run_seconds: ClassVar[float] = 2 * 3600.0
    image_shape: ClassVar[tuple[int, int, int]] = (3, SIZE, SIZE)
    libraries: ClassVar[tuple[str, ...]] = ("transformers.models.vit_mae.modeling_vit_mae",)
    batch_size: ClassVar[int] = 64
    filling: ClassVar[Filling] = MAE
    test_holes: ClassVar[dict[str, Hole]] = quarter_holes(GRID)
    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    data: ClassVar[DataSet]

    preset: Literal["small", "full"] = "small"
    """``small`` trains on a CPU core, half an hour a model, ``full`` on a GPU within the hour."""

    @property
    def _preset(self) -> Preset:
        return self.presets[self.preset]

    @property
    def recipe(self) -> TrainingRecipe:  # type: ignore[override]
        """See ``RetrainedTask.recipe``."""
        return self._preset.recipe

    @property
    def judge_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """See ``RetrainedTask.judge_names``."""
        return tuple(f"{recipe.architecture.replace('_', '-')}-{self.preset}" for recipe in self._preset.judges)

    @property
    def training_device(self) -> torch.device:
        """See ``RetrainedTask.training_device``: a GPU where there is one."""
        return resolve_device("auto")

    def judge_recipe(self, name: str) -> JudgeRecipe:
        """See ``TrainedJudgesTask.judge_recipe``."""
        return self._preset.judges[self.judge_names.index(name)]

    def sizes(self) -> Sizes:
        """See ``PictureTask.sizes``."""
        return self._preset.sizes

    def network(self) -> Inpainter:
        """See ``RetrainedTask.network``."""
        chosen = self._preset
        return small_mae(SIZE, chosen.patch, 3, chosen.width, chosen.layers, chosen.decoder_layers)

    def wanted_classes(self) -> list[str] | None:
        """See ``PictureTask.wanted_classes``: those of the base model, where there is one."""
        return list(self.assets.entry(self.base_file).made["classes"]) if self.assets.has(self.base_file) else None

    def training_pool(self) -> BytePool:
        """See ``RetrainedTask.training_pool``: of the classes that the base model is, or will be, trained on."""
        return BytePool(*self._load(self.data.train), mirrored=True)

    def judge_data(self) -> JudgeData:
        """See ``TrainedJudgesTask.judge_data``."""
        return JudgeData(self.training_pool(), BytePool(*self._load(self.data.test)))

    # Files.

    def request(self) -> str:
        """See ``RetrainedTask.request``."""
        return f"{self.preset}-{self.split}"

    @property
    def base_file(self) -> str:
        """See ``RetrainedTask.base_file``."""
        return f"base-{self.preset}.safetensors"

    def files(self) -> list[str]:
        """See ``RetrainedTask.files``."""
        return [self.pools_file, *super().files()]

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``: the pictures first, which say what is forgotten.

        Raises:
            BenchmarkError: They are of other classes than the base model's.
        """
        self.prepare_pools(progress)
        if self.wanted_classes() not in (None, self._made()["classes"]):
            raise BenchmarkError(
                f"{self.assets.place(self.pools_file)} holds pictures of other classes than the base model was trained on; "
                f"delete it and run `{self.prepare_command()}`."
            )
        return super().prepare(progress)

    def facts(self) -> dict[str, Any]:
        """See ``RetrainedTask.facts``."""
        return {"classes": self._made()["classes"]}

    def _load(self, split: str) -> Pictures:
        where = self.data.where()
        return _all_pictures(self.data, where, split, tuple(self.labels_in(where).values()), self._preset.each)


@functools.lru_cache(maxsize=2)
def _all_pictures(data: DataSet, where: str, split: str, labels: tuple[int, ...], each: int | None) -> Pictures:
    return first_pictures(data, where, split, labels, dict.fromkeys(range(len(labels)), each))
