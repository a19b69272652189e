"""Gates, oracle-normalized scores, intervals over seeds, tie groups."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special

from ..benchmark import registry
from ..benchmark.errors import BenchmarkError, shortened
from ..benchmark.family import Track
from ..benchmark.metrics.intervals import Interval, student
from ..benchmark.records.record import Record, Status, TaskInfo
from ..benchmark.records.store import LoadedRecords, load_records
from .rows import config_text, latest, settings_text
from .scoring import Z95, Anchors, RunScore, score_run
from .significance import holm, paired_p_value

SIGNIFICANCE = 0.05


class Row(NamedTuple):
    """One method with one configuration on a board."""

    method: str
    config: str
    role: str
    rank: int | None
    """Shared by all of a tie group; None for reference rows and for methods without a score."""
    score: float | None
    interval: Interval | None
    runs: list[RunScore]
    failures: list[Record]
    """Runs that did not end well; each counts as a score of zero."""
    failed_gates: list[str]
    unlearn_seconds: float | None
    """Median over the seeds."""
    peak_bytes: int | None
    """Largest over the seeds: of the GPU where there is one, else of the process."""

    @property
    def name(self) -> str:
        """The method with what was set of it."""
        return f"{self.method} ({self.config})" if self.config else self.method

    @property
    def records(self) -> list[Record]:
        """All runs, those that failed last."""
        return [*(run.record for run in self.runs), *self.failures]

    @property
    def cost_unknown(self) -> bool:
        """Whether its weights were made elsewhere."""
        return not any(record.is_run for record in self.records)

    def component(self, key: str) -> float | None:
        """Returns the mean of a component or of ``utility`` over the seeds."""
        values = [run.utility if key == "utility" else run.components[key] for run in self.runs]
        return float(np.mean(values)) if values else None

    def metric(self, name: str) -> list[float]:
        """Returns a metric's means over the seeds, one a judge."""
        values: dict[str | None, list[float]] = defaultdict(list)
        for run in self.runs:
            for metric in run.by_name.get(name, ()):
                if metric.value is not None:
                    values[metric.judge].append(metric.value)
        return [float(np.mean(found)) for found in values.values()]


class Ranking(NamedTuple):
    """A board: one task on one kind of device, on one track."""

    task: str
    task_config: str
    """What was set of the task, empty for its defaults."""
    task_sha256: str
    family: str
    device: str
    track: Track
    rows: list[Row]
    note: str | None
    """Why there are no scores, if there are none."""

    @property
    def title(self) -> str:
        """The task with what was set of it, and the track."""
        return " · ".join(part for part in (self.task, self.task_config, self.track.name) if part)

    @property
    def seeds(self) -> int:
        """The largest number of seeds of any row."""
        return max(len(row.runs) + len(row.failures) for row in self.rows)


def rank_all(records: Iterable[Record]) -> list[Ranking]:
    """Ranks records board by board: devices and versions of a task are never mixed."""
    boards: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in latest(records):
        boards[record.task.name, record.task.sha256, record.device.group].append(record)
    rankings = [rank(group, track) for _, group in sorted(boards.items()) for track in _fitting(group)]
    return sorted(
        rankings, key=lambda board: (board.task, board.task_config, -board.seeds, board.device, board.task_sha256)
    )


