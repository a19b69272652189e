"""What rows must have to stand on the board: requests and seeds, one source, reference rows beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ...benchmark.records.record import Record, Status
from ..boards import BoardKey, board_keys, case_of, cases_text, task_settings
from ..ranking import tracks_of
from ..rows import config_text, settings_origin
from ..scoring import REFERENCES

SEEDS = (0, 1, 2)
"""What a row has on a task with one request, so that rows can be compared seed by seed."""
SEEDS_OF_EACH = (0, 1)
"""What a row has of each request, where the board has several."""


class RowKey(NamedTuple):
    """What the runs of a row share, whatever was to be forgotten and whatever they ran on."""

    board: BoardKey
    task_config: str
    method: str
    config: str

    @property
    def name(self) -> str:
        """The row in words."""
        task = f"{self.board.task} ({self.task_config})" if self.task_config else self.board.task
        return f"{self.method}{f' ({self.config})' if self.config else ''} on {task}"

    @classmethod
    def of(cls, record: Record, keys: Mapping[str, BoardKey]) -> RowKey:
        """Returns the row that a record belongs to.

        Args:
            record: The record.
            keys: The board of every task's hash.
        """
        return cls(keys[record.task.sha256], task_settings(record.task), record.method.name, config_text(record))


def incomplete(
    records: Sequence[Record], accepted: Iterable[Record] = (), broken: Collection[tuple[str, ...]] = ()
) -> list[str]:
    """Returns what the rows of some records lack, one sentence each.

    Args:
        records: What is submitted.
        accepted: What is on the board already; its runs and reference rows count.
        broken: Tasks and methods of which there are records that cannot be used: what their rows lack is said of those.
    """
    together = list({record.run_id: record for record in [*accepted, *records]}.values())
    keys = board_keys(together)
    rows: dict[RowKey, list[Record]] = defaultdict(list)
    for record in together:
        rows[RowKey.of(record, keys)].append(record)
    found = []
    for key in sorted({RowKey.of(record, keys) for record in records}):
        if (key.board.task, key.method) in broken:
            continue
        found += [*_seeds(key, rows[key], _requests(key.board, together, keys)), *_source(key, rows[key])]
        found += _origins(key, rows[key])
    return found + list(_dirty(records, keys)) + list(_references(records, together))


def _requests(board: BoardKey, together: Iterable[Record], keys: Mapping[str, BoardKey]) -> set[str]:
    """The requests that a board has an original of."""
    here = (record for record in together if keys[record.task.sha256] == board)
    return {case_of(record).request for record in here if record.method.name == "original"}


def _seeds(key: RowKey, records: Sequence[Record], requests: set[str]) -> Iterable[str]:
    """Three seeds of one request, or two of each; a row of the latter kind says more."""
    there: dict[str, set[int]] = defaultdict(set)
    for record in records:
        there[case_of(record).request].add(record.seed)
    if any(seeds.issuperset(SEEDS) for seeds in there.values()):
        return
    if len(requests) > 1 and all(there[request].issuperset(SEEDS_OF_EACH) for request in requests):
        return
    request, seeds = max(there.items(), key=lambda found: (len(found[1] & set(SEEDS)), found[0]))
    lacking = sorted(set(SEEDS) - seeds)
    several = f" of {request}, or the seeds {_list(SEEDS_OF_EACH)} of each of {'; '.join(sorted(requests))}"
    yield f"{key.name} lacks the seed{'s' * (len(lacking) > 1)} {_list(lacking)}{several if len(requests) > 1 else ''}."


def _source(key: RowKey, records: Sequence[Record]) -> Iterable[str]:
    # Each seed has weights of its own, where those were made elsewhere.
    sources = {record.method.source_sha256 if record.is_run else "" for record in records}
    if len(sources) > 1:
        cases = cases_text(case_of(record) for record in records)
        yield f"{key.name} mixes {len(sources)} versions of the method's file (seeds {cases}); run all of them with one."


def _origins(key: RowKey, records: Sequence[Record]) -> Iterable[str]:
    # A search may find the method's own defaults, so that runs from before it are of the same row.
    origins = sorted({settings_origin(record) for record in records if record.method.settings_from == "tuned"})
    if len(origins) > 1:
        yield f"The runs of {key.name} say that their settings are {' and '.join(origins)}; search once for all of them."


def _dirty(records: Sequence[Record], keys: Mapping[str, BoardKey]) -> Iterable[str]:
    rows = sorted({RowKey.of(record, keys).name for record in records if record.provenance.git_dirty})
    for name in rows:
        yield f"{name} was run from a clone with uncommitted changes; commit them and run it again."


def _references(records: Sequence[Record], together: Sequence[Record]) -> Iterable[str]:
    """Without the original, and the oracle where the score asks for it, runs on a request have no score.

    They may be from any device.
    """
    good = [record for record in together if record.status is Status.OK]
    for sha256, task in sorted({record.task.sha256: record.task for record in records}.items()):
        tracks = tracks_of(task)
        wanted = REFERENCES if not tracks or all(track.oracle for track in tracks) else REFERENCES[:1]
        asked = {record.seed for record in records if record.task.sha256 == sha256}
        for name in wanted:
            here = [record for record in good if (record.task.sha256, record.method.name) == (sha256, name)]
            # Every seed has the original's samples beside it; of the oracles there are as many as there are.
            needed = asked if name == "original" else set(SEEDS_OF_EACH)
            lacking = sorted(needed - {record.seed for record in here if not record.method.config_passed})
            if lacking:
                yield (
                    f"There is no score on {task.name} without the seed{'s' * (len(lacking) > 1)} "
                    f"{_list(lacking)} of {name}; run `{task.run_command(name, lacking)}`."
                )


def _list(seeds: Iterable[int]) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))
