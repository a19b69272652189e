"""A folder of records on disk: written whole or not at all, read one by one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import BenchmarkError
from .files import files_below, write_atomically
from .record import MAX_RECORD_BYTES, Record, moment_after, parse_record, utc_now


class LoadedRecords(NamedTuple):
    """What a folder holds."""

    records: list[Record]
    problems: list[str]
    """One sentence for every file that could not be read as a record."""
    notes: list[str]
    """One for every record that a newer one of the same run in the same folder takes the place of."""
    folders: dict[str, Path]
    """Which of the folders each record is from, by ``run_id``."""


def write_record(folder: Path, record: Record) -> Path:
    """Writes a record into a results folder and returns its path."""
    path = folder / record.filename
    write_atomically(path, record_bytes(record))
    return path


def record_bytes(record: Record) -> bytes:
    """Returns a record as its file holds it."""
    return record.model_dump_json(indent=1).encode() + b"\n"


def read_record(path: Path) -> Record:
    """Reads one record; of a file that is too large for one, no more is read than it takes to know that.

    Raises:
        BenchmarkError: It is no whole record of this release's schema.
        OSError: It cannot be read.
    """
    if not path.exists():
        raise BenchmarkError(f"There is no record {path}; `unlearnbench run` prints where it leaves one.")
    if not path.is_file():
        raise BenchmarkError(f"{path} is a folder or another thing that is no record; name a record's file.")
    if path.suffix != ".json":
        raise BenchmarkError(
            f"{path} is no record, whose name ends in .json; `unlearnbench run` prints where it leaves one."
        )
    with path.open("rb") as file:
        return parse_record(file.read(MAX_RECORD_BYTES + 1), str(path))


def find_record(folder: Path, filename: str) -> Record | None:
    """Returns a finished run's record, or None if it is absent or not readable, so that it has to be made again."""
    try:
        return read_record(folder / filename)
    except (OSError, BenchmarkError):
        return None


def next_moment(folder: Path, task: str, method: str) -> str:
    """Returns the time that a new record of a task and a method bears: now, and later than any such record before it.

    The board takes the newest record of a row, so the order must hold even where the machine's clock was set back: the
    record is then dated a second after the latest one that is there.
    """
    siblings = (find_record(folder, f"{task}/{method}/{path.name}") for path in record_files(folder / task / method))
    latest = max((record.created for record in siblings if record is not None), default="")
    now = utc_now()
    return now if now > latest else moment_after(latest)


def record_files(folder: Path) -> Iterator[Path]:
    """Yields the paths of all record files below a folder, in a fixed order."""
    yield from (path for path in files_below(folder, ".json") if not path.name.startswith("."))


def load_records(folders: list[Path]) -> LoadedRecords:
    """Reads every record below some folders.

    Of a run that occurs twice, the folder named last wins; within one folder the newest record does, and is told of.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    records: dict[str, Record] = {}
    problems: list[str] = []
    notes: list[str] = []
    shared: dict[Any, Any] = {}
    origins: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise BenchmarkError(f"There is no results folder {folder}; make one with `unlearnbench run`.")
        here: dict[str, Path] = {}
        for path in record_files(folder):
            try:
                record = read_record(path)
            except OSError as error:
                problems.append(f"{path} could not be read: {error.strerror}.")
            except BenchmarkError as error:
                problems.append(str(error))
            else:
                other = here.get(record.run_id)
                newest = other is None or records[record.run_id].created <= record.created
                if other is not None:
                    older, newer = (other, path) if newest else (path, other)
                    notes.append(f"{older} is an older record of the run that {newer} is of, and is left out.")
                if newest:
                    here[record.run_id] = path
                    records[record.run_id], origins[record.run_id] = record, folder
                    _share(record, shared)
    return LoadedRecords(list(records.values()), problems, notes, origins)


def _share(record: Record, shared: dict[Any, Any]) -> None:
    """Has records hold what they have in common once: of ten thousand, that is more than half of their memory."""
    for metric in record.metrics:
        identity = metric.identity
        key = tuple(identity.__dict__.values())
        metric.__dict__["identity"] = shared.setdefault(key, identity)
        # Which fields a file named is of no further use, and takes more room than the numbers.
        for part in (metric, identity):
            object.__setattr__(part, "__pydantic_fields_set__", shared.setdefault(type(part), part.model_fields_set))


@contextmanager
def without_collector() -> Iterator[None]:
    """Stops the cyclic garbage collector, which would walk over thousands of records again and again and free nothing."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
