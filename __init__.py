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
    from .leaderboard.verdicts import Comparison

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
    "regress",
    "run",
    "run_requests",
    "suite",
    "task_names",
]

COMMITTED_RESULTS = Path(__file__).parent / "leaderboard" / "results"
"""The records of the full suite that ship with the package."""


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


def board(results: Sequence[str | Path] = ("results",), *, out: str | Path = "site", committed: bool = True) -> Board:
    """Builds the leaderboard's static site.

    Args:
        results: Folders of records.
        out: The folder that the site is written to.
        committed: Whether to show the records that ship with the package, too.

    Raises:
        BenchmarkError: A folder does not exist, there is no record, or the site cannot be written.
    """
    from .leaderboard.site import build_board

    shipped = [COMMITTED_RESULTS] if committed and COMMITTED_RESULTS.is_dir() else []
    return build_board([*shipped, *(Path(folder) for folder in results)], Path(out))


def regress(
    baseline: str | Path,
    current: str | Path = "results",
    *,
    margins: dict[str, float] | None = None,
    cost: str = "auto",
    same_device: bool = False,
    partial: bool = False,
) -> Comparison:
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
