"""What the family's tasks are made of: base model, data and judges, how they are prepared and found again."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from ...benchmark.errors import BenchmarkError
from ...benchmark.records import places
from ...benchmark.records.assets import AssetFolder
from ...benchmark.records.files import canonical_sha256, write_atomically
from ...benchmark.records.record import Sha256
from ...benchmark.task import Progress, Task
from ..data.dataset import DataSet
from ..data.labelled import LabelledRows
from ..data.pools import to_bytes
from ..judges import extractors
from ..judges.extractors import Distances
from ..judges.judge import Extractor, Judge
from ..judges.timm import TimmSpec, load_judge, parse_judge, weights_file
from . import base as bases
from . import evaluation, latent_cache

_SIZES = ("forget_images", "retain_images_per_class", "reference_images_per_class")
_PREPARED_BY = ("forget_class", "base", "revision", "data", "judges", "distances", *_SIZES)
"""The settings that preparing depends on."""


class JudgeFacts(BaseModel):
    """What preparing found out about a judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Sha256
    accuracy: float
    """On the reference images, top-1."""
    images: int


class Prepared(BaseModel):
    """What a prepared task is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Sha256]
    """The hash of every file of the base model."""
    judges: dict[str, JudgeFacts]
    extractor: Sha256 | None
    """The hash of its weights; None where the first judge's features serve the distances."""
    train: latent_cache.Kept
    reference: latent_cache.Kept


