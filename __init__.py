"""unlearnbench: a benchmark suite and a leaderboard for machine unlearning in generative image models.

The verbs of the command line in Python::

    import unlearnbench as ub

    records = ub.run("digits-ddpm", "sfron", seeds=[0, 1, 2])
    page = ub.board(["results"], out="site").page
    ub.compare(["sfron", "salun"], tasks=["digits-ddpm"]).plot().save("sfron-salun.svg")

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
    import pandas as pd

    from .benchmark.checking import Report
    from .benchmark.doctor import Finding
    from .benchmark.errors import BenchmarkError
    from .benchmark.method import Method, Need, Paper
    from .benchmark.plan import Event, Refused
    from .benchmark.problem import Batch, Problem
    from .benchmark.record import Record
    from .benchmark.store import LoadedRecords
    from .benchmark.suite import Request
    from .benchmark.task import Task
    from .leaderboard.comparison import Comparison
    from .leaderboard.site import Board
    from .leaderboard.submission.pack import Submission
    from .leaderboard.submission.validate import Validation
    from .leaderboard.submission.verify import Verification
    from .leaderboard.verdicts import Verdicts

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
    "check",
    "compare",
    "doctor",
    "method_names",
    "metrics",
    "new",
    "prepare",
    "records",
    "regress",
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
    memory_limit: float | None = None,
    retry_failed: bool = False,
    executor: str = "local",
    slurm: dict[str, Any] | None = None,
    on_plan: Callable[[int], None] = lambda count: None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[list[Record], list[Refused]]:
    """Makes the runs that are asked for and not finished yet, each in a fresh process.

    Args:
        requests: Pairs of a task and a method with seeds and settings.
        results: The folder that records go to.
        device: ``auto``, ``cpu`` or ``cuda``.
        plugins: Files that define methods or tasks.
        workers: Runs at a time; by default one a core on a CPU, one a GPU, all of them on a cluster.
        threads: PyTorch's threads in each run.
        time_limit: Seconds for one run.
        memory_limit: Gigabytes for one run.
        retry_failed: Whether runs that failed before are made again.
        executor: ``local``, or ``slurm`` for jobs on a cluster.
        slurm: What each job asks the cluster for, such as ``{"partition": "gpu", "time": 120}``.
        on_plan: Told how many runs there are.
        on_event: Told what happens.

    Returns:
        The records, and the pairs that do not fit.

    Raises:
        BenchmarkError: See ``run``.
    """
    from .benchmark import registry
    from .benchmark.limits import check_executor, make_limits

    check_executor(executor, slurm)
    limits = make_limits(time_limit, memory_limit, here=executor == "local")
    for path in plugins:
        registry.add_plugin(Path(path))
    # Names are checked before PyTorch is loaded, so that a typing mistake is answered at once.
    for request in requests:
        registry.tasks.check(request.task)
        registry.methods.check(request.method)
    from .benchmark.executors import make_executor
    from .benchmark.plan import Where, plan
    from .benchmark.runner import Runner

    folder = Path(results)
    where = Where(folder, device, threads, tuple(Path(path) for path in plugins), any_device=executor == "slurm")
    plans, refused = plan(requests, where)
    made_by = make_executor(executor, plans, where, limits, workers=workers, retry_failed=retry_failed, slurm=slurm)
    on_plan(len(plans))
    made = Runner(folder, executor=made_by, retry_failed=retry_failed, on_event=on_event).run(plans)
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


def new(kind: str, name: str, *, out: str | Path = ".") -> tuple[Path, Path]:
    """Writes the first file of a method, which works as it stands, and its test; returns both paths.

    Args:
        kind: ``method``.
        name: What the method is to be registered under.
        out: The folder that the files go to.

    Raises:
        BenchmarkError: The name is not valid or taken, or a file is there already.
    """
    from .benchmark.scaffold import write_new

    return write_new(kind, name, Path(out))


def check(
    method: str | Path,
    *,
    task: str | None = None,
    settings: dict[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    time_limit: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Holds a method to the contract, on a toy problem on the CPU, and returns what each check found.

    Args:
        method: A file that defines one, or a registered name.
        task: A registered task instead of the toy problem.
        settings: Of the method, as with ``--set``; ``steps`` is lowered unless it is set here.
        plugins: Files that define methods or tasks.
        time_limit: Seconds for one of the runs.
        progress: Told how many runs are done, and of how many.

    Raises:
        BenchmarkError: The method cannot be found, loaded or configured, or does not fit the task.
    """
    from .benchmark import checking

    what = checking.subject(method, task=task, settings=settings, plugins=[Path(path) for path in plugins])
    return checking.check(what, time_limit=time_limit or checking.TIME_LIMIT, progress=progress)


