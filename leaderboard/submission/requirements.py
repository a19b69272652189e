"""What rows must have to stand on the board: seeds, one device, one source, reference rows beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...benchmark.records.record import Record, Status
from ..ranking import tracks_of
from ..rows import config_text, settings_text

SEEDS = (0, 1, 2)
"""Every row has these seeds, so that rows can be compared seed by seed."""
REFERENCES = ("original", "oracle")


class RowKey(NamedTuple):
    """What the runs of a row share, whatever they ran on."""

    task: str
    task_sha256: str
    task_config: str
    method: str
    config: str

    @property
    def name(self) -> str:
        """The row in words."""
        task = f"{self.task} ({self.task_config})" if self.task_config else self.task
        return f"{self.method}{f' ({self.config})' if self.config else ''} on {task}"

    @classmethod
    def of(cls, record: Record) -> RowKey:
        """Returns the row that a record belongs to."""
        task, passed = record.task, settings_text(record.task.config_passed)
        return cls(task.name, task.sha256, passed, record.method.name, config_text(record))


def incomplete(records: Sequence[Record], accepted: Iterable[Record] = ()) -> list[str]:
    """Returns what the rows of some records lack, one sentence each.

    Args:
        records: What is submitted.
        accepted: What is on the board already; its seeds and reference rows count.
    """
    together = {record.run_id: record for record in [*accepted, *records]}
    rows: dict[RowKey, list[Record]] = defaultdict(list)
    for record in together.values():
        rows[RowKey.of(record)].append(record)
    found = []
    for key in sorted({RowKey.of(record) for record in records}):
        found += [*_seeds(key, rows[key]), *_source(key, rows[key])]
    return found + list(_dirty(records)) + list(_references(records, list(together.values())))


def _seeds(key: RowKey, records: list[Record]) -> Iterable[str]:
    by_device: dict[str, set[int]] = defaultdict(set)
    for record in records:
        by_device[record.device.group].add(record.seed)
    whole = [device for device, seeds in by_device.items() if seeds.issuperset(SEEDS)]
    if not whole and len(by_device) > 1:
        spread = "; ".join(f"{_list(seeds)} on {device}" for device, seeds in sorted(by_device.items()))
        yield f"{key.name} mixes devices (seeds {spread}); run all seeds on one."
        return
    for device, seeds in sorted(by_device.items()):
        lacking = sorted(set(SEEDS) - seeds)
        if lacking:
            yield f"{key.name} lacks the seed{'s' * (len(lacking) > 1)} {_list(lacking)} on {device}."


def _source(key: RowKey, records: list[Record]) -> Iterable[str]:
    by_device: dict[str, set[str]] = defaultdict(set)
    for record in records:
        # Each seed has weights of its own, where those were made elsewhere.
        by_device[record.device.group].add(record.method.source_sha256 if record.is_run else "")
    for device, sources in sorted(by_device.items()):
        if len(sources) > 1:
            yield f"{key.name} mixes {len(sources)} versions of the method's file on {device}; run all seeds with one."


def _dirty(records: Sequence[Record]) -> Iterable[str]:
    rows = sorted({RowKey.of(record).name for record in records if record.provenance.git_dirty})
    for name in rows:
        yield f"{name} was run from a clone with uncommitted changes; commit them and run it again."


def _references(records: Sequence[Record], together: Sequence[Record]) -> Iterable[str]:
    """Without the original, and the oracle where the score asks for it, a board has no scores."""
    good = [record for record in together if record.status is Status.OK]
    boards = {(r.task.name, r.task.sha256, r.device.group): r.task for r in records}
    for (_, sha256, device), task in sorted(boards.items(), key=lambda board: board[0]):
        tracks = tracks_of(task)
        wanted = REFERENCES if not tracks or all(track.oracle for track in tracks) else REFERENCES[:1]
        for name in wanted:
            here = [r for r in good if (r.task.sha256, r.method.name, r.device.group) == (sha256, name, device)]
            lacking = sorted(set(SEEDS) - {record.seed for record in here if not record.method.config_passed})
            if lacking:
                yield (
                    f"There is no score on {task.name} on {device} without the seed{'s' * (len(lacking) > 1)} "
                    f"{_list(lacking)} of {name}; run `{task.run_command(name, lacking)}`."
                )


def _list(seeds: Iterable[int]) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))
