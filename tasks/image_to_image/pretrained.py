"""Tasks on public checkpoints: nothing is trained, so there is no oracle, and the board shows the suppression track alone."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator

from ...benchmark import numerics
from ...benchmark.errors import BenchmarkError
from ...benchmark.measuring.device import CPU
from ...benchmark.method import Method
from ...benchmark.records.files import canonical_sha256, file_sha256
from ...benchmark.task import Progress
from ..data import hub
from ..judges.judge import Judge
from ..judges.timm import TimmSpec, load_judge, parse_judge, weights_file
from .checkpoints import WEIGHTS, checkpoint_sha256
from .evaluation import Drawing
from .inpainter import Inpainter
from .photographs import PictureTask, Sizes
from .problem import ImageToImageProblem


class PretrainedTask(PictureTask):
    """Takes its in-painter from the hub or from a folder in ``from_pretrained`` layout."""

    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "paper"
    parts: ClassVar[tuple[str, ...]] = ("",)
    """The folders of the checkpoint that are loaded."""
    path_settings: ClassVar[frozenset[str]] = frozenset({"base"})
    way_out: ClassVar[str]
    """What to do without a base model, as the end of a sentence."""

    base: str
    """A name on the hub, or a folder in the same layout."""
    revision: str | None = None
    """The hub's commit."""
    judges: tuple[str, ...] = ()
    """timm's names, as ``NAME``, ``NAME=FILE.safetensors``, with ``@SHA256`` behind;
    the first one's features serve the distances."""
    train_images: int = 100
    """Training pictures of each class for methods."""
    test_images: int = 10
    """Pictures of each class in the judged pools."""

    fast_sampling: bool = False
    """Whether holes are filled with TF32, fused attention and bfloat16: for a GPU alone, and in numbers of their own."""

    @field_validator("judges")
    @classmethod
    def _readable(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        names = [parse_judge(text).judge for text in found]
        if len(set(names)) < len(names):
            raise ValueError("name each judge once")
        return found

    @field_validator("train_images", "test_images")
    @classmethod
    def _positive_count(cls, count: int) -> int:
        if count < 1:
            raise ValueError("take one picture of a class or more")
        return count

    @abstractmethod
    def load(self, folder: Path) -> Inpainter:
        """Returns the in-painter that a checkpoint holds, in evaluation mode.

        Raises:
            BenchmarkError: It holds another kind of model, or one of another size.
        """

    def drawing(self) -> Drawing:
        """See ``InpaintingTask.drawing``."""
        return dataclasses.replace(super().drawing(), fast=self.fast_sampling)

    def sampling(self) -> str:
        """See ``InpaintingTask.sampling``."""
        return f"{super().sampling()}, {numerics.FAST_NAME}" if self.fast_sampling else super().sampling()

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        return {**super().evaluation_protocol(), "numerics": numerics.name_of(self.fast_sampling)}

    def problem(self, method: Method, seed: int, device: torch.device) -> ImageToImageProblem:
        """See ``Task.problem``. What the evaluation could not do is said before the method's work."""
        if self.fast_sampling:
            numerics.check_fast(device)
        return super().problem(method, seed, device)

    def sizes(self) -> Sizes:
        """See ``PictureTask.sizes``."""
        return Sizes(self.train_images, self.test_images)

    def load_base(self) -> Inpainter:
        """See ``InpaintingTask.load_base``."""
        return self.load(self.folder())

    def load_judges(self, device: torch.device = CPU) -> dict[str, Judge]:
        """See ``InpaintingTask.load_judges``."""
        return {spec.judge: load_judge(spec, self.num_classes, device=device) for spec in self._specs()}

    def folder(self, *, download: bool = False) -> Path:
        """Returns the folder of the checkpoint.

        Raises:
            BenchmarkError: It is not there, or not on this machine.
        """
        if self.base and Path(self.base).is_dir():
            return Path(self.base)
        if not self.base or self.base.startswith((".", "/", "~")) or self.base.count("/") != 1:
            named = f"there is no folder {self.base}" if self.base else "none is named"
            raise BenchmarkError(f"The task '{self.name}' lacks its base model: {named}; {self.way_out}.")
        patterns = [f"{part}/*" if part else "*" for part in self.parts]
        kinds = [pattern.removesuffix("*") + end for pattern in patterns for end in ("*.json", "*.txt", WEIGHTS)]
        return hub.fetch_folder(self.base, kinds, revision=self.revision, download=download, way_out=self.way_out)

    # Files.

    def missing(self) -> list[str]:
        """See ``Task.missing``."""
        try:
            self.folder()
            for spec in self._specs():
                weights_file(spec, download=False)
        except BenchmarkError as error:
            return [f"{error} Or run `{self.prepare_command()}` online."]
        if not self.assets.has(self.pools_file):
            return [f"The task '{self.name}' lacks its pictures; run `{self.prepare_command()}`."]
        return []

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``: what can fail early comes first."""
        progress("base model", 0, 1)
        self.load(self.folder(download=True))
        for spec in self._specs():
            weights_file(spec, download=True)
        self.prepare_pools(progress)
        self.load_judges()
        return self.assets.writable

    def assets_sha256(self) -> str:
        """See ``Task.assets_sha256``: of the pictures, the checkpoint and the judges, wherever they lie."""
        return self._hash_with({"pictures": self.data_sha256()})

    def shared_assets_sha256(self) -> str:
        """See ``Task.shared_assets_sha256``: of the data's classes, the checkpoint and the judges."""
        return self._hash_with({"classes": self._made()["classes"]})

    def _hash_with(self, data: dict[str, Any]) -> str:
        judges = {spec.judge: file_sha256(weights_file(spec, download=False)) for spec in self._specs()}
        return canonical_sha256(data | {"base": checkpoint_sha256(self.folder(), self.parts), "judges": judges})

    def _specs(self) -> list[TimmSpec]:
        return [parse_judge(text) for text in self.judges]
