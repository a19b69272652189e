"""Submissions made of committed records: real numbers under another method's name."""

import hashlib
import json
from pathlib import Path

from helpers import ROOT
from unlearnbench.benchmark.records.record import Record, parse_record
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.benchmark.running.identity import make_method, method_info, run_id
from unlearnbench.leaderboard.boards import case_of

ACCEPTED = ROOT / "leaderboard" / "results"
SOURCE = b'"""Mine."""\n'


def committed(task: str, method: str) -> list[Record]:
    """Returns a committed row of a task, by request and seed."""
    paths = (ACCEPTED / task / method).glob("*.json")
    return sorted((parse_record(path.read_bytes(), str(path)) for path in paths), key=case_of)


def with_changes(record: Record, **changes) -> Record:
    """Returns a record with other fields, by dotted name, and the run_id that belongs to them."""
    data = json.loads(record.model_dump_json())
    for place, value in changes.items():
        *folders, last = place.split("__")
        inner = data
        for name in folders:
            inner = inner[int(name)] if isinstance(inner, list) else inner[name]
        inner[last] = value
    made = Record.model_validate(data)
    if "run_id" in changes:
        return made
    return made.model_copy(update={"run_id": run_id(made.task, made.method, made.seed, made.device)})


def as_of_now(record: Record, **changes) -> Record:
    """Returns a committed record as if its method's file had not changed since, as files do when others move."""
    made = make_method(record.method.name, record.method.config_passed)
    return with_changes(record, method__source_sha256=method_info(made).source_sha256, **changes)


def mine(record: Record, **changes) -> Record:
    """Returns a committed record as a run of a method of the user's own, with times of its own."""
    steps = [value * 1.01 for value in record.cost.step_seconds]
    seconds = record.cost.unlearn_seconds * 1.01
    phases = [phase.model_dump() for phase in record.cost.phases]
    for phase in phases:
        phase["seconds"] = [seconds] if phase["timed"] else phase["seconds"]
    fields = {
        "method__name": "mine",
        "method__role": "method",
        "method__distribution": "file",
        "method__settings_from": "set",
        "method__trials": None,
        "method__source_sha256": hashlib.sha256(SOURCE).hexdigest(),
        "cost__step_seconds": steps,
        "cost__unlearn_seconds": seconds,
        "cost__phases": phases,
    }
    return with_changes(record, **(fields | changes))


def write_submission(folder: Path, records: list[Record], source: bytes | None = SOURCE) -> Path:
    """Writes records and the method's file into the layout of a submission."""
    for record in records:
        write_record(folder, record)
    if source is not None:
        (folder / "methods").mkdir(parents=True, exist_ok=True)
        (folder / "methods" / "mine.py").write_bytes(source)
    return folder
