"""A data set is one declaration, and this is what loads it: from a folder of the user's or from the hub."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from ...benchmark.errors import BenchmarkError, shortened
from ...benchmark.records import places
from ...benchmark.records.files import canonical_sha256
from .labelled import DataSource, LabelledPicture, LabelledRows
from .pictures import Fit, Pictures, Pixels, Square, decode, digest


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures of some classes.

    They are looked for in a folder below ``$UNLEARNBENCH_DATA``, which holds parquet files in the hub's layout or a folder
    of PNG or JPEG files for each class, ``SPLIT/CLASS/``; then on the hub.

    Attributes:
        folder: The folder's name.
        size: Height and width of the pictures that are handed out, in pixels.
        channels: 3 for colour, 1 for grey.
        classes: What the labels stand for, in their order; empty for a set whose copies may hold a part of its classes.
        fit: How a picture becomes a square; see ``Fit``.
        shorter: What the shorter side is brought to before the middle is cut out; the size unless given.
        train: The name of the split that is trained on.
        test: The name of the split that judges are tested on.
        image: The column of pictures.
        label: The column of labels.
        hub_id: Its name on the hub; None for one that is not there.
        revision: The hub's commit.
        config: The hub's name of a part of the data, where it has several.
        also: Other names that the folder may have.
        sha256: The hash that each split must have, see ``load``; None takes any pictures.
        own_order: Whether pictures stay as they are ordered in a copy.
    """

    folder: str
    size: int
    channels: Literal[1, 3] = 3
    classes: tuple[str, ...] = ()
    fit: Fit = "crop"
    shorter: int | None = None
    train: str = "train"
    test: str = "test"
    image: str = "image"
    label: str = "label"
    hub_id: str | None = None
    revision: str | None = None
    config: str | None = None
    also: tuple[str, ...] = ()
    sha256: Mapping[str, str] | None = field(default=None, hash=False)
    own_order: bool = False

    # Where it is.

    def found(self) -> str | None:
        """Returns the folder below ``$UNLEARNBENCH_DATA`` that holds the data, if there is one."""
        found = places.data_copy(self.folder, *self.also)
        return str(found) if found else None

    def where(self) -> str:
        """Returns the folder or the hub's name that the data comes from.

        Raises:
            BenchmarkError: There is neither.
        """
        found = self.found() or self.hub_id
        if found is None:
            raise BenchmarkError(f"The data '{self.folder}' is not on the hub; {self.way_out()}.")
        return found

    def way_out(self) -> str:
        """Returns what to do where the data is not there, as the end of a sentence."""
        layout = f"as parquet files or as {self.train}/CLASS/*.png and {self.test}/CLASS/*.png"
        what = f"a copy of {self.hub_id}" if self.hub_id else f"its pictures, {layout},"
        return f"put {what} into a folder '{self.folder}' and set {places.DATA} to the folder above it"

    def lacking(self) -> str | None:
        """Returns in a sentence why the data is not there, or None; what only the hub could say is not asked."""
        try:
            if self.where() == self.hub_id and places.is_offline():
                self.load(self.test)
        except BenchmarkError as error:
            return str(error)
        return None

    # What it holds.

    def load(self, split: str) -> Pictures:
        """Loads a split, once a process, and checks it.

        Unless they keep their own order, pictures are put into the order of their hashes, so that every copy gives the same
        draws. A split's hash is that of its pictures' hashes, of pixels and label, in this order.

        Raises:
            BenchmarkError: It cannot be loaded, a picture is damaged, a class is lacking, or its hash is another.
        """
        where = self.where()
        pictures, found = _load(self, where, split)
        wanted = (self.sha256 or {}).get(split, found)
        if found != wanted:
            raise BenchmarkError(
                f"The split '{split}' of {where} is not {self.hub_id or self.folder}: its hash is {found[:12]}, not "
                f"{wanted[:12]}; {self._again()}."
            )
        return pictures

    def identity(self) -> str:
        """Returns the hash of both splits: the declared one, else that of what is there.

        Raises:
            BenchmarkError: See ``load``.
        """
        splits = (self.train, self.test)
        found = self.sha256 or {split: _load(self, self.where(), split)[1] for split in splits}
        return canonical_sha256(dict(found))

    def class_names(self, where: str) -> list[str]:
        """Returns what a copy calls its classes, in the order of its labels.

        Raises:
            BenchmarkError: The data is not there, or its labels have no names.
        """
        names = self.rows(where, self.train).class_names
        if not names:
            raise BenchmarkError(
                f"The labels of {where} have no names (its '{self.label}' is no ClassLabel); {self.way_out()}."
            )
        return names

    def first(self, where: str, split: str, limits: Mapping[int, int | None]) -> Pictures:
        """Returns the first pictures of some classes, in the order of a copy.

        Args:
            where: See ``where``.
            split: The data set's name of it.
            limits: How many pictures of which labels, None for all; others are passed over without being decoded.

        Raises:
            BenchmarkError: The data cannot be read, or a picture is damaged.
        """
        rows = self.rows(where, split)
        order = self._order(rows)
        found: list[Pixels] = []
        labels: list[int] = []
        kept: Counter[int] = Counter()
        finite = all(limit is not None for limit in limits.values())
        for row in rows.pictures():
            label = order.get(row.label, row.label)
            limit = limits.get(label, 0)
            if limit is None or kept[label] < limit:
                found.append(self.decode(row))
                labels.append(label)
                kept[label] += 1
                if finite and all(kept[other] >= (most or 0) for other, most in limits.items()):
                    break
        if not found:
            raise BenchmarkError(
                f"The split '{split}' of {where} has no picture of the wanted classes; {self.way_out()}."
            )
        return _stacked(found, labels)

    def rows(self, where: str, split: str, *, streamed: bool = True, way_out: str | None = None) -> LabelledRows:
        """Returns a split, undecoded; see ``LabelledRows``.

        Raises:
            BenchmarkError: It cannot be read, or does not have the columns.
        """
        source = DataSource(
            where, self.hub_id, self.revision, self.config, self.image, self.label, way_out or self.way_out()
        )
        return LabelledRows(source, split, streamed=streamed)

    def decode(self, row: LabelledPicture, way_out: str | None = None) -> Pixels:
        """Returns a picture, ``(size, size, channels)``.

        Raises:
            BenchmarkError: It is damaged, or has another size where it must fit exactly.
        """
        square = Square(self.size, self.channels, self.fit, self.shorter)
        return decode(row.encoded, row.name, square, way_out or self._again())

    def _order(self, rows: LabelledRows) -> dict[int, int]:
        """A copy's labels in terms of the declared classes, or of those that its training split has."""
        names = rows.class_names
        known = list(self.classes)
        if not known:
            known = names if rows.split == self.train else self.rows(rows.where, self.train).class_names
        unknown = [name for name in names if name not in known]
        if not unknown:
            return {label: known.index(name) for label, name in enumerate(names)}
        # A pinned copy is known by its hash, whatever it calls its classes.
        if self.sha256 is not None:
            return {}
        raise BenchmarkError(
            f"The split '{rows.split}' of {rows.where} holds the classes {shortened(unknown)}, which the data set does not "
            f"declare ({shortened(known)}); name the same classes in both."
        )

    def _again(self) -> str:
        if self.hub_id is None:
            return "replace it"
        revision = f" at revision {self.revision[:12]}" if self.revision else ""
        return f"get {self.hub_id}{revision} again"


