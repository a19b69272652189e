"""Labelled pictures, undecoded, through ``datasets``: a split on the hub, in parquet files or in a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.errors import BenchmarkError, first_line
from . import hub

READ_AT_ONCE = 200
"""Rows."""


class DataSource(NamedTuple):
    """Where a data set is, and how its columns are called."""

    where: str
    """A folder, or the name on the hub."""
    hub_id: str | None
    revision: str | None
    """The hub's commit."""
    config: str | None
    """The hub's name of a part of the data, where it has several."""
    image: str
    label: str
    way_out: str
    """What to do where it cannot be read, as the end of a sentence."""


class LabelledPicture(NamedTuple):
    """A picture and its label."""

    name: str
    """What to call the picture in a message."""
    encoded: bytes
    """Its file."""
    label: int


class LabelledRows:
    """A split of a data set.

    Args:
        source: Where it is.
        split: The data set's name of it.
        streamed: Whether to read it file by file and keep none, as for a part of what is large; what is on the hub is
            kept in the hub's cache otherwise. Folders are always read file by file.

    Raises:
        BenchmarkError: It is not there, or does not have the two columns.
    """

    def __init__(self, source: DataSource, split: str, *, streamed: bool) -> None:
        import datasets

        datasets.disable_progress_bars()
        self.where, self.split = source.where, split
        self._source = source
        try:
            rows: Any = _load(source, split, streamed)
        # The hub, the network and the disk fail in many ways; the sentence tells those apart that have ways out of their own.
        except Exception as error:  # noqa: BLE001
            raise self._unavailable(error) from None
        columns, wanted = set(rows.column_names or ()), (source.image, source.label)
        if not set(wanted) <= columns:
            raise BenchmarkError(
                f"The split '{split}' of {self.where} has the columns {', '.join(sorted(columns)) or 'none'} and not "
                f"'{source.image}' and '{source.label}'; {source.way_out}."
            )
        # Decoding is left to the reader, who can name a damaged picture.
        self._rows = rows.cast_column(source.image, datasets.Image(decode=False)).select_columns(list(wanted))
        self._features = rows.features or {}

    def __len__(self) -> int:
        """The number of files; pictures in a folder count as one."""
        return int(self._rows.num_shards)

    @property
    def class_names(self) -> list[str]:
        """What the data calls its classes, in the order of its labels; empty where it does not say."""
        return list(getattr(self._features.get(self._source.label), "names", None) or [])

    def pictures(self, file: int | None = None) -> Iterator[LabelledPicture]:
        """Yields the pictures of a file, or of all.

        Raises:
            BenchmarkError: A file cannot be read.
        """
        rows = self._rows if file is None else self._rows.shard(num_shards=len(self), index=file)
        batches = rows.iter(READ_AT_ONCE)
        number = 0
        while (batch := self._next(batches)) is not None:
            for image, label in zip(batch[self._source.image], batch[self._source.label], strict=True):
                in_file = "" if file is None else f" in file {file}"
                name = f"picture {number}{in_file} of the split '{self.split}' of {self.where}"
                yield self._row(name, image, label)
                number += 1

    def _row(self, name: str, image: dict[str, Any] | None, label: Any) -> LabelledPicture:
        if not image or (image.get("bytes") is None and image.get("path") is None):
            raise BenchmarkError(
                f"The {name} is not there: its '{self._source.image}' is null; {self._source.way_out}."
            )
        if isinstance(label, bool) or not isinstance(label, int):
            what = "null" if label is None else f"the {type(label).__name__} {label!r:.60}"
            raise BenchmarkError(
                f"The label of the {name} is {what} and no whole number; give '{self._source.label}' the numbers of classes, "
                "or a ClassLabel."
            )
        encoded, path = image.get("bytes"), image.get("path")
        if encoded is None and path is not None:
            import fsspec

            name = f"picture {path}"
            try:
                with fsspec.open(path, "rb") as file:
                    encoded = file.read()
            # As for a whole split.
            except Exception as error:  # noqa: BLE001
                raise self._unavailable(error) from None
        return LabelledPicture(name, encoded or b"", label)

    def _next(self, batches: Iterator[dict[str, list[Any]]]) -> dict[str, list[Any]] | None:
        try:
            return next(batches, None)
        # A file may be fetched, and found damaged, only now.
        except Exception as error:  # noqa: BLE001
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> BenchmarkError:
        if self.where == self._source.hub_id:
            return hub.refusal(f"The data set {self.where}", error, self._source.way_out)
        return BenchmarkError(
            f"The split '{self.split}' of the data in {self.where} cannot be read ({first_line(error)[:200]}); "
            f"{self._source.way_out}."
        )


def _load(source: DataSource, split: str, streamed: bool) -> Any:
    import datasets

    if source.where == source.hub_id:
        return datasets.load_dataset(
            source.where, source.config, split=split, revision=source.revision, streaming=streamed
        )
    if holds_pictures(Path(source.where), split):
        files = {split: f"{source.where}/{split}/**"}
        return datasets.load_dataset(
            "imagefolder", data_files=files, split=split, streaming=True, drop_labels=False, drop_metadata=True
        )
    # A copy of a single part need not say what the hub calls it.
    named = (
        source.config if source.config and source.config in datasets.get_dataset_config_names(source.where) else None
    )
    return datasets.load_dataset(source.where, named, split=split, streaming=True)


def holds_pictures(folder: Path, split: str) -> bool:
    """Returns whether a folder holds a split as pictures in a folder a class, and not as parquet files."""
    below = folder / split
    return below.is_dir() and any(each.is_dir() for each in below.iterdir())
