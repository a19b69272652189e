"""Boards of records: what stands on each, scored and ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..benchmark import registry
from ..benchmark.errors import BenchmarkError, shortened
from ..benchmark.family import Track
from ..benchmark.records.record import Record, Status, TaskInfo
from ..benchmark.records.store import load_records
from .boards import BoardKey, case_of, task_settings
from .ranks import SIGNIFICANCE, SharedScores, shared_scores, with_ranks
from .row import Row, make_row
from .rows import Filed, file_records
from .scoring import Anchors, RunScore, anchor_records, score_run

__all__ = ("SIGNIFICANCE", "Ranking", "Row", "SharedScores", "rank_all", "shared_scores")


class Ranking(NamedTuple):
    """A board: one task on one track, with all requests, seeds and devices that it was run with."""

    task: str
    task_config: str
    """What was set of the task beside the request, empty for its defaults."""
    task_sha256: str
    """Of what its requests share; where records do not say, of the task with its first request."""
    family: str
    requests: list[str]
    """Those of the shipped rows, or of all where there are none."""
    devices: list[str]
    track: Track
    rows: list[Row]
    note: str | None
    """Why there are no scores, if there are none."""
    notes: list[str]
    """What else a reader has to know, one sentence each."""
    ties: list[str]
    """Why rows whose scores are far apart share a rank, one sentence for each that others of its rank are far ahead of."""

    @property
    def title(self) -> str:
        """The task with what was set of it, and the track."""
        return " · ".join(part for part in (self.task, self.task_config, self.track.name) if part)

    @property
    def device(self) -> str:
        """All devices, as one line."""
        return "; ".join(self.devices)

    @property
    def seeds(self) -> int:
        """The largest number of seeds that any row has."""
        return max(len({case.seed for case in row.cases}) for row in self.rows)

    @property
    def runs(self) -> int:
        """The largest number of runs that any row has."""
        return max(len(row.cases) for row in self.rows)

    @property
    def extent(self) -> str:
        """How many requests and seeds there are, in words."""
        requests = f"{len(self.requests)} requests, " if len(self.requests) > 1 else ""
        return f"{requests}up to {self.seeds} seed{'s' * (self.seeds != 1)}"


def rank_all(records: Iterable[Record], own: Collection[str] = ()) -> list[Ranking]:
    """Ranks records board by board: tasks, what was set of them beside the request, and protocols are never mixed.

    Args:
        records: Of any tasks and methods.
        own: The ``run_id`` of those that are the reader's. On a board that has others, too, they make rows of their own, which
            are scored by the other reference rows where there are any.
    """
    boards: dict[BoardKey, list[Filed]] = defaultdict(list)
    for filed in file_records(records, own):
        boards[filed.board].append(filed)
    newest = {key: max(one.record.created for one in found) for key, found in boards.items()}
    ordered = sorted(sorted(boards), key=newest.__getitem__, reverse=True)
    rankings = [_rank(boards[key], track) for key in ordered for track in _fitting([one.record for one in boards[key]])]
    return sorted(rankings, key=lambda board: (board.task, board.task_config))


def rank(records: Sequence[Record], track: Track | None) -> Ranking:
    """Ranks the records of one board on one track, or shows them without scores."""
    return _rank(file_records(records), track)


class Loaded(NamedTuple):
    """What boards are made of."""

    records: list[Record]
    own: frozenset[str]
    """The ``run_id`` of those that are not in the shipped folder, or differ from those in there."""
    new: frozenset[str]
    """The ``run_id`` of all that the other folders hold."""
    problems: list[str]
    """One sentence for every file that is no readable record."""
    notes: list[str]
    """What else is worth a word."""


def load_boards(folders: Sequence[Path], shipped: Path | None) -> Loaded:
    """Reads the shipped records and the reader's, so that a run of both stays both.

    A record that lacks what its task's score is made of is a problem, and no zero.

    Args:
        folders: Where the records are; the shipped folder may be among them.
        shipped: The folder of records that are nobody's own.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    sides = [load_records([one for one in folders if (one == shipped) is known]) for known in (True, False)]
    theirs = {record.run_id: record for record in sides[0].records}
    mine = {record.run_id: record for record in sides[1].records}
    own = frozenset(run for run, record in mine.items() if record != theirs.get(run))
    records, sentences = scorable([*theirs.values(), *(mine[run] for run in mine if run in own)])
    problems = [*sides[0].problems, *sides[1].problems, *sentences]
    return Loaded(records, own, frozenset(mine), problems, [*sides[0].notes, *sides[1].notes])


