"""Labelled pictures through ``datasets``: a split on the hub, or in a folder of the hub's layout, streamed and undecoded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...benchmark.errors import BenchmarkError, first_line
from . import hub

Pixels = NDArray[np.uint8]


class LabelledRows:
    """A split with the columns ``image`` and ``label``, one parquet file after the other.

    Args:
        where: A folder, or the data set's name on the hub.
        split: The data set's name of it.
        hub_id: The name on the hub, if it has one.
        way_out: What to do where it cannot be read, as the end of a sentence.
        revision: The hub's commit.

    Raises:
        BenchmarkError: It is not there, or does not have the two columns.
    """

    def __init__(
        self, where: str, split: str, *, hub_id: str | None, way_out: str, revision: str | None = None
    ) -> None:
        import datasets

        datasets.disable_progress_bars()
        self.where, self.split = where, split
        self._hub_id, self._way_out = hub_id, way_out
        pinned = revision if where == hub_id else None
        try:
            rows: Any = datasets.load_dataset(where, split=split, streaming=True, revision=pinned)
        # The hub, the network and the disk fail in many ways; the sentence tells those apart that have ways out of their own.
        except Exception as error:  # noqa: BLE001
            raise self._unavailable(error) from None
        columns = set(rows.column_names or ())
        if not {"image", "label"} <= columns:
            raise BenchmarkError(
                f"The split '{split}' of {where} has the columns {', '.join(sorted(columns)) or 'none'} and not 'image' and "
                f"'label'; {way_out}."
            )
        # Decoding is left to the reader, who can name a damaged picture.
        self._rows = rows.cast_column("image", datasets.Image(decode=False))

    def __len__(self) -> int:
        """The number of files."""
        return int(self._rows.num_shards)

    @property
    def class_names(self) -> list[str]:
        """What the data calls its classes, in the order of its labels; empty where it does not say."""
        return list(getattr((self._rows.features or {}).get("label"), "names", None) or [])

    def pictures(self, file: int | None = None) -> Iterator[tuple[bytes, int]]:
        """Yields the encoded pictures and the labels of a file, or of all.

        Raises:
            BenchmarkError: A file cannot be read.
        """
        rows = iter(self._rows if file is None else self._rows.shard(num_shards=len(self), index=file))
        while True:
            try:
                row = next(rows, None)
            # As in the constructor: a file may be fetched, and found damaged, only now.
            except Exception as error:  # noqa: BLE001
                raise self._unavailable(error) from None
            if row is None:
                return
            yield row["image"]["bytes"] or b"", int(row["label"])

    def _unavailable(self, error: Exception) -> BenchmarkError:
        if self.where == self._hub_id:
            return hub.refusal(f"The data set {self.where}", error, self._way_out)
        return BenchmarkError(
            f"The split '{self.split}' of the data in {self.where} cannot be read ({first_line(error)[:200]}); "
            f"{self._way_out}."
        )


def decode(encoded: bytes, name: str, fit: Callable[[Image.Image], Image.Image], way_out: str) -> Pixels:
    """Returns a picture from its file's bytes, ``(H, W, 3)``.

    Args:
        encoded: The file.
        name: What the picture is called in a message.
        fit: Brings the picture, in colour, to its size.
        way_out: What to do about a damaged one, as the end of a sentence.

    Raises:
        BenchmarkError: The bytes are no picture.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return np.asarray(fit(image.convert("RGB")), dtype=np.uint8)
    # Pillow raises a dozen kinds for damaged files.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(f"The {name} is damaged ({first_line(error)[:120]}); {way_out}.") from None
