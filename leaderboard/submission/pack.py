"""Packs a method's finished runs into the layout of the accepted records, or says all that is missing."""

from __future__ import annotations

import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...benchmark import origin, registry
from ...benchmark.command_line import command
from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import file_sha256, write_atomically
from ...benchmark.records.record import Record
from ...benchmark.records.store import load_records, record_bytes
from ...benchmark.running.identity import Configured, make_method, method_info
from ..boards import board_keys, case_of, cases_text, settings_text, task_settings
from ..rows import latest, settings_origin
from ..scoring import REFERENCES
from .layout import method_path
from .requirements import SEEDS, SEEDS_OF_EACH, RowKey
from .validate import validate

_PUBLISH = (
    "The records know the weights by their SHA-256 alone: publish the files, so that anyone can run "
    "`unlearnbench verify RECORD --weights FILE`."
)


class Submission(NamedTuple):
    """What was packed, or what keeps it from being packed."""

    folder: Path
    files: list[str]
    """Paths inside the folder; none if anything is missing."""
    problems: list[str]
    """Everything that is missing, one sentence each."""
    notes: list[str]
    """What the submission does without."""


def submit(
    method: str,
    results: Path,
    out: Path,
    accepted: Path | None,
    tasks: Sequence[str] = (),
    plugins: Sequence[Path] = (),
) -> Submission:
    """Packs a method's runs, with all its settings, and its file.

    Args:
        method: The method.
        results: The folder of finished runs.
        out: The submission's folder; it must be empty or not there yet.
        accepted: The accepted records, whose reference rows count.
        tasks: The tasks to submit; all that there are runs of, if empty.
        plugins: Files that define methods; they are run.

    Raises:
        BenchmarkError: There is no such method or folder, no run of the method, or the folder is not empty.
    """
    registry.add_plugins(plugins)
    mine = [record for record in load_records([results]).records if record.method.name == method]
    made_here = not mine or any(record.is_run for record in mine)
    if made_here:
        registry.methods.check(method)
    for task in tasks:
        registry.tasks.check(task)
        if not registry.tasks.is_builtin(task):
            raise BenchmarkError(
                f"The task '{task}' is not part of the suite, whose board shows no other; leave it out."
            )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BenchmarkError(f"The folder {out} is not empty; choose another with --out, or remove it.")
    elsewhere = sorted({record.task.name for record in mine if not registry.tasks.is_builtin(record.task.name)})
    asked = [
        record for record in mine if record.task.name in tasks or (not tasks and record.task.name not in elsewhere)
    ]
    if not asked:
        where = f" on a task of the suite in {results}" if elsewhere else f" in {results}"
        there = tasks[0] if tasks else "digits-vae"
        proposed = _run_command(there, method) if made_here else command("evaluate", there, "FILE", "--name", method)
        raise BenchmarkError(f"There is no run of '{method}'{where}; make some with `{proposed}`.")
    # Weights that were made elsewhere have no source: they are known by their hash, one a seed.
    current, outdated = _by_source(asked, _current_source(method)) if made_here else (latest(asked), [])
    current, notes = _of_one_kind(current)
    files = _staged(current, results, accepted, method if made_here else None)
    problems = [*outdated, *(_whole_task(method, current, asked) if made_here else ()), *_checked(files, accepted)]
    if not problems:
        for name, data in files.items():
            write_atomically(out / name, data)
    notes += _not_run(method, current) if made_here else [_PUBLISH]
    if elsewhere and not tasks:
        notes.append(f"Left out, since they are not on a task of the suite: the runs on {', '.join(elsewhere)}.")
    return Submission(out, [] if problems else sorted(files), problems, notes)


def _current_source(method: str) -> str:
    """The hash of a method's file as it is now.

    Raises:
        BenchmarkError: It extends or imports what stands in another file, and nobody could check it without running both.
    """
    cls = registry.methods.get(method)
    digest = method_info(make_method(method, {})).source_sha256
    if not origin.is_builtin(cls) and digest != file_sha256(origin.source(cls).path):
        raise BenchmarkError(
            f"The method '{method}' extends or imports what stands in another file; copy that into its own and run it again."
        )
    return digest


