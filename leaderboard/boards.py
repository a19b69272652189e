"""Which records stand on one board: runs on the requests of one task, under one protocol, on whatever device."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..benchmark.records.record import Config, Record, TaskInfo

_EARLIER_REQUEST = "forget_class"
"""The one setting that said what is forgotten before records named their request."""


class Case(NamedTuple):
    """What one run of a row is of: a request and a seed. Rows are compared case by case."""

    request: str
    seed: int

    def label(self, several: bool) -> str:
        """Returns it in words; the request is named where there are several."""
        return f"{self.request}, seed {self.seed}" if several and self.request else f"seed {self.seed}"


class BoardKey(NamedTuple):
    """What the records of a board share."""

    task: str
    version: int
    shared: str
    """The hash of what requests share; of records without one, the configuration without the request."""
    generation: int
    """Of several hashes of one request the newest is 0."""


def request_of(task: TaskInfo) -> Config:
    """Returns the settings that say what is forgotten; records of earlier releases have them among the others."""
    if task.request is not None:
        return task.request
    return {key: value for key, value in task.config.items() if key == _EARLIER_REQUEST}


def case_of(record: Record) -> Case:
    """Returns the request and the seed of a run."""
    return Case(settings_text(request_of(record.task)), record.seed)


def cases_text(cases: Iterable[Case]) -> str:
    """Returns cases as one line: the seeds, request by request where there are several."""
    seeds: dict[str, list[str]] = defaultdict(list)
    for case in sorted(cases):
        seeds[case.request].append(str(case.seed))
    if len(seeds) == 1:
        return ", ".join(next(iter(seeds.values())))
    return "; ".join(f"{request or 'no request'}: {', '.join(found)}" for request, found in seeds.items())


def task_settings(task: TaskInfo) -> str:
    """Returns what the user set of a task beside the request, as one line."""
    request = request_of(task)
    return settings_text({key: value for key, value in task.config_passed.items() if key not in request})


def settings_text(passed: Mapping[str, Any]) -> str:
    """Returns settings as one line, by name."""
    return " ".join(f"{key}={value}" for key, value in sorted(passed.items()))


def board_keys(records: Iterable[Record]) -> dict[str, BoardKey]:
    """Returns the board of every task's hash.

    What requests share is said by the newest record of a hash that says it. Where none does, as in earlier releases, the
    board is that of all such records with the same configuration beside the request. Runs of two hashes of one request stand
    on boards of their own: some file or some number of the protocol is another one.
    """
    newest: dict[str, Record] = {}
    shared: dict[str, str] = {}
    for record in sorted(records, key=lambda record: (record.created, record.task.shared_sha256 or "")):
        newest[record.task.sha256] = record
        if record.task.shared_sha256 is not None:
            shared[record.task.sha256] = record.task.shared_sha256
    # The newest first; hashes decide between records of the same moment, so that the order of reading does not.
    ordered = sorted(sorted(newest), key=lambda sha256: newest[sha256].created, reverse=True)
    seen: dict[tuple[str, int, str, str], int] = defaultdict(int)
    keys = {}
    for sha256 in ordered:
        task, request = newest[sha256].task, settings_text(request_of(newest[sha256].task))
        common = task.name, task.version, shared.get(sha256) or _without_request(task)
        keys[sha256] = BoardKey(*common, seen[*common, request])
        seen[*common, request] += 1
    return keys


def _without_request(task: TaskInfo) -> str:
    request = request_of(task)
    return json.dumps({key: value for key, value in task.config.items() if key not in request}, sort_keys=True)