def doctor() -> list[Finding]:
    """Returns what this machine can run and what is missing."""
    from .benchmark.doctor import diagnose

    return diagnose()


def board(
    results: Sequence[str | Path] | None = None,
    *,
    out: str | Path = "site",
    committed: bool = True,
    verifications: Sequence[str | Path] = (),
) -> Board:
    """Builds the leaderboard's static site.

    Args:
        results: Folders of records; by default ``results`` if it is there.
        out: The folder that the site is written to.
        committed: Whether to show the records that ship with the package, too.
        verifications: Folders of what `verify` and `validate` attest.

    Raises:
        BenchmarkError: A folder does not exist, there is no record, or the site cannot be written.
    """
    from .leaderboard.site import build_board

    checked = [COMMITTED_VERIFICATIONS, *(Path(folder) for folder in verifications)]
    return build_board(_folders(results, committed), Path(out), checked)


def compare(
    methods: Sequence[str],
    tasks: Sequence[str] | None = None,
    *,
    folders: Sequence[str | Path] | None = None,
    committed: bool = True,
) -> Comparison:
    """Compares methods over the seeds that they share, on every board that holds two of them.

    Args:
        methods: Names as on the board, with or without what was set: ``"sfron"``, ``"uno (lr=0.001 steps=50)"``. A name
            without settings is the row of the defaults, or all of the method's rows on a board that has none.
        tasks: Names of tasks; by default all.
        folders: Folders of records; by default ``results`` if it is there.
        committed: Whether to read the records that ship with the package, too.

    Raises:
        BenchmarkError: A folder does not exist, a name is unknown, or there is nothing to compare.
    """
    from .leaderboard.comparison import compare_records

    loaded = _load(folders, committed)
    return compare_records(loaded.records, methods, tasks, loaded.problems)


def records(folders: Sequence[str | Path] | None = None, committed: bool = True) -> pd.DataFrame:
    """Returns the runs that the boards show: one row each with its score, its cost and the headline metrics.

    Of a run that was made anew from another source only the newest counts, as on the board. A file that is no readable
    record is warned of.

    Args:
        folders: See ``compare``.
        committed: See ``compare``.

    Returns:
        ``score`` (with the track's name where a task has tracks: ``score_suppression``), the components and ``utility``
        likewise, and a column for each metric and judge (``forget_accuracy_resnet``). What a run has not is NaN.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    from .leaderboard.scored import scored_frame

    return scored_frame(_load(folders, committed, warn=True).records)


def metrics(folders: Sequence[str | Path] | None = None, committed: bool = True) -> pd.DataFrame:
    """Returns every metric of the runs that the boards show: one row a run, metric, judge and class, with its interval.

    Args:
        folders: See ``compare``.
        committed: See ``compare``.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    from .leaderboard.scored import long_frame

    return long_frame(_load(folders, committed, warn=True).records)


def _load(folders: Sequence[str | Path] | None, committed: bool, *, warn: bool = False) -> LoadedRecords:
    import warnings

    from .benchmark.store import load_records

    loaded = load_records(_folders(folders, committed))
    for problem in loaded.problems if warn else []:
        warnings.warn(problem, stacklevel=3)
    return loaded


def _folders(folders: Sequence[str | Path] | None, committed: bool) -> list[Path]:
    """Returns the folders to read; later ones win over earlier ones."""
    shipped = [COMMITTED_RESULTS] if committed and COMMITTED_RESULTS.is_dir() else []
    if folders is None:
        # Without the shipped records there is nothing else to read, so that the folder's absence is worth a word.
        folders = [path for path in [Path("results")] if path.is_dir() or not shipped]
    return [*shipped, *map(Path, folders)]


def regress(
    baseline: str | Path,
    current: str | Path = "results",
    *,
    margins: dict[str, float] | None = None,
    cost: str = "auto",
    same_device: bool = False,
    partial: bool = False,
) -> Verdicts:
    """Compares a folder of records with a baseline and says whether any method got worse.

    Args:
        baseline: The folder to compare with.
        current: The folder of now.
        margins: Margins to use instead of the defaults, by metric.
        cost: ``auto`` judges time where it can be judged, ``required`` makes a point of it, ``off`` leaves it out.
        same_device: Whether another device than the baseline's is not comparable at all.
        partial: Whether rows of the baseline that were not run now are left out.

    Raises:
        BenchmarkError: A folder does not exist, a file in it is no record, or a margin or ``cost`` is not valid.
    """
    from .leaderboard.regression import compare_folders

    return compare_folders(
        Path(baseline),
        Path(current),
        COMMITTED_RESULTS,
        margins=margins or {},
        cost=cost,
        same_device=same_device,
        partial=partial,
    )


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
