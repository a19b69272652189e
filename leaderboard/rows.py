"""Which records stand for a row of a board, and what to call a row's settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ..benchmark.records.files import canonical_sha256
from ..benchmark.records.record import Record
from .boards import BoardKey, board_keys, case_of, cases_text, settings_text

Item = TypeVar("Item")


class Filed(NamedTuple):
    """A record with the place where it belongs."""

    record: Record
    board: BoardKey
    own: bool
    """Whether it is the reader's and not one that ships with the suite."""

    @property
    def row(self) -> tuple[BoardKey, str, str, bool]:
        """Equal for the records of one row."""
        return self.board, self.record.method.name, config_text(self.record), self.own


def file_records(records: Iterable[Record], own: Collection[str] = ()) -> list[Filed]:
    """Files the records that count, each under its board: what the newest source of every row left, one a request and seed.

    Averaging runs of different sources would mix methods. Of weights that were made elsewhere the newest of each request and
    seed count: a file of them is no source.

    Args:
        records: All that there are.
        own: The ``run_id`` of those that are the reader's, whose rows stand beside the shipped ones. Of two records of one
            run the later one in ``records`` is.
    """
    known = list(records)
    keys = board_keys(known)
    mine = {record.run_id: record for record in known if record.run_id in own}
    filed = [Filed(record, keys[record.task.sha256], mine.get(record.run_id) is record) for record in known]
    return _newest(filed, lambda one: one.record, lambda one: one.row)


def latest(records: Iterable[Record]) -> list[Record]:
    """Keeps what the newest source of every row left on each device: one record a seed, none from an older source.

    This is how runs are compared with runs of another day, where cost counts; boards take a record from any device.
    """
    return _newest(
        records,
        lambda record: record,
        lambda record: (record.task.sha256, record.method.name, config_text(record), record.device.group),
    )


def _newest(
    items: Iterable[Item], record_of: Callable[[Item], Record], row_of: Callable[[Item], Hashable]
) -> list[Item]:
    rows: dict[Hashable, dict[Hashable, Item]] = {}
    for item in sorted(items, key=lambda item: (record_of(item).created, record_of(item).run_id)):
        record, row = record_of(item), row_of(item)
        kept = rows.get(row, {})
        if any(_source(record_of(other)) != _source(record) for other in kept.values()):
            kept = {}
        rows[row] = kept | {case_of(record): item}
    return [item for kept in rows.values() for item in kept.values()]


def left_out(records: Sequence[Record], own: Collection[str] = ()) -> list[str]:
    """Returns one sentence for each row of which the board keeps a part: the rest is of an older source or other defaults."""
    filed = file_records(records, own)
    kept = {id(one.record) for one in filed}
    rows = {(one.record.task.name, one.record.method.name, config_text(one.record)) for one in filed}
    # A run that was made again on another machine is of the same source; the newer one stands for it, and nothing is lost.
    sources = {(one.record.task.name, one.record.method.name, _source(one.record)) for one in filed}
    older: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        row = record.task.name, record.method.name, config_text(record)
        again = (*row[:2], _source(record)) in sources
        if id(record) not in kept and row in rows and not again:
            older[row].append(record)
    return [
        f"{method}{f' ({config})' if config else ''} on {task} was run with an older version of its file, too, or with other "
        f"settings (defaults, or an earlier search's): those runs (seeds {cases_text(case_of(one) for one in found)}) are left "
        "out."
        for (task, method, config), found in sorted(older.items())
    ]


def _source(record: Record) -> tuple[str, str]:
    # Each seed has weights of its own; whoever made them says by their name which belong together.
    source = record.method.source_sha256 if record.is_run else ""
    return source, canonical_sha256(record.method.config)


def config_text(record: Record) -> str:
    """Returns what was set of the method by hand, as one line; empty for its defaults and for tuned settings."""
    return "" if record.method.settings_from == "tuned" else settings_text(record.method.config_passed)


EARLIER_DEFAULTS = "defaults of then"
"""Of a record of an earlier release, whose defaults were no paper's."""


def settings_origin(record: Record) -> str:
    """Returns where a row's settings come from, in words."""
    method = record.method
    if not method.config:
        return "nothing to tune"
    if method.settings_from == "tuned":
        return f"tuned ({method.trials} trials)" if method.trials else "tuned"
    if method.settings_from == "paper":
        return "paper's"
    return "set by hand" if method.settings_from == "set" or method.config_passed else EARLIER_DEFAULTS
