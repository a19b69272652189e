"""A row of a board: one method with its settings, over all requests and seeds that it was run with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..benchmark.metrics.intervals import Interval, student
from ..benchmark.records.record import Record, Status
from .boards import Case, case_of
from .rows import config_text, settings_origin
from .scoring import Z95, RunScore
from .work import Share, share_of_retraining, time_in_steps

MOST_OF_RETRAINING = 0.25
"""A row that takes a larger share of retraining's work is shown and not ranked."""


class Row(NamedTuple):
    """One method with one configuration on a board."""

    method: str
    config: str
    """What was set by hand."""
    role: str
    settings: str
    """Where the settings come from, in words."""
    own: bool
    """Whether it is the reader's, on a board of shipped rows."""
    namesake: bool
    """Whether it is, and a shipped row has the same method and settings."""
    score: float | None
    """Mean over requests and seeds; a failed run counts zero."""
    interval: Interval | None
    """Student's over the same runs; of a single one, what the sampling of the metrics leaves open."""
    scores: Mapping[Case, float]
    """Of every run that counts."""
    runs: list[RunScore]
    """Those that ended well and are scored; of a row without a score, all that ended well."""
    failures: list[Record]
    """Runs that did not end well; each counts as a score of zero."""
    unscored: list[Record]
    """Runs that ended well, on requests without reference rows, of a row that has a score on others."""
    lacking: list[str]
    """The board's requests that it was not run with."""
    devices: list[str]
    failed_gates: list[str]
    retraining: Share | None
    """Its work as a share of retraining's."""
    unlearn_seconds: float | None
    """Median over the runs."""
    time_in_steps: float | None
    """The same in training steps of the model on the same machine, where all runs timed some."""
    peak_bytes: int | None
    """Largest over the runs: of the GPU where there is one, else of the process."""
    rank: int | None = None
    """One more than the rows that are better beyond doubt; None for reference rows, and for what is not ranked."""
    last_rank: int | None = None
    """The lowest that the data allow: that many rows are not worse beyond doubt."""

    @property
    def name(self) -> str:
        """The method with what was set of it; no two rows of a board have the same."""
        parts = [self.config] * bool(self.config) + ["yours"] * self.namesake
        return f"{self.method} ({', '.join(parts)})" if parts else self.method

    @property
    def rank_range(self) -> tuple[int, int] | None:
        """The ranks that the data allow."""
        return None if self.rank is None or self.last_rank is None else (self.rank, self.last_rank)

    @property
    def records(self) -> list[Record]:
        """All runs, those that are not scored and those that failed last."""
        return [*(run.record for run in self.runs), *self.unscored, *self.failures]

    @property
    def requests(self) -> list[str]:
        """The requests that it was run with."""
        return sorted({case_of(record).request for record in self.records})

    @property
    def share_of_requests(self) -> str:
        """How many of the board's requests it was run with: "3", or "1 of 3"."""
        run, of = len(self.requests), len(self.requests) + len(self.lacking)
        return f"{run} of {of}" if self.lacking else str(run)

    @property
    def cases(self) -> list[Case]:
        """The requests and seeds that it was run with."""
        return sorted(case_of(record) for record in self.records)

    @property
    def cost_unknown(self) -> bool:
        """Whether its weights were made elsewhere."""
        return not any(record.is_run for record in self.records)

    @property
    def too_dear(self) -> bool:
        """Whether it takes so much of retraining's work that it is not ranked."""
        return self.role != "reference" and self.retraining is not None and self.retraining.value > MOST_OF_RETRAINING

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of it, one sentence each."""
        found = []
        if self.too_dear:
            found.append(f"It takes {self.retraining} of the work of retraining, over a quarter: shown, not ranked.")
        if self.lacking:
            found.append(f"It was not run with {'; '.join(self.lacking)}, as other rows were.")
        if self.unscored:
            requests = sorted({case_of(record).request for record in self.unscored})
            found.append(f"Its runs with {'; '.join(requests)} have no score: the board has no reference rows of them.")
        return found

    def error(self, case: Case) -> float:
        """Returns the standard error that the sampling of the metrics leaves of a run's score; zero of a failed one."""
        return next((run.error for run in self.runs if run.case == case), 0.0)

    def component(self, key: str) -> float | None:
        """Returns the mean of a component or of ``utility`` over the runs."""
        return mean_component(self.runs, key) if self.score is not None else None

    @property
    def harm(self) -> float | None:
        """One minus the utility: the share of the margin of a gate that is used up, mean over the runs."""
        utility = self.component("utility")
        return None if utility is None else 1 - utility

    @property
    def forgotten(self) -> float | None:
        """The mean over the runs of what the score would be if nothing was harmed; a failed run counts zero."""
        if self.score is None:
            return None
        return float(sum(run.forgotten for run in self.runs)) / len(self.scores)

    def metric(self, name: str) -> list[float]:
        """Returns a metric's means over the runs, one a judge."""
        values: dict[str | None, list[float]] = defaultdict(list)
        for run in self.runs:
            for metric in run.by_name.get(name, ()):
                if metric.value is not None:
                    values[metric.judge].append(metric.value)
        return [float(np.mean(found)) for found in values.values()]


