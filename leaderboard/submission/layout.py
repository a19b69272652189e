"""What lies in a submission's folder. Whatever is found is text from a stranger: it is read with care and never run.

The layout is that of ``leaderboard/results``::

    TASK/METHOD/seedN-ID.json    records, as `unlearnbench run` writes them
    methods/METHOD.py            the file that defines a method, for methods that are not part of the suite
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.record import MAX_RECORD_BYTES, NAME_PATTERN, Record, parse_record

METHODS = "methods"
"""The folder of the methods' files."""
MAX_METHOD_BYTES = 2**17
MAX_FILES = 50_000
_RECORD_NAME = re.compile(r"seed\d{1,18}-[0-9a-f]{12}\.json")
_LONGEST_TEXT = 400
_FEW = 3
"""Files out of place that are named; where more are and none is in its place, the folder is another one."""


class Fault(NamedTuple):
    """Something that keeps a submission from being accepted."""

    path: str
    """Of the file, as `shown`; empty for what no single file is to blame for."""
    sentence: str

    def __str__(self) -> str:
        return shown(f"{self.path}: {self.sentence}" if self.path else self.sentence)


class Contents(NamedTuple):
    """What a folder holds, by path inside it."""

    records: dict[str, Record]
    sources: dict[str, bytes]
    """The methods' files, by method."""
    hashes: dict[str, str]
    """Of the bytes of every file that was read."""
    texts: dict[str, bytes]
    """The records' bytes, where they were asked for."""
    problems: list[Fault]


def shown(text: str) -> str:
    """Returns a stranger's text as one short line without anything that a terminal or a log would act on."""
    safe = "".join(
        character if character == " " or not unicodedata.category(character).startswith(("C", "Z")) else " "
        for character in text
    )
    line = " ".join(safe.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def method_path(method: str) -> str:
    """Returns the path of a method's file inside a submission."""
    return f"{METHODS}/{method}.py"


def read_contents(folder: Path, skip: dict[str, str] | None = None) -> Contents:
    """Reads a submission's folder, or the folder of all accepted records.

    Args:
        folder: The folder.
        skip: Hashes of files by path: those that are the same are not parsed.

    Raises:
        BenchmarkError: There is no such folder.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise BenchmarkError(f"There is no folder {folder} to validate; make one with `unlearnbench submit`.")
    found = Contents({}, {}, {}, {}, [])
    for number, (path, name) in enumerate(_files(folder, found.problems)):
        if number == MAX_FILES:
            found.problems.append(Fault("", f"The folder holds more than {MAX_FILES:,} files; split the submission."))
            break
        _read(folder / path, name, skip or {}, found)
    return found if found.hashes else found._replace(problems=_misplaced(folder, found.problems))


def _misplaced(folder: Path, problems: list[Fault]) -> list[Fault]:
    """Of a folder without a file in its place, one sentence where it is another folder than was meant."""
    inside = next((path.parents[2] for path in sorted(folder.glob("*/*/*/seed*.json"))), None)
    if inside is None and len(problems) <= _FEW:
        return problems
    hint = f"; did you mean {inside}?" if inside is not None else "."
    return [Fault("", f"{folder} is no submission: no file is at TASK/METHOD/seedN-ID.json{hint}")]


def _files(folder: Path, problems: list[Fault]) -> Iterator[tuple[Path, str]]:
    """Yields the regular files below a folder in a fixed order; links and devices are problems and are never opened."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        here = Path(place).relative_to(folder)
        if len(here.parts) > 2:
            problems.append(Fault(shown(here.as_posix()), "lies deeper than TASK/METHOD/FILE; remove it."))
            folders.clear()
            continue
        for name in sorted([*files, *(name for name in folders if (folder / here / name).is_symlink())]):
            path = here / name
            if stat.S_ISREG(os.lstat(folder / path).st_mode):
                yield path, path.as_posix()
            else:
                problems.append(Fault(shown(path.as_posix()), "is a link or a device; put the file itself there."))


def _read(path: Path, name: str, skip: dict[str, str], found: Contents) -> None:
    parts = name.split("/")
    is_source = len(parts) == 2 and parts[0] == METHODS and re.fullmatch(NAME_PATTERN, parts[1].removesuffix(".py"))
    is_record = len(parts) == 3 and _RECORD_NAME.fullmatch(parts[2])
    if not (is_source and name.endswith(".py")) and not is_record:
        sentence = (
            "does not belong into a submission, which holds TASK/METHOD/seedN-ID.json and methods/METHOD.py alone."
        )
        found.problems.append(Fault(shown(name), sentence))
        return
    limit = MAX_RECORD_BYTES if is_record else MAX_METHOD_BYTES
    with path.open("rb") as file:
        # No more is read than tells that it is too much: a gigabyte of brackets is never parsed.
        data = file.read(limit + 1)
    if len(data) > limit:
        found.problems.append(Fault(shown(name), f"is larger than {limit:,} bytes; remove it."))
        return
    found.hashes[name] = hashlib.sha256(data).hexdigest()
    if is_source:
        found.sources[parts[1].removesuffix(".py")] = data
        if b"\0" in data or not _is_text(data):
            found.problems.append(Fault(shown(name), "is not a text file in UTF-8."))
        return
    if skip.get(name) == found.hashes[name]:
        return
    try:
        record = parse_record(data, "The record")
    except BenchmarkError as error:
        found.problems.append(Fault(shown(name), str(error)))
        return
    if record.filename != name:
        found.problems.append(Fault(shown(name), f"should be named {record.filename} for what it says; rename it."))
        return
    found.records[name] = record
    found.texts[name] = data


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