def load_scorable(folders: list[Path]) -> LoadedRecords:
    """Reads records as ``load_records`` does; one that lacks what its task's score is made of is a problem, and no zero.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    loaded = load_records(folders)
    kept, sentences = scorable(loaded.records)
    return loaded._replace(records=kept, problems=[*loaded.problems, *sentences])


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


def rank(records: Sequence[Record], track: Track | None) -> Ranking:
    """Ranks the records of one board on one track, or shows them without scores."""
    first = records[0]
    score, note = _scorer(records, track) if track is not None else (None, _without_track(first.task))
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.seed):
        groups[record.method.name, config_text(record)].append(record)
    rows = [_row(group, score) for _, group in sorted(groups.items())]
    return Ranking(
        first.task.name,
        settings_text(first.task.config_passed),
        first.task.sha256,
        first.task.family,
        first.device.group,
        track or Track((), ()),
        _in_order(_with_ranks(rows)),
        note,
    )


def _scorer(records: Sequence[Record], track: Track) -> tuple[Callable[[Record], RunScore] | None, str | None]:
    """What scores a run, or None and why nothing does."""
    anchors = Anchors(records, track)
    return (None, anchors.note) if anchors.note else (partial(score_run, track=track, anchors=anchors), None)


def _without_track(task: TaskInfo) -> str:
    """Why a board of a task has no scores at all."""
    try:
        known = registry.families.find(task.family) is not None
    except BenchmarkError as error:
        return f"No scores: {error}"
    reason = "has no track" if known else "is not known here; name the file that declares it with --plugin FILE"
    return f"No scores: the family '{task.family}' {reason}."


def _row(records: list[Record], score: Callable[[Record], RunScore] | None) -> Row:
    good = [record for record in records if record.status is Status.OK]
    failures = [record for record in records if record.status is not Status.OK]
    runs = [score(record) for record in good] if score else []
    scores = [run.score for run in runs] + [0.0] * (len(failures) if score else 0)
    interval = student(scores)
    if interval is None and runs:
        interval = Interval(runs[0].score - Z95 * runs[0].error, runs[0].score + Z95 * runs[0].error)
    costs = [record.cost for record in good if record.cost is not None]
    seconds = [cost.unlearn_seconds for cost in costs if cost.unlearn_seconds is not None]
    peaks = [cost.peak_device_bytes or cost.peak_process_bytes for cost in costs]
    known_peaks = [peak for peak in peaks if peak is not None]
    return Row(
        method=records[0].method.name,
        config=config_text(records[0]),
        role=records[0].method.role,
        rank=None,
        score=float(np.mean(scores)) if scores else None,
        interval=None if interval is None else Interval(max(0.0, interval.low), min(1.0, interval.high)),
        runs=runs or [RunScore(record, 0.0, {}, 0.0, []) for record in good],
        failures=failures,
        failed_gates=sorted({gate for run in runs for gate in run.failed_gates}),
        unlearn_seconds=float(np.median(seconds)) if seconds else None,
        peak_bytes=max(known_peaks) if known_peaks else None,
    )


def _with_ranks(rows: list[Row]) -> list[Row]:
    """Ranks methods and cheats by score; those that the group's leader is not separated from share its rank."""
    ranked = sorted((row for row in rows if row.role != "reference" and row.score is not None), key=_by_score)
    others = [row for row in rows if row not in ranked]
    placed: list[Row] = []
    while len(placed) < len(ranked):
        leader, rest = ranked[len(placed)], ranked[len(placed) + 1 :]
        separated = (
            [p < SIGNIFICANCE for p in holm([shared_scores(leader, row).p_value for row in rest])] if rest else []
        )
        size = separated.index(True) + 1 if True in separated else len(rest) + 1
        group = ranked[len(placed) : len(placed) + size]
        placed += [row._replace(rank=len(placed) + 1) for row in group]
    return placed + others


class SharedScores(NamedTuple):
    """The scores of two rows on the seeds that both were run with; a failed run scores zero."""

    seeds: list[int]
    first: list[float]
    second: list[float]
    error: float
    """The standard error that the sampling of the metrics leaves of the difference on a single shared seed; else 0."""

    @property
    def p_value(self) -> float:
        """Paired over the seeds; for a single seed, from what the sampling of the metrics leaves open."""
        if len(self.seeds) > 1:
            return paired_p_value(self.first, self.second)
        if self.first == self.second:
            return 1.0
        apart = abs(self.first[0] - self.second[0])
        return 0.0 if self.error == 0.0 else float(2 * special.ndtr(-apart / self.error))


def shared_scores(a: Row, b: Row) -> SharedScores:
    """Returns what the board compares two of its rows by."""
    runs = [{run.record.seed: run for run in row.runs} for row in (a, b)]
    seeds = [runs[side].keys() | {record.seed for record in row.failures} for side, row in enumerate((a, b))]
    shared = sorted(seeds[0] & seeds[1])
    first, second = ([found[seed].score if seed in found else 0.0 for seed in shared] for found in runs)
    # Several seeds speak for themselves, and what sampling leaves open takes a while to compute.
    single = shared if len(shared) == 1 else []
    errors = [found[seed].error if seed in found else 0.0 for found in runs for seed in single]
    return SharedScores(shared, first, second, math.hypot(*errors))


def _by_score(row: Row) -> tuple[float, str, str]:
    return (-(row.score or 0.0), row.method, row.config)


def _in_order(rows: list[Row]) -> list[Row]:
    """By rank, ties by name, with reference rows where their score puts them, and rows without a score last."""
    best = {row.rank: max(other.score or 0.0 for other in rows if other.rank == row.rank) for row in rows if row.rank}

    def key(row: Row) -> tuple[bool, float, str]:
        score = best[row.rank] if row.rank else row.score
        return (row.score is None, -(score or 0.0), row.name)

    return sorted(rows, key=key)
