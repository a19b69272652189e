"""Tasks on photographs of many classes: which pictures are forgotten, kept and judged, chosen once and kept as one file."""

from __future__ import annotations

import hashlib
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from ...benchmark.errors import BenchmarkError, shortened
from ...benchmark.problem import Pool
from ...benchmark.records import places
from ...benchmark.records.assets import AssetFolder
from ...benchmark.records.files import canonical_sha256
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Progress
from ..data.dataset import DataSet
from ..data.pictures import Pictures, photographs
from ..data.pools import BytePool, from_bytes
from ..data.splits import ClassSplit, SplitName, World, choose, class_key
from .evaluation import Pools
from .task import InpaintingTask


class Sizes(NamedTuple):
    """How many pictures are taken of a class."""

    method: int
    """Training pictures, forgotten and retained, for methods."""
    judged: int
    """Pictures of every judged pool."""


class PictureTask(InpaintingTask):
    """Stops an in-painter from filling holes in photographs of some classes of a data set of many."""

    clustered: ClassVar[bool] = True
    request_settings: ClassVar[frozenset[str]] = frozenset({"split"})
    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = ({"split": 0}, {"split": 1})
    tuning_requests: ClassVar[tuple[dict[str, Any], ...]] = ({"split": 2},)
    data: ClassVar[DataSet]
    world: ClassVar[World]
    """Whose class names and superclasses the data has."""
    forget_count: ClassVar[int]
    """How many classes a random split forgets, if there are enough."""
    unseen_images: ClassVar[int] = 200
    unseen_from: ClassVar[DataSet | None] = None
    """Pictures of another kind, where they are at hand; else squares of two photographs that scikit-learn ships."""

    split: SplitName = 0
    """0, 1 or 2: a random split with as many classes of each superclass on either side; or li2024-released: theirs."""
    retain_data: Literal["real", "proxy"] = "real"
    """Whether methods see pictures of the retained classes, or of other classes in their place."""

    @abstractmethod
    def sizes(self) -> Sizes:
        """Returns how many pictures are taken."""

    @property
    def assets(self) -> AssetFolder:
        """The task's files."""
        return AssetFolder(self.name, places.SHIPPED / self.name, self.prepare_command)

    @property
    def pools_file(self) -> str:
        """The name of the file with the pictures."""
        return f"pictures-{self.split}-{self.sizes().method}-{self.sizes().judged}.safetensors"

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """The classes that the data has."""
        return len(self._made()["classes"])

    def wanted_classes(self) -> list[str] | None:
        """Returns the keys of the classes that are taken of the data, see ``class_key``; None takes all that it has."""
        return None

    def class_split(self) -> ClassSplit:
        """Returns which classes are forgotten and kept."""
        return ClassSplit(*(tuple(self._made()[part]) for part in ClassSplit._fields))

    def forgotten(self) -> tuple[int, ...]:
        """See ``InpaintingTask.forgotten``."""
        return self.class_split().forget

    def data_sha256(self) -> str:
        """See ``InpaintingTask.data_sha256``: of the pictures."""
        return self.assets.entry(self.pools_file).sha256

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        made = self._made()
        return {
            **super().evaluation_protocol(),
            "unseen": made["unseen"],
            "forget": made["forget"],
            "retain": made["retain"],
        }

    def request_of(self) -> dict[str, Any]:
        """See ``Task.request_of``: the released split is no request, since a superclass gives it away; it has its own board."""
        return super().request_of() if isinstance(self.split, int) else {}

    def shared_protocol(self) -> dict[str, Any]:
        """See ``Task.shared_protocol``: all but which classes are forgotten and kept."""
        return {key: value for key, value in super().shared_protocol().items() if key not in ("forget", "retain")}

    def image_counts(self) -> dict[str, int]:
        """See ``InpaintingTask.image_counts``."""
        return dict(self._made()["counts"])

    def pixel_moments(self) -> tuple[Tensor, Tensor]:
        """See ``InpaintingTask.pixel_moments``: of the methods' training pictures."""
        return torch.tensor(self._made()["mean"]), torch.tensor(self._made()["deviation"])

    def method_pools(self) -> tuple[Pool, Pool]:
        """See ``InpaintingTask.method_pools``.

        Raises:
            BenchmarkError: No class is left that could stand in for the retained ones.
        """
        kept = "train.retain" if self.retain_data == "real" else "train.proxy"
        sets = self._sets()
        if kept not in sets:
            raise BenchmarkError(
                f"Every class of the data of '{self.name}' is forgotten or retained, so that none can stand in for the "
                "retained ones; leave out `--set retain_data=proxy` or give more classes."
            )
        return sets["train.forget"], sets[kept]

    def pools(self) -> Pools:
        """See ``InpaintingTask.pools``."""
        sets, most = self._sets(), self.sizes().judged
        return Pools(
            forget=sets["test.forget"],
            forget_train=_first(sets["train.forget"], most),
            retain=sets["test.retain"],
            retain_train=_first(sets["train.retain"], most),
            near=sets["test.near"],
            unseen=sets["unseen"],
        )

    def prepare_pools(self, progress: Progress) -> None:
        """Chooses the pictures and writes them, unless that is done.

        Raises:
            BenchmarkError: The data cannot be read or lacks a class, or no class could be forgotten or kept.
        """
        if self.assets.has(self.pools_file):
            return
        start = time.perf_counter()
        where = self.data.where()
        keys = list(self.labels_in(where))
        split = choose(keys, self.world, self.split, self.forget_count)
        sets = self._choose_pictures(where, split, progress)
        train = from_bytes(torch.cat([sets[name].images for name in ("train.forget", "train.retain")]))
        made = {
            "source": where if where == self.data.hub_id else f"a folder in the layout of {self.data.hub_id}",
            "classes": keys,
            **split._asdict(),
            "unseen": self._unseen_name(),
            "counts": _counts(sets, self.sizes().judged),
            "mean": float(train.mean()),
            "deviation": float(train.std()),
            "pixels": pixels_sha256(sets.values()),
            "seconds": round(time.perf_counter() - start, 1),
        }
        tensors = {f"{name}.images": pool.images for name, pool in sets.items()}
        self.assets.save(
            self.pools_file, tensors | {f"{name}.labels": pool.labels for name, pool in sets.items()}, made
        )

    def labels_in(self, where: str) -> dict[str, int]:
        """Returns the classes that are taken, in the order of the task's own labels, and the labels that a copy gives them.

        Raises:
            BenchmarkError: The data cannot be read, or lacks a class.
        """
        names = self.data.class_names(where)
        found = {class_key(name, label, len(names), self.world): label for label, name in enumerate(names)}
        wanted = self.wanted_classes()
        if wanted is None:
            return found
        if lacking := [key for key in wanted if key not in found]:
            raise BenchmarkError(
                f"The models of '{self.name}' were trained on {len(wanted)} classes, of which the data in {where} lacks "
                f"{shortened(lacking)}; add them, or make models for the data with `{self.prepare_command()} --out FOLDER`."
            )
        return {key: found[key] for key in wanted}

    def _choose_pictures(self, where: str, split: ClassSplit, progress: Progress) -> dict[str, BytePool]:
        sizes, data = self.sizes(), self.data
        proxies = -(-sizes.method * len(split.retain) // len(split.others)) if split.others else 0
        train = dict.fromkeys(split.forget + split.retain, sizes.method) | dict.fromkeys(split.others, proxies)
        progress("training pictures", 0, 3)
        labels = tuple(self.labels_in(where).values())
        taken = _shuffled(first_pictures(data, where, data.train, labels, train))
        progress("test pictures", 1, 3)
        shown = dict.fromkeys(split.forget + split.retain + split.near, sizes.judged)
        judged = _shuffled(first_pictures(data, where, data.test, labels, shown))
        progress("unseen pictures", 2, 3)
        sets = {
            "train.forget": _of(taken, split.forget),
            "train.retain": _of(taken, split.retain),
            "test.forget": _of(judged, split.forget),
            "test.retain": _of(judged, split.retain),
            "test.near": _of(judged, split.near or split.retain),
            "unseen": self._unseen(),
        }
        return sets | ({"train.proxy": _of(taken, split.others)} if split.others else {})

    def _unseen(self) -> BytePool:
        other = self.unseen_from
        folder = other.found() if other is not None else None
        if other is None or folder is None:
            return BytePool(*photographs(self.data.size, self.unseen_images))
        count = len(other.class_names(folder))
        images, labels = _shuffled(
            other.first(folder, other.test, dict.fromkeys(range(count), -(-self.unseen_images // count)))
        )
        return BytePool(images, torch.full_like(labels, -1))

    def _unseen_name(self) -> str:
        other = self.unseen_from
        found = other is not None and other.found() is not None
        return other.folder if found and other is not None else "squares of scikit-learn's sample photographs"

    def _made(self) -> dict[str, Any]:
        return self.assets.entry(self.pools_file).made

    def _sets(self) -> dict[str, BytePool]:
        return _load_sets(self.assets, self.pools_file, self.data_sha256())


def first_pictures(
    data: DataSet, where: str, split: str, labels: Sequence[int], limits: Mapping[int, int | None]
) -> Pictures:
    """Returns the first pictures of some classes, labelled as a task counts them.

    Args:
        data: The data set.
        where: A copy of it.
        split: The data set's name of the split.
        labels: Those of the copy, by the task's own.
        limits: How many pictures of which of the task's labels, None for all.

    Raises:
        BenchmarkError: See ``DataSet.first``.
    """
    images, found = data.first(where, split, {labels[own]: most for own, most in limits.items()})
    return Pictures(images, torch.tensor([labels.index(label) for label in found.tolist()]))


def pixels_sha256(pools: Iterable[BytePool]) -> str:
    """Returns the hash of pixels and labels, pool by pool."""
    digests = [hashlib.sha256(pool.images.numpy().tobytes() + pool.labels.numpy().tobytes()) for pool in pools]
    return canonical_sha256([digest.hexdigest() for digest in digests])


def _load_sets(assets: AssetFolder, file: str, sha256: str) -> dict[str, BytePool]:
    """Reads the file once a process: it is checked and then kept in memory."""
    key = (str(assets.writable), file, sha256)
    if key not in _KEPT:
        found = assets.load(file)
        names = [name.removesuffix(".images") for name in found if name.endswith(".images")]
        _KEPT.clear()
        _KEPT[key] = {name: BytePool(found[f"{name}.images"], found[f"{name}.labels"]) for name in names}
    return _KEPT[key]


_KEPT: dict[tuple[str, str, str], dict[str, BytePool]] = {}


def _shuffled(pictures: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the same pictures in an order that carries no pattern: data sets are sorted by class."""
    images, labels = pictures
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed("pictures", len(labels))))
    return images[order], labels[order]


def _of(pictures: tuple[Tensor, Tensor], classes: tuple[int, ...]) -> BytePool:
    images, labels = pictures
    chosen = torch.isin(labels, torch.tensor(classes))
    return BytePool(images[chosen], labels[chosen])


def _first(pool: BytePool, most: int) -> BytePool:
    """The first pictures of every class."""
    earlier = torch.zeros(len(pool), dtype=torch.long)
    for label in pool.labels.unique():
        mine = pool.labels == label
        earlier[mine] = torch.arange(int(mine.sum()))
    return pool.where(earlier < most)


def _counts(sets: dict[str, BytePool], most: int) -> dict[str, int]:
    return {
        "forget": len(sets["test.forget"]),
        "forget_train": len(_first(sets["train.forget"], most)),
        "retain": len(sets["test.retain"]),
        "retain_train": len(_first(sets["train.retain"], most)),
        "near": len(sets["test.near"]),
        "unseen": len(sets["unseen"]),
    }
