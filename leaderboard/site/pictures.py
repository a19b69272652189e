"""Galleries of the records: each picture written once, and side by side what was drawn from the same noise."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...benchmark.records.record import Record
from ..boards import Case
from ..ranking import Ranking
from ..row import Row

BESIDE = ("original", "oracle")
"""Rows whose samples stand beside a method's."""


class PageImages:
    """The pictures that pages show, each written once however many pages show it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._unwritten: list[tuple[str, str]] = []

    def name(self, png: str) -> str:
        """Returns the path of a picture, given as base64."""
        name = f"samples/{hashlib.sha256(png.encode()).hexdigest()[:20]}.png"
        if name not in self._known:
            self._known.add(name)
            self._unwritten.append((name, png))
        return name

    def take(self) -> Iterator[tuple[str, bytes]]:
        """Yields the pictures that were named for the first time since the last call."""
        for name, png in self._unwritten:
            yield name, base64.b64decode(png)
        self._unwritten.clear()


class Sheet(NamedTuple):
    """A gallery of one run."""

    title: str
    record: Record


def anchor_rows(board: Ranking) -> dict[str, Row]:
    """Returns the rows whose samples stand beside a method's, by method."""
    return {row.method: row for row in reversed(board.rows) if row.method in BESIDE and not row.config}


def sheets(row: Row, anchors: Mapping[str, Row]) -> list[list[Sheet]]:
    """Returns, for each run of a row, the samples of original, oracle and method of its request, from the same noise."""
    beside = [anchors[name] for name in BESIDE if name in anchors and name != row.method]
    lines = [line_of([*beside, row], run.case) for run in row.runs]
    return [line for line in lines if line]


def line_of(rows: Sequence[Row], case: Case) -> list[Sheet]:
    """Returns the samples of some rows of one request and seed; of those alone that have some."""
    runs = [(row.name, run.record) for row in rows for run in row.runs if run.case == case]
    return [Sheet(name, record) for name, record in runs if record.gallery is not None]


class Exhibit(NamedTuple):
    """Samples of a board's best rows and of what frames them, from the same noise."""

    case: Case
    sheets: list[Sheet]


def exhibit(board: Ranking, leaders: Sequence[Row], cheats: Sequence[Row]) -> Exhibit | None:
    """Returns samples of the original, the oracle, the leaders and the best cheat, of the case that most of them have.

    Args:
        board: The ranking.
        leaders: The best rows.
        cheats: The board's, the best first.
    """
    anchors = anchor_rows(board)
    rows = [*(anchors[name] for name in BESIDE if name in anchors), *leaders, *cheats[:1]]
    cases = sorted({run.case for row in rows for run in row.runs})
    lines = [Exhibit(case, line_of(rows, case)) for case in cases]
    best = max(lines, key=lambda one: len(one.sheets), default=None)
    return best if best is not None and best.sheets else None