def mean_component(runs: Sequence[RunScore], key: str) -> float | None:
    """Returns the mean of a component or of ``utility`` over some runs, or None without any."""
    values = [run.utility if key == "utility" else run.components[key] for run in runs]
    return float(sum(values) / len(values)) if values else None


def make_row(
    records: Sequence[Record],
    score: Callable[[Record], RunScore | None],
    oracles: Mapping[str, Sequence[Record]],
    requests: Sequence[str],
    *,
    own: bool = False,
    namesake: bool = False,
) -> Row:
    """Makes a row of its records.

    Args:
        records: Of one method with one configuration, one a request and seed.
        score: Scores a run, or returns None where its request has no reference rows.
        oracles: The oracles' records, by request.
        requests: Those of the board.
        own: See ``Row``.
        namesake: See ``Row``.
    """
    first, ordered = records[0], sorted(records, key=case_of)
    good = [record for record in ordered if record.status is Status.OK]
    failures = [record for record in ordered if record.status is not Status.OK]
    tried = [(record, score(record)) for record in good]
    runs = [run for _, run in tried if run is not None]
    scores = {run.case: run.score for run in runs}
    # A failed run counts where one that ended well would have counted.
    scores |= {case_of(record): 0.0 for record in failures if score(record) is not None}
    costs = [record.cost for record in good if record.cost is not None]
    seconds = [cost.unlearn_seconds for cost in costs if cost.unlearn_seconds is not None]
    peaks = [cost.peak_device_bytes or cost.peak_process_bytes for cost in costs]
    known_peaks = [peak for peak in peaks if peak is not None]
    return Row(
        method=first.method.name,
        config=config_text(first),
        role=first.method.role,
        settings=settings_origin(max(records, key=lambda record: (record.created, record.run_id))),
        own=own,
        namesake=namesake,
        score=float(np.mean(list(scores.values()))) if scores else None,
        interval=_interval(list(scores.values()), runs),
        scores=scores,
        runs=runs if scores else [RunScore(record, 0.0, {}, 1.0, []) for record in good],
        failures=failures,
        unscored=[record for record, run in tried if run is None] if scores else [],
        lacking=[request for request in requests if request not in {case_of(record).request for record in records}],
        devices=sorted({record.device.group for record in records}),
        failed_gates=sorted({gate for run in runs for gate in run.failed_gates}),
        retraining=share_of_retraining(good, oracles),
        unlearn_seconds=float(np.median(seconds)) if seconds else None,
        time_in_steps=time_in_steps(costs),
        peak_bytes=max(known_peaks) if known_peaks else None,
    )


def _interval(scores: Sequence[float], runs: Sequence[RunScore]) -> Interval | None:
    """Student's over the runs, or what sampling leaves open of a single one; within what a score may be."""
    found = student(scores)
    if found is None and runs:
        found = Interval(runs[0].score - Z95 * runs[0].error, runs[0].score + Z95 * runs[0].error)
    return None if found is None else Interval(max(0.0, found.low), min(1.0, found.high))
