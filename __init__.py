"""unlearnbench: a benchmark suite and a leaderboard for machine unlearning in generative image models.

The verbs of the command line in Python::

    import unlearnbench as ub

    records = ub.run("digits-ddpm", "sfron", seeds=[0, 1, 2])
    page = ub.board(["results"], out="site").page

Importing this package is cheap: PyTorch is loaded when a verb needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .benchmark import torchvision_guard

torchvision_guard.install()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .benchmark.doctor import Finding
    from .benchmark.errors import BenchmarkError
    from .benchmark.method import Method, Need, Paper
    from .benchmark.problem import Batch, Problem
    from .benchmark.record import Record
    from .benchmark.runner import Event, Refused
    from .benchmark.suite import Request
    from .benchmark.task import Task
    from .leaderboard.site import Board
    from .leaderboard.submission.pack import Submission
    from .leaderboard.submission.validate import Validation
    from .leaderboard.submission.verify import Verification

_EXPORTS = {
    "Batch": ".benchmark.problem",
    "BenchmarkError": ".benchmark.errors",
    "Method": ".benchmark.method",
    "Need": ".benchmark.method",
    "Paper": ".benchmark.method",
    "Problem": ".benchmark.problem",
    "Record": ".benchmark.record",
    "Task": ".benchmark.task",
}

__all__ = [
    "Batch",
    "BenchmarkError",
    "Method",
    "Need",
    "Paper",
    "Problem",
    "Record",
    "Task",
    "board",
    "doctor",
    "method_names",
    "prepare",
    "run",
    "run_requests",
    "submit",
    "suite",
    "task_names",
    "validate",
    "verify",
]

COMMITTED_RESULTS = Path(__file__).parent / "leaderboard" / "results"
"""The records of the full suite that ship with the package."""
COMMITTED_VERIFICATIONS = COMMITTED_RESULTS.parent / "verifications"
"""What maintainers checked of them."""


def __getattr__(name: str) -> Any:
    """Loads a public class on first use, so that the command line answers without importing PyTorch."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name], __name__), name)


def method_names() -> list[str]:
    """Returns the names of all methods that are registered."""
    from .benchmark.registry import methods

    return methods.names()


def task_names() -> list[str]:
    """Returns the names of all tasks that are registered."""
    from .benchmark.registry import tasks

    return tasks.names()


def run(
    task: str, method: str, *, seeds: Sequence[int] = (0,), settings: dict[str, Any] | None = None, **options: Any
) -> list[Record]:
    """Runs a method on a task and returns the records, finished earlier or now.

    Args:
        task: A registered task.
        method: A registered method.
        seeds: One run each.
        settings: Of the task and the method, as with ``--set``.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: A name or a setting is unknown, the pair does not fit, or a record cannot be written.
    """
    from .benchmark.errors import BenchmarkError
    from .benchmark.suite import Request

    records, refused = run_requests([Request(task, method, list(seeds), settings or {})], **options)
    for refusal in refused:
        raise BenchmarkError(refusal.reason)
    return records


def suite(name: str, **options: Any) -> tuple[list[Record], list[Refused]]:
    """Runs a suite, built in or from a TOML file, and returns its records and the pairs that do not fit.

    Args:
        name: ``quick``, ``full`` or the path of a TOML file.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: See ``run``; or the file is not a suite.
    """
    from .benchmark.suite import load_suite

    return run_requests(load_suite(name).requests(), **options)