class PreparedTask(Task):
    """A task on a public latent DiT whose latents and real images' features are cached. What is asked of it comes on top."""

    path_settings: ClassVar[frozenset[str]] = frozenset({"base", "revision", "data", "judges"})
    pictures: ClassVar[DataSet]
    """What the model was trained on."""
    cached_together: ClassVar[tuple[int, ...]] = ()
    """Classes of whose training images as many are cached as of the forgotten one, so that one pass serves them all."""

    forget_class: Annotated[int, Field(ge=0)]
    """The class to forget."""
    base: str
    """The model: a name on the hub, or a folder that ``DiTPipeline.save_pretrained`` wrote."""
    revision: str | None = None
    """The commit, where the base is on the hub."""
    data: str | None = None
    """A folder with the data, where it is not found by itself."""
    judges: Annotated[tuple[str, ...], Field(min_length=1)]
    """timm classifiers, each ``NAME`` or ``NAME=FILE.safetensors``, with ``@SHA256`` behind to pin the weights."""
    distances: Distances = "judge"
    """Whose features the distances to real images are measured in: the first judge's, Inception's or DINOv2's."""
    forget_images: Annotated[int, Field(ge=2)] = 1300
    """Training images of the class at most; ImageNet has no more than 1,300. Methods see all but the first ten, or half."""
    retain_images_per_class: Annotated[int, Field(ge=1)] = 10
    """Training images of every other class; the published run sees 600 retain images in all."""
    reference_images_per_class: Annotated[int, Field(ge=1)] = 50
    """Validation images of every class that samples are compared with; ImageNet has no more than 50."""

    @field_validator("judges")
    @classmethod
    def _known_judges(cls, judges: tuple[str, ...]) -> tuple[str, ...]:
        names = [parse_judge(text).judge for text in judges]
        if len(set(names)) != len(names):
            raise ValueError("two judges have the same name")
        return judges

    # Its data.

    def source(self) -> str:
        """Returns where the data is: a folder, or its name on the hub."""
        return self.data or self.pictures.where()

    def images(self, split: str) -> LabelledRows:
        """Returns a split of the data."""
        way_out = f"{self.pictures.way_out()}, or name it with `--set data=FOLDER`"
        return self.pictures.rows(self.source(), split, way_out=way_out)

    def cut(self) -> DataSet:
        """Returns the data set that cuts pictures as the model's authors did, to the model's size."""
        return dataclasses.replace(self.pictures, size=self.shapes().image_size, fit="adm")

    # What is prepared.

    @property
    def assets(self) -> AssetFolder:
        """The task's files."""
        return AssetFolder(self.name, places.SHIPPED / self.name, self.prepare_command)

    def missing(self) -> list[str]:
        """See ``Task.missing``."""
        try:
            if self._note().is_file() or not bases.is_hub_name(self.base):
                self.shapes()
            for spec in self._specs():
                if spec.file is not None or self._note().is_file():
                    weights_file(spec, download=False)
            self._prepared()
        except BenchmarkError as error:
            return [str(error)]
        lacking = extractors.missing(self.distances)
        return [] if lacking is None else [lacking]

    def assets_sha256(self) -> str:
        """See ``Task.assets_sha256``: of the files of model and judges, and of the pixels, wherever they lie."""
        prepared = self._prepared()
        return canonical_sha256(
            {
                "base": prepared.base,
                "judges": [[name, facts.sha256] for name, facts in prepared.judges.items()],
                "extractor": prepared.extractor,
                "train": prepared.train.sha256,
                "reference": prepared.reference.sha256,
            }
        )

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``: fetches base and judges, caches latents and features. It starts with what can fail early."""
        if self.missing():
            folder = bases.locate(self.base, self.revision, download=True)
            self.shapes()
            for spec in self._specs():
                weights_file(spec, download=True)
            extractors.prepare(self.distances)
            train, validation = (self.images(split) for split in (self.pictures.train, self.pictures.test))
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            encode = latent_cache.latents_of(bases.load_vae(folder).to(device))
            hashed = bases.hashes(folder)
            vae = {name: sha256 for name, sha256 in hashed.items() if name.startswith("vae")}
            latents = f"latents-{self._key(self._selection(), vae)}"
            kept = latent_cache.fill(self.assets, latents, self.cut(), train, self._selection(), encode, progress)
            prepared = self._prepare_reference(validation, device, progress, hashed, kept)
            write_atomically(self._note(), prepared.model_dump_json(indent=1).encode() + b"\n")
        return self.assets.writable

    def _prepare_reference(
        self,
        validation: LabelledRows,
        device: torch.device,
        progress: Progress,
        hashed: dict[str, str],
        train: latent_cache.Kept,
    ) -> Prepared:
        """Computes every judge's features of the real images, and how often each is right on them."""
        shapes = self.shapes()
        judges = self._load_judges(device)
        selection = latent_cache.Selection(self.reference_images_per_class, {}, shapes.num_classes)
        extractor = self._extractor(device)
        weights = extractors.weights_sha256(self.distances)

        def look(images: Tensor) -> dict[str, Tensor]:
            seen = evaluation.look(judges, extractor[1] if extractor else None, to_bytes(images))
            guesses = {f"guess.{name}": labels for name, labels in seen.labels.items()}
            return {"features": torch.from_numpy(seen.features)} | guesses

        prefix = f"reference-{self._key(selection, [(name, judge.sha256) for name, judge in judges.items()], weights)}"
        kept = latent_cache.fill(self.assets, prefix, self.cut(), validation, selection, look, progress)
        right: dict[str, list[Tensor]] = {name: [] for name in judges}
        for found in map(self.assets.load, kept.files):
            for name in judges if "features" in found else ():
                right[name].append(found[f"guess.{name}"] == found["labels"])
        if not any(right.values()):
            raise BenchmarkError(f"The validation split of {self.source()} is empty; restore it.")
        facts = {}
        for name, judge in judges.items():
            hits = torch.cat(right[name])
            facts[name] = JudgeFacts(sha256=judge.sha256, accuracy=float(hits.float().mean()), images=len(hits))
        return Prepared(base=hashed, judges=facts, extractor=weights, train=train, reference=kept)

    def shapes(self) -> bases.Shapes:
        """Returns what the base model is.

        Raises:
            BenchmarkError: It is missing, is no DiT, or does not know the class to forget.
        """
        found = _shapes(self._folder())
        if self.forget_class >= found.num_classes:
            raise BenchmarkError(
                f"The base model {self.base} knows the classes 0 to {found.num_classes - 1}, so it cannot forget "
                f"{self.forget_class}; choose another `--set forget_class=...`."
            )
        return found

    def _folder(self) -> Path:
        return bases.locate(self.base, self.revision, download=False)

    def _checked_base(self, prepared: Prepared) -> Path:
        folder = self._folder()
        if bases.hashes(folder) != prepared.base:
            raise BenchmarkError(
                f"The base model in {folder} is not the one that the task was prepared with (another sha256); restore it, or "
                f"delete {self._note()} and prepare the task again."
            )
        return folder

    def _specs(self) -> list[TimmSpec]:
        return [parse_judge(text) for text in self.judges]

    def _load_judges(self, device: torch.device, prepared: Prepared | None = None) -> dict[str, Judge]:
        count = self.shapes().num_classes
        expected = {name: facts.sha256 for name, facts in prepared.judges.items()} if prepared else {}
        return {
            spec.judge: load_judge(spec, count, device=device, expected=expected.get(spec.judge))
            for spec in self._specs()
        }

    def _extractor(self, device: torch.device, prepared: Prepared | None = None) -> tuple[str, Extractor] | None:
        found = extractors.of_distances(self.distances)
        if found is None:
            return None
        if prepared is not None and found[1].sha256 != prepared.extractor:
            raise BenchmarkError(
                f"The weights of the features '{self.distances}' in {extractors.features_folder()} are not those that the task "
                f"was prepared with (another sha256); restore them, or delete {self._note()} and prepare the task again."
            )
        return found[0], found[1].to(device)

    def _selection(self) -> latent_cache.Selection:
        count = self.shapes().num_classes
        classes = self.cached_together if self._shares_cache() else (self.forget_class,)
        whole = {label: self.forget_images for label in classes if label < count}
        return latent_cache.Selection(self.retain_images_per_class, whole, count)

    def _shares_cache(self) -> bool:
        return self.forget_class in self.cached_together

    def _key(self, *what: Any) -> str:
        return canonical_sha256([self.source(), *what])[:12]

    def _note(self) -> Path:
        """The file that says what the task was prepared with; another for other files or numbers of images."""
        sizes = [getattr(self, name) for name in _SIZES]
        what = [
            self.base,
            self.revision,
            self.judges,
            self.distances,
            sizes,
            None if self._shares_cache() else self.forget_class,
        ]
        return self.assets.writable / f"prepared-{self._key(*what)}.json"

    def _prepared(self) -> Prepared:
        path = self._note()
        try:
            found = Prepared.model_validate_json(path.read_bytes())
        except OSError:
            raise self._unprepared() from None
        except ValidationError:
            raise BenchmarkError(f"{path} is damaged; delete it and prepare the task again.") from None
        files = [*found.train.files, *found.reference.files]
        if not all((self.assets.writable / name).is_file() for name in files):
            raise self._unprepared()
        return found

    def _unprepared(self) -> BenchmarkError:
        return BenchmarkError(
            f"The task '{self.name}' lacks its base model, its judges or what is cached of its data; run "
            f"`{self.prepare_command(_PREPARED_BY)}`."
        )


@functools.cache
def _shapes(folder: Path) -> bases.Shapes:
    return bases.shapes(folder)
