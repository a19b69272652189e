"""Runs with their scores, and metrics with their runs, as pandas tables for a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pandas as pd

from ..benchmark.records.record import Record
from .boards import case_of, task_settings
from .ranking import Ranking, rank_all
from .rows import Filed, config_text, file_records, settings_origin

_RUN = ["run_id", "task", "task_config", "request", "method", "config", "role", "own", "seed", "device"]
_ORDER = ["task", "task_config", "method", "config", "own", "request", "seed", "run_id"]


def scored_frame(records: Iterable[Record], own: Collection[str] = ()) -> pd.DataFrame:
    """Returns one row a run of the boards: what was run, its cost, its scores, and the metrics of the boards' columns.

    A board's track stands behind the names of its scores. A failed run scores zero, as on the board.

    Args:
        records: Of any tasks and methods.
        own: The ``run_id`` of those that are the reader's, see ``rank_all``.
    """
    known = list(records)
    kept = _kept(known, own)
    places = {id(one.record): index for index, one in enumerate(kept)}
    numbers: list[dict[str, Any]] = [{} for _ in kept]
    for board in rank_all(known, own):
        for record, found in _numbers(board):
            numbers[places[id(record)]] |= found
    return runs_frame(kept).join(pd.DataFrame(numbers, index=range(len(kept)))).sort_values(_ORDER, ignore_index=True)


def _kept(records: Iterable[Record], own: Collection[str]) -> list[Filed]:
    return sorted(file_records(records, own), key=lambda one: (one.record.run_id, one.own))


def _numbers(board: Ranking) -> Iterator[tuple[Record, dict[str, Any]]]:
    behind = f"_{board.track.name}" if board.track.name else ""
    shown = {column.name for column in board.track.columns}
    for row in board.rows:
        for run in row.runs:
            scores = {"score": run.score, **run.components, "utility": run.utility} if row.score is not None else {}
            metrics = {
                f"{metric.name}_{metric.judge}" if metric.judge else metric.name: metric.value
                for metric in run.record.metrics
                if metric.name in shown
            }
            yield run.record, {f"{_column(key)}{behind}": value for key, value in scores.items()} | metrics
        for record in row.failures:
            if case_of(record) in row.scores:
                yield record, {f"score{behind}": 0.0}


def _column(key: str) -> str:
    return key.replace(" ", "_")


def long_frame(records: Iterable[Record], own: Collection[str] = ()) -> pd.DataFrame:
    """Returns one row a metric of a run of the boards, with what was run; arguments as in ``scored_frame``."""
    kept = _kept(records, own)
    metrics = metrics_frame(kept)
    if metrics.empty:
        return pd.DataFrame(columns=[*_RUN, "name", "value"])
    return runs_frame(kept)[_RUN].merge(metrics, on=["run_id", "own"], validate="one_to_many")


RUN_COLUMNS = (
    "run_id",
    "task",
    "task_config",
    "request",
    "task_sha256",
    "family",
    "method",
    "role",
    "config",
    "settings",
    "own",
    "seed",
    "device",
    "status",
    "created",
)


def runs_frame(filed: Iterable[Filed]) -> pd.DataFrame:
    """Returns one row a run, with its cost."""
    rows = []
    for record, _, own in filed:
        row = {
            "run_id": record.run_id,
            "task": record.task.name,
            "task_config": task_settings(record.task),
            "request": case_of(record).request,
            "task_sha256": record.task.sha256,
            "family": record.task.family,
            "method": record.method.name,
            "role": record.method.role,
            "config": config_text(record),
            "settings": settings_origin(record),
            "own": own,
            "seed": record.seed,
            "device": record.device.group,
            "status": record.status.value,
            "created": record.created,
        }
        if record.cost is not None:
            row |= record.cost.model_dump(exclude={"phases", "step_seconds", "reference_step_seconds"})
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else list(RUN_COLUMNS))


def metrics_frame(filed: Iterable[Filed]) -> pd.DataFrame:
    """Returns one row a metric of a run, joined to runs by ``run_id`` and ``own``."""
    rows = [
        {"run_id": record.run_id, "own": own, **metric.model_dump(exclude={"identity"})}
        for record, _, own in filed
        for metric in record.metrics
    ]
    return pd.DataFrame(rows)
