"""Runs with their scores, and metrics with their runs, as pandas tables for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from ..benchmark.records.record import Record
from .ranking import Ranking, rank_all
from .rows import config_text, latest, settings_text

_RUN = ["run_id", "task", "task_config", "method", "config", "role", "seed", "device"]
_ORDER = ["task", "task_config", "device", "method", "config", "seed"]


def scored_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Returns one row a run of the boards: what was run, its cost, its scores, and the metrics of the boards' columns.

    A board's track stands behind the names of its scores. A failed run scores zero, as on the board.
    """
    kept = latest(records)
    numbers: dict[str, dict[str, Any]] = {record.run_id: {} for record in kept}
    for board in rank_all(kept):
        for run_id, found in _numbers(board):
            numbers[run_id] |= found
    frame = runs_frame(kept)
    scores = pd.DataFrame.from_dict(numbers, orient="index")
    return frame.join(scores, on="run_id").sort_values(_ORDER, ignore_index=True)


def _numbers(board: Ranking) -> Iterator[tuple[str, dict[str, Any]]]:
    behind = f"_{board.track.name}" if board.track.name else ""
    shown = {column.name for column in board.track.columns}
    for row in board.rows:
        for run in row.runs:
            scores = {"score": run.score, **run.components, "utility": run.utility} if board.note is None else {}
            metrics = {
                f"{metric.name}_{metric.judge}" if metric.judge else metric.name: metric.value
                for metric in run.record.metrics
                if metric.name in shown
            }
            yield run.record.run_id, {f"{_column(key)}{behind}": value for key, value in scores.items()} | metrics
        for record in row.failures if board.note is None else []:
            yield record.run_id, {f"score{behind}": 0.0}


def _column(key: str) -> str:
    return key.replace(" ", "_")


def long_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Returns one row a metric of a run of the boards, with what was run."""
    kept = latest(records)
    metrics = metrics_frame(kept)
    if metrics.empty:
        return pd.DataFrame(columns=[*_RUN, "name", "value"])
    return runs_frame(kept)[_RUN].merge(metrics, on="run_id", validate="one_to_many")


RUN_COLUMNS = (
    "run_id",
    "task",
    "task_config",
    "task_sha256",
    "family",
    "method",
    "role",
    "config",
    "seed",
    "device",
    "status",
    "created",
)


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Returns one row a run, with its cost."""
    rows = []
    for record in records:
        row = {
            "run_id": record.run_id,
            "task": record.task.name,
            "task_config": settings_text(record.task.config_passed),
            "task_sha256": record.task.sha256,
            "family": record.task.family,
            "method": record.method.name,
            "role": record.method.role,
            "config": config_text(record),
            "seed": record.seed,
            "device": record.device.group,
            "status": record.status.value,
            "created": record.created,
        }
        if record.cost is not None:
            row |= record.cost.model_dump(exclude={"phases", "step_seconds"})
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else list(RUN_COLUMNS))


def metrics_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Returns one row a metric of a run, joined to runs by ``run_id``."""
    rows = [
        {"run_id": record.run_id, **metric.model_dump(exclude={"identity"})}
        for record in records
        for metric in record.metrics
    ]
    return pd.DataFrame(rows)
