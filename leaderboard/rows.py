"""Records as pandas tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ..benchmark.records.files import canonical_sha256
from ..benchmark.records.record import Record

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


def latest(records: Iterable[Record]) -> list[Record]:
    """Keeps what the newest source of every row left: one record a seed, none from an older source or other defaults.

    A row is a task, a method, what was set of it, and a device. Averaging seeds of different sources would mix methods.
    """
    rows: dict[tuple[str, str, str, str], dict[int, Record]] = {}
    for record in sorted(records, key=lambda record: (record.created, record.run_id)):
        key = record.task.sha256, record.method.name, config_text(record), record.device.group
        kept = rows.get(key, {})
        if any(_source(other) != _source(record) for other in kept.values()):
            kept = {}
        rows[key] = kept | {record.seed: record}
    return [record for kept in rows.values() for record in kept.values()]


def _source(record: Record) -> tuple[str, str]:
    return record.method.source_sha256, canonical_sha256(record.method.config)


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


def config_text(record: Record) -> str:
    """Returns what the user set of the method, as one line; empty for the defaults."""
    return settings_text(record.method.config_passed)


def settings_text(passed: Mapping[str, Any]) -> str:
    """Returns settings as one line, by name."""
    return " ".join(f"{key}={value}" for key, value in sorted(passed.items()))