def _by_source(records: Sequence[Record], digest: str) -> tuple[list[Record], list[str]]:
    """Splits off the runs of older versions of the file; those that no newer run stands for are missing."""
    keys = board_keys(records)
    current = [record for record in records if record.method.source_sha256 == digest]
    again = {(RowKey.of(record, keys), case_of(record)) for record in current}
    stale: dict[RowKey, list[Record]] = defaultdict(list)
    for record in records:
        key = RowKey.of(record, keys)
        if record.method.source_sha256 != digest and (key, case_of(record)) not in again:
            stale[key].append(record)
    sentences = [
        f"{key.name}: the seeds {cases_text({case_of(record) for record in found})} were run with another version of the "
        "method's file; run them again."
        for key, found in sorted(stale.items())
    ]
    return current, sentences


def _of_one_kind(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Leaves out the runs of a row whose settings are others than its newest run's: those by default, say, of a tuned row."""
    keys = board_keys(records)
    rows: dict[RowKey, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda one: one.created):
        rows[RowKey.of(record, keys)].append(record)
    kept, notes = list[Record](), []
    for key, found in sorted(rows.items()):
        newest = found[-1]
        others = [one for one in found if one.method.config != newest.method.config]
        kept += [one for one in found if one not in others]
        if others:
            seeds = cases_text(case_of(one) for one in others)
            notes.append(
                f"Left out of {key.name}: the seeds {seeds} with other settings ({settings_origin(others[-1])}) than those "
                f"of its newest run ({settings_origin(newest)})."
            )
    return kept, notes


def _whole_task(method: str, records: Sequence[Record], begun: Sequence[Record]) -> Iterator[str]:
    """At least one embedded task must be whole, set but for its request by nobody, so that anyone can run the method again.

    Args:
        method: Its name.
        records: Its runs that count.
        begun: All its runs, of which a task is proposed.
    """
    embedded = _embedded(method)
    seeds: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        if not task_settings(record.task):
            seeds[record.task.name][case_of(record).request].add(record.seed)
    if embedded and not any(_is_whole(name, seeds[name]) for name in embedded):
        tried = {record.task.name for record in begun}
        proposed = next((name for name in embedded if name in tried), embedded[0])
        yield (
            f"No embedded task is whole; run one of {', '.join(embedded)}, as with `{_run_command(proposed, method)}`."
        )


def _is_whole(task: str, seeds: Mapping[str, set[int]]) -> bool:
    """Whether a method has three seeds of one of a task's requests, or two of each of them."""
    standard = [settings_text(request) for request in registry.tasks.get(task).standard_requests]
    each = len(standard) > 1 and all(seeds.get(request, set()).issuperset(SEEDS_OF_EACH) for request in standard)
    return each or any(found.issuperset(SEEDS) for found in seeds.values())


def _run_command(task: str, method: str) -> str:
    files = origin.plugin_files(registry.methods.get(method))
    return command("run", task, method, seeds=SEEDS, plugins=files)


def _not_run(method: str, records: Sequence[Record]) -> Iterator[str]:
    lacking = sorted(set(_embedded(method)) - {record.task.name for record in records})
    if lacking:
        yield f"Not run, though the method fits: {', '.join(lacking)}."


def _embedded(method: str) -> list[str]:
    """The embedded tasks that a method fits."""
    fitting = []
    for name in registry.tasks.names():
        # Somebody's broken task is no reason to keep a method from being submitted.
        with contextlib.suppress(BenchmarkError):
            cls = registry.tasks.get(name)
            if cls.tier == "embedded" and origin.is_builtin(cls):
                Configured.of(name, method, {}).check()
                fitting.append(name)
    return fitting


def _staged(records: Sequence[Record], results: Path, accepted: Path | None, method: str | None) -> dict[str, bytes]:
    """The submission's files: the runs, the reference rows that the board lacks, the method's file, if it has one."""
    tasks = {record.task.sha256 for record in records}
    known = load_records([accepted]).records if accepted is not None else []
    there = {
        (record.task.sha256, record.method.name, record.seed) for record in known if record.method.name in REFERENCES
    }
    references = [
        record
        for record in latest(load_records([results]).records)
        if record.method.name in REFERENCES
        and not record.method.config_passed
        and record.task.sha256 in tasks
        and (record.task.sha256, record.method.name, record.seed) not in there
    ]
    files = {record.filename: record_bytes(record) for record in [*records, *references]}
    if records and method is not None and not registry.methods.is_builtin(method):
        files[method_path(method)] = origin.source(registry.methods.get(method)).path.read_bytes()
    return files


def _checked(files: dict[str, bytes], accepted: Path | None) -> list[str]:
    """Checks a submission as it will be checked when it is handed in."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            write_atomically(Path(folder) / name, data)
        return [str(problem) for problem in validate(Path(folder), accepted).problems]