@functools.cache
def _load(data: DataSet, where: str, split: str) -> tuple[Pictures, str]:
    rows = data.rows(where, split, streamed=False)
    order = data._order(rows)
    images: list[Pixels] = []
    labels: list[int] = []
    for row in rows.pictures():
        label = order.get(row.label, row.label)
        if not 0 <= label < (len(data.classes) or label + 1):
            raise BenchmarkError(
                f"The {row.name} has the label {label}, and the labels are 0 to {len(data.classes) - 1}; "
                f"{data.way_out()}."
            )
        images.append(data.decode(row))
        labels.append(label)
    held = set(labels)
    absent = [name for label, name in enumerate(data.classes) if label not in held]
    if not images or (absent and split == data.train):
        raise BenchmarkError(
            f"The split '{split}' of {where} has no picture of {shortened(absent) or 'any class'}; {data.way_out()}."
        )
    digests = [digest(image, label) for image, label in zip(images, labels, strict=True)]
    ranks = range(len(images)) if data.own_order else sorted(range(len(images)), key=digests.__getitem__)
    found = hashlib.sha256(b"".join(digests[rank] for rank in ranks)).hexdigest()
    return _stacked([images[rank] for rank in ranks], [labels[rank] for rank in ranks]), found


def _stacked(images: list[Pixels], labels: list[int]) -> Pictures:
    return Pictures(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels))
