"""A search's trials: runs with a short evaluation, on requests that no board uses, scored as a board scores."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.commands.verbs import run_requests
from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import canonical_sha256
from ...benchmark.records.record import Record, Status, TaskInfo
from ...benchmark.records.store import load_records
from ...benchmark.running.identity import Configured, task_info
from ...benchmark.running.requests import Request
from ...benchmark.running.tuned import SHIPPED, Trial
from ..boards import case_of
from ..ranking import tracks_of
from ..row import MOST_OF_RETRAINING
from ..scoring import Anchors, score_run
from ..work import share_of_retraining, work

ANCHORS = SHIPPED / "anchors"
"""Records of originals and oracles on the tuning requests of the suite's tasks, so that a search needs no oracle's weights."""
ORACLES = (0, 1, 2)


class Pair(NamedTuple):
    """What is tuned, on what."""

    task: str
    method: str
    fixed: dict[str, Any]
    """What is set of the task or the method and is not searched."""


class Trials:
    """Makes trials and scores them. One that was made before is read.

    Args:
        pair: What is tuned.
        folder: Where the trials' records go.
        options: See ``run_requests``.
    """

    def __init__(self, pair: Pair, folder: Path, options: dict[str, Any]) -> None:
        self._pair = pair
        self._folder = folder
        self._options = {**options, "results": folder, "settings_from": "paper"}
        self._anchors: dict[str, tuple[Anchors, list[Record]]] = {}
        self.seconds = 0.0
        """What all trials took, evaluations included."""
        self.source_sha256 = ""
        """Of the method's file."""
        self.reason = ""
        """What the last run that failed said."""

    def make(self, settings: Sequence[dict[str, Any]], request: dict[str, Any], seed: int = 0) -> list[Trial]:
        """Returns one trial for each of some settings, on one request.

        Raises:
            BenchmarkError: The method does not fit the task, or a run could not be made.
        """
        task, method, fixed = self._pair
        pair = Configured.of(task, method, {**fixed, **request}, short=True)
        # Before reference rows are run for nothing.
        pair.check()
        _, oracles = self._references(task_info(pair.task), request)
        # What takes more counts nothing, so a trial ends there.
        spent = [found.value for one in oracles if one.cost and (found := work(one.cost))]
        most = MOST_OF_RETRAINING * max(spent) if spent else None
        asked = [
            Request(task, method, [seed], {**fixed, **request, **each}, short=True, most_work=most) for each in settings
        ]
        records, refused = run_requests(asked, **self._options)
        for refusal in refused:
            raise BenchmarkError(refusal.reason)
        # Settings that come to the same are one run.
        by_config = {canonical_sha256(record.method.config): record for record in records}
        configs = [Configured.of(task, method, one.settings).method.model_dump(mode="json") for one in asked]
        made = [by_config[canonical_sha256(config)] for config in configs]
        self.source_sha256 = made[0].method.source_sha256
        return [self._trial(record, each, request) for record, each in zip(made, settings, strict=True)]

    def _trial(self, record: Record, settings: dict[str, Any], request: dict[str, Any]) -> Trial:
        anchors, oracles = self._anchors[record.task.sha256]
        found = share_of_retraining([record], {case_of(record).request: oracles})
        share = None if found is None else found.value
        scored = score_run(record, tracks_of(record.task)[0], anchors) if record.status is Status.OK else None
        self.reason = record.reason or self.reason
        if record.cost is not None:
            self.seconds += sum(sum(phase.seconds) for phase in record.cost.phases)
        return Trial(
            settings=settings,
            request=request,
            seed=record.seed,
            score=0.0 if scored is None or (share is not None and share > MOST_OF_RETRAINING) else scored.score,
            harm=None if scored is None or not math.isfinite(scored.harm) else scored.harm,
            share=share,
            status=record.status.value,
        )

    def _references(self, task: TaskInfo, request: dict[str, Any]) -> tuple[Anchors, list[Record]]:
        """Original and oracles on a trial's request: those that ship, or runs of them."""
        sha256 = task.sha256
        if sha256 not in self._anchors:
            known = [one for one in _shipped(task.name) if one.task.sha256 == sha256]
            lacking = {"original", "oracle"} - {one.method.name for one in known}
            found = [*known, *(one for name in sorted(lacking) for one in self._run(name, request))]
            anchors = Anchors(found, tracks_of(task)[0], task)
            if anchors.note:
                raise BenchmarkError(f"Trials on '{task.name}' cannot be scored. {anchors.note}")
            oracles = [one for one in found if one.method.name == "oracle" and one.status is Status.OK]
            self._anchors[sha256] = anchors, oracles
        return self._anchors[sha256]

    def _run(self, name: str, request: dict[str, Any]) -> list[Record]:
        seeds = [0] if name == "original" else list(ORACLES)
        asked = Request(self._pair.task, name, seeds, dict(request), short=True)
        # A task without an oracle refuses it, and does without.
        with contextlib.suppress(BenchmarkError):
            return run_requests([asked], **self._options)[0]
        return []


def _shipped(task: str) -> list[Record]:
    folder = ANCHORS / task
    return load_records([folder]).records if folder.is_dir() else []
