"""Earlier versions of the boards: kept as data, and what became of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ..benchmark.errors import BenchmarkError
from .ranking import Ranking

VERSIONS = Path(__file__).parent / "versions"
"""Those that ship; ``python -m unlearnbench.docs.make.version`` adds one."""
MOVED = 0.05
"""Scores that differ by less are taken for the same."""


class KeptRow(BaseModel):
    """A row as it stood.

    Attributes:
        task: The task's name, with what was set of it.
        track: The track's, empty where a task has one.
        method: The method's.
        settings: What was set of it, as one line.
        role: Method, cheat or reference.
        rank: Its rank; None of what has none.
        score: Its score; None without one.
        ci_low: The score's 95 % interval.
        ci_high: The same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    track: str
    method: str
    settings: str
    role: str
    rank: int | None
    score: float | None
    ci_low: float | None
    ci_high: float | None


class Version(BaseModel):
    """The boards as they stood on a day.

    Attributes:
        name: What the version is called.
        day: When it was kept, as ISO date.
        rules: What its scores were made by, where that is another thing than now; one sentence.
        rows: All rows of all boards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    day: str
    rules: str
    rows: list[KeptRow]


class Then(NamedTuple):
    """A row then and now; None where it was or is not there."""

    method: str
    settings: str
    then: KeptRow | None
    now: KeptRow | None

    @property
    def moved(self) -> float:
        """By how much the score changed; of rows that came or went, their score."""
        before, after = (0.0 if row is None or row.score is None else row.score for row in (self.then, self.now))
        return abs(after - before)


class Difference(NamedTuple):
    """What became of a board's rows.

    Attributes:
        task: The board's task.
        track: Its track.
        came: Rows that the version lacked.
        went: Rows that are there no more.
        moved: Rows whose score differs, the largest difference first.
        same: How many others there are.
    """

    task: str
    track: str
    came: list[Then]
    went: list[Then]
    moved: list[Then]
    same: int


def kept_rows(rankings: Iterable[Ranking]) -> list[KeptRow]:
    """Returns the committed rows of some boards, without the reader's own."""
    return [
        KeptRow(
            task=" ".join(filter(None, (board.task, board.task_config))),
            track=board.track.name,
            method=row.method,
            settings=row.config,
            role=row.role,
            rank=row.rank,
            score=row.score,
            ci_low=row.interval.low if row.interval else None,
            ci_high=row.interval.high if row.interval else None,
        )
        for board in rankings
        for row in board.rows
        if not row.own
    ]


def load_versions(folder: Path = VERSIONS) -> list[Version]:
    """Returns the kept versions, the newest first.

    Raises:
        BenchmarkError: A file of the folder is no version.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Version.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise BenchmarkError(f"{path} is no version of the boards: {error.errors()[0]['msg']}.") from None
    return sorted(found, key=lambda version: (version.day, version.name), reverse=True)


def differences(version: Version, rows: Sequence[KeptRow]) -> list[Difference]:
    """Returns what became of the rows of an earlier version, board by board.

    Args:
        version: The earlier one.
        rows: Those of now.
    """
    boards = sorted({(row.task, row.track) for row in (*version.rows, *rows)})
    return [_difference(version, rows, task, track) for task, track in boards]


def _difference(version: Version, rows: Sequence[KeptRow], task: str, track: str) -> Difference:
    before, after = (
        {(row.method, row.settings): row for row in found if (row.task, row.track) == (task, track)}
        for found in (version.rows, rows)
    )
    both = [Then(*key, before.get(key), after.get(key)) for key in sorted({*before, *after})]
    both.sort(key=lambda one: -one.moved)
    moved = [one for one in both if one.then and one.now and one.moved >= MOVED]
    return Difference(
        task,
        track,
        came=[one for one in both if one.then is None],
        went=[one for one in both if one.now is None],
        moved=moved,
        same=sum(one.then is not None and one.now is not None for one in both) - len(moved),
    )