def run_requests(
    requests: list[Request],
    *,
    results: str | Path = "results",
    device: str = "auto",
    plugins: Sequence[str | Path] = (),
    workers: int | None = None,
    threads: int = 1,
    time_limit: float | None = None,
    retry_failed: bool = False,
    on_plan: Callable[[int], None] = lambda count: None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[list[Record], list[Refused]]:
    """Makes the runs that are asked for and not finished yet, each in a fresh process.

    Args:
        requests: Pairs of a task and a method with seeds and settings.
        results: The folder that records go to.
        device: ``auto``, ``cpu`` or ``cuda``.
        plugins: Files that define methods or tasks.
        workers: Runs at a time; by default one a core on a CPU, one on a GPU.
        threads: PyTorch's threads in each run.
        time_limit: Seconds for one run.
        retry_failed: Whether runs that failed before are made again.
        on_plan: Told how many runs there are.
        on_event: Told what happens.

    Returns:
        The records, and the pairs that do not fit.

    Raises:
        BenchmarkError: See ``run``.
    """
    from .benchmark import registry

    for path in plugins:
        registry.add_plugin(Path(path))
    # Names are checked before PyTorch is loaded, so that a typing mistake is answered at once.
    for request in requests:
        registry.tasks.check(request.task)
        registry.methods.check(request.method)
    from .benchmark import runner

    where = runner.Where(Path(results), device, threads, tuple(Path(path) for path in plugins))
    plans, refused = runner.plan(requests, where)
    on_plan(len(plans))
    made = runner.Runner(
        Path(results),
        workers=workers or runner.default_workers(plans, threads),
        time_limit=time_limit or runner.DEFAULT_TIME_LIMIT,
        retry_failed=retry_failed,
        on_event=on_event,
    ).run(plans)
    return made, refused


def prepare(
    task: str,
    *,
    settings: dict[str, Any] | None = None,
    out: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Path:
    """Makes what a task lacks of its base model, oracles and judges, and returns the folder for what is made.

    Args:
        task: A registered task.
        settings: Of the task, as with ``--set``.
        out: A folder to make everything in from scratch, shipped or not; without it only what is lacking is made.
        plugins: Files that define tasks.
        progress: Told what is being made, how much of it is done and how much there is.

    Raises:
        BenchmarkError: A name or a setting is unknown, or a file cannot be written.
    """
    from .benchmark import registry

    for path in plugins:
        registry.add_plugin(Path(path))
    registry.tasks.check(task)
    from .benchmark.assets import searched_only_in
    from .benchmark.run import make_task

    with searched_only_in(out):
        return make_task(task, settings or {}).prepare(progress)


def doctor() -> list[Finding]:
    """Returns what this machine can run and what is missing."""
    from .benchmark.doctor import diagnose

    return diagnose()


def board(
    results: Sequence[str | Path] = ("results",),
    *,
    out: str | Path = "site",
    committed: bool = True,
    verifications: Sequence[str | Path] = (),
) -> Board:
    """Builds the leaderboard's static site.

    Args:
        results: Folders of records.
        out: The folder that the site is written to.
        committed: Whether to show the records that ship with the package, too.
        verifications: Folders of what `verify` and `validate` attest.

    Raises:
        BenchmarkError: A folder does not exist, there is no record, or the site cannot be written.
    """
    from .leaderboard.site import build_board

    shipped = [COMMITTED_RESULTS] if committed and COMMITTED_RESULTS.is_dir() else []
    checked = [COMMITTED_VERIFICATIONS, *(Path(folder) for folder in verifications)]
    return build_board([*shipped, *(Path(folder) for folder in results)], Path(out), checked)


def submit(
    method: str,
    *,
    results: str | Path = "results",
    out: str | Path = "submission",
    tasks: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
) -> Submission:
    """Packs a method's finished runs and its file for the leaderboard, or returns all that is missing.

    Args:
        method: A registered method.
        results: The folder of its records.
        out: The folder to pack them into, empty or not there yet.
        tasks: The tasks to submit; by default all that there are runs of.
        plugins: Files that define methods.

    Raises:
        BenchmarkError: A name is unknown, there is no run of the method, or the folder is not empty.
    """
    from .leaderboard.submission import pack

    accepted = COMMITTED_RESULTS if COMMITTED_RESULTS.is_dir() else None
    return pack.submit(method, Path(results), Path(out), accepted, tasks, [Path(path) for path in plugins])


def validate(
    folder: str | Path, *, base: str | Path | None = None, own: Sequence[str] = (), attest: str | Path | None = None
) -> Validation:
    """Checks a submission without running anything of it.

    Args:
        folder: A submission to the records that ship with the package; with ``base``, all records as they would be after it.
        base: The folder of all accepted records before it.
        own: Methods whose accepted rows the submission may change or remove.
        attest: A file to write the attestation of what was computed again to.

    Raises:
        BenchmarkError: A folder does not exist, or the attestation cannot be written.
    """
    from .leaderboard.attestations import write_attestation
    from .leaderboard.submission import validate as checks

    shipped = COMMITTED_RESULTS if COMMITTED_RESULTS.is_dir() else None
    accepted = Path(base) if base is not None else shipped
    found = checks.validate(Path(folder), accepted, whole=base is not None, own=own)
    if attest is not None:
        write_attestation(Path(attest), checks.attest(found, __version__))
    return found


def verify(
    record: str | Path,
    *,
    plugins: Sequence[str | Path] = (),
    results: str | Path | None = None,
    out: str | Path = "verifications",
    device: str | None = None,
    **options: Any,
) -> Verification:
    """Makes a record's run again and compares every number with the stored interval.

    Args:
        record: The record's file.
        plugins: Files that define methods or tasks.
        results: Where the new record goes; by default it is thrown away.
        out: The folder that the attestation goes to, which `board` turns into a badge.
        device: ``auto``, ``cpu`` or ``cuda``; by default the record's kind.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: The file is no record, its task or method is not this release's, or the run cannot be made.
    """
    import tempfile

    from .benchmark import registry
    from .benchmark.store import read_record
    from .leaderboard.attestations import write_attestation
    from .leaderboard.submission import verify as checks

    for path in plugins:
        registry.add_plugin(Path(path))
    stored = read_record(Path(record))
    checks.check_same_sources(stored)
    with tempfile.TemporaryDirectory() as folder:
        (again,) = run(
            stored.task.name,
            stored.method.name,
            seeds=[stored.seed],
            settings={**stored.task.config_passed, **stored.method.config_passed},
            results=results or folder,
            plugins=plugins,
            device=device or stored.device.kind,
            threads=stored.device.threads,
            retry_failed=True,
            **options,
        )
    comparisons = checks.compare(stored, again)
    path = checks.attestation_path(Path(out), stored)
    write_attestation(path, checks.attest(stored, again, comparisons))
    return checks.Verification(stored, again, comparisons, path)
