"""Which records stand for a row of a board, and what to call a row's settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..benchmark.records.files import canonical_sha256
from ..benchmark.records.record import Record


def latest(records: Iterable[Record]) -> list[Record]:
    """Keeps what the newest source of every row left: one record a seed, none from an older source or other defaults.

    A row is a task, a method, what was set of it, and a device. Averaging seeds of different sources would mix methods. Of
    weights that were made elsewhere the newest of each seed count: a file of them is no source.
    """
    rows: dict[tuple[str, str, str, str], dict[int, Record]] = {}
    for record in sorted(records, key=lambda record: (record.created, record.run_id)):
        key = record.task.sha256, record.method.name, config_text(record), record.device.group
        kept = rows.get(key, {})
        if any(_source(other) != _source(record) for other in kept.values()):
            kept = {}
        rows[key] = kept | {record.seed: record}
    return [record for kept in rows.values() for record in kept.values()]


def left_out(records: Iterable[Record]) -> list[str]:
    """Returns one sentence for each row of which ``latest`` keeps a part: the rest is of an older source or other defaults."""
    known = list(records)
    kept = {record.run_id for record in latest(known)}
    older: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for record in known:
        if record.run_id not in kept:
            older[record.task.name, record.method.name, config_text(record)].add(record.seed)
    return [
        f"{method}{f' ({config})' if config else ''} on {task} was run with an older version of its file, too, or with other "
        f"defaults: those runs (seeds {', '.join(map(str, sorted(seeds)))}) are left out."
        for (task, method, config), seeds in sorted(older.items())
    ]


def _source(record: Record) -> tuple[str, str]:
    # Each seed has weights of its own; whoever made them says by their name which belong together.
    source = record.method.source_sha256 if record.is_run else ""
    return source, canonical_sha256(record.method.config)


def config_text(record: Record) -> str:
    """Returns what the user set of the method, as one line; empty for the defaults."""
    return settings_text(record.method.config_passed)


def settings_text(passed: Mapping[str, Any]) -> str:
    """Returns settings as one line, by name."""
    return " ".join(f"{key}={value}" for key, value in sorted(passed.items()))