def scorable(known: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Parts off the runs that ended well and lack what the score of their task is made of.

    Returns:
        The others, and one sentence for each that is left out.
    """
    measured: dict[str, set[str]] = defaultdict(set)
    for record in known:
        if record.method.role == "reference" and record.status is Status.OK:
            measured[record.task.sha256] |= {metric.name for metric in record.metrics}
    kept, sentences = [], []
    for record in known:
        wanted = {quantity.name for track in tracks_of(record.task) for quantity in track.scored}
        lacking = sorted(wanted & measured[record.task.sha256] - {metric.name for metric in record.metrics})
        if lacking and record.status is Status.OK:
            sentences.append(
                f"{record.filename} lacks {shortened(lacking)}, which other records of its task have, and cannot be scored; "
                "make it again."
            )
        else:
            kept.append(record)
    return kept, sentences


def tracks_of(task: TaskInfo) -> tuple[Track, ...]:
    """Returns how runs of a task are scored; nothing where its family is not known here, as that of a plugin not named."""
    found = registry.family_of(task)
    return found.tracks if found is not None else ()


def _fitting(records: Sequence[Record]) -> Sequence[Track | None]:
    """The tracks that a board's records can be scored on: one that needs an oracle is left out where there is none."""
    known = tracks_of(records[0].task)
    measured = {metric.name for record in records for metric in record.metrics}
    fitting = [track for track in known if measured.issuperset(part.quantity.name for part in track.components)]
    return fitting or known[:1] or [None]


def _rank(filed: Sequence[Filed], track: Track | None) -> Ranking:
    records = [one.record for one in sorted(filed, key=lambda one: case_of(one.record))]
    first = records[0]
    # Where there is nothing else, nothing needs to be told from it.
    several = not all(one.own for one in filed)
    own = {id(one.record) for one in filed if several and one.own}
    requests = _by_request([record for record in records if id(record) not in own])
    references = {
        request: anchor_records(requests.get(request, []), [r for r in found if id(r) in own])
        for request, found in _by_request(records).items()
    }
    scoring = _Scoring(records, references, track)
    groups: dict[tuple[str, str, bool], list[Record]] = defaultdict(list)
    for one in filed:
        groups[(*one.row[1:3], id(one.record) in own)].append(one.record)
    oracles = {request: [r for r in found if r.method.name == "oracle"] for request, found in references.items()}
    rows = [
        make_row(
            group,
            scoring.score,
            oracles,
            sorted(requests),
            own=mine,
            namesake=mine and (method, config, False) in groups,
        )
        for (method, config, mine), group in sorted(groups.items())
    ]
    ranked, ties = with_ranks(rows)
    return Ranking(
        task=first.task.name,
        task_config=task_settings(first.task),
        task_sha256=next((one.task.shared_sha256 for one in records if one.task.shared_sha256), first.task.sha256),
        family=first.task.family,
        requests=sorted(requests),
        devices=sorted({record.device.group for record in records}),
        track=track or Track((), ()),
        rows=sorted(ranked, key=lambda row: (row.score is None, -(row.score or 0.0), row.name)),
        note=scoring.note,
        notes=[*scoring.notes, *_unranked(ranked)],
        ties=ties,
    )


def _unranked(rows: Sequence[Row]) -> list[str]:
    dear = [f"{row.name} ({row.retraining})" for row in rows if row.too_dear and row.score is not None]
    return (
        [f"Over a quarter of the work of retraining, and so shown without a rank: {', '.join(dear)}."] if dear else []
    )


def _by_request(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[case_of(record).request].append(record)
    return dict(found)


class _Scoring:
    """Scores the runs of a board, each by the reference rows of its request.

    Attributes:
        note: Why nothing has a score, if nothing has.
        notes: Which requests have no score, one sentence each.
    """

    def __init__(
        self, records: Sequence[Record], references: Mapping[str, Sequence[Record]], track: Track | None
    ) -> None:
        self.note: str | None = None
        self.notes: list[str] = []
        self._score: dict[str, Callable[[Record], RunScore]] = {}
        if track is None:
            self.note = _without_track(records[0].task)
            return
        requests = _by_request(records)
        for request, found in requests.items():
            anchors = Anchors(references[request], track, found[0].task)
            if anchors.note is None:
                self._score[request] = _scorer(track, anchors)
            else:
                of = f"No scores of {request}:" if len(requests) > 1 else "No scores:"
                self.notes.append(anchors.note.replace("No scores:", of))
        if not self._score:
            self.note, *self.notes = self.notes

    def score(self, record: Record) -> RunScore | None:
        """Scores a run, if there are reference rows of its request."""
        scorer = self._score.get(case_of(record).request)
        return None if scorer is None else scorer(record)


def _scorer(track: Track, anchors: Anchors) -> Callable[[Record], RunScore]:
    return lambda record: score_run(record, track, anchors)


def _without_track(task: TaskInfo) -> str:
    """Why a board of a task has no scores at all."""
    try:
        known = registry.families.find(task.family) is not None
    except BenchmarkError as error:
        return f"No scores: {error}"
    reason = "has no track" if known else "is not known here; name the file that declares it with --plugin FILE"
    return f"No scores: the family '{task.family}' {reason}."
