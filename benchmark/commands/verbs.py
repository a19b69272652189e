"""The verbs that make runs. They are the package's own, ``unlearnbench.run`` and so on; importing them loads no PyTorch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..records.places import named_folder, named_folders

if TYPE_CHECKING:
    from ..checking.report import CheckReport
    from ..records.record import Record
    from ..running.forks import ForkServer
    from ..running.plan import Event, Refused
    from ..running.requests import Request
    from .doctor import Diagnosis
    from .scaffold import Written


def method_names() -> list[str]:
    """Returns the names of all methods that are registered."""
    from ..registry import methods

    return methods.names()


def task_names() -> list[str]:
    """Returns the names of all tasks that are registered."""
    from ..registry import tasks

    return tasks.names()


def run(
    task: str,
    method: str,
    *,
    seeds: Sequence[int] = (0,),
    settings: dict[str, Any] | None = None,
    requests: str = "one",
    **options: Any,
) -> list[Record]:
    """Runs a method on a task and returns the records, finished earlier or now.

    Args:
        task: A registered task.
        method: A registered method.
        seeds: One run each.
        settings: Of the task and the method, as with ``--set``.
        requests: ``one``: what the settings say is to be forgotten. ``all``: each of the task's standard requests.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: A name or a setting is unknown, the pair does not fit, or a record cannot be written.
    """
    from ..errors import BenchmarkError
    from ..running.requests import Request

    if requests not in ("one", "all"):
        raise BenchmarkError(f"--requests cannot be '{requests}'; give one or all.")
    each: Literal["one", "all"] = "all" if requests == "all" else "one"
    asked = Request(task, method, list(seeds), dict(settings or {}), requests=each)
    records, refused = run_requests([asked], **options)
    for refusal in refused:
        raise BenchmarkError(refusal.reason)
    return records


def evaluate(
    task: str,
    file: str | Path,
    *,
    seed: int = 0,
    name: str | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Record:
    """Judges weights of a task's network that were made elsewhere, and returns the record, made earlier or now.

    What they cost is not known, so ``cost`` is None. The metrics are those of the run that left the weights, to the last digit,
    but for what a task measures on the way there (``Task.retrace``).

    Args:
        task: A registered task.
        file: The state dict of its network, whole and nothing else, as safetensors.
        seed: Of the noise that samples are drawn from, and of the oracle that stands beside.
        name: What to call them; by default the file's name, and METHOD-kept for what ``keep_model`` left.
        settings: Of the task, as with ``--set``.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: The file is not one of the task's network's weights, a name or a setting is not valid, or see ``run``.
    """
    from ..running.identity import weights_name
    from ..running.requests import Request

    path = named_folder(file).absolute()
    called = weights_name(path) if name is None else name
    records, _ = run_requests([Request(task, called, [seed], settings or {}, weights=path)], **options)
    return records[0]


def suite(name: str, **options: Any) -> tuple[list[Record], list[Refused]]:
    """Runs a suite, built in or from a TOML file, and returns its records and the pairs that do not fit.

    Args:
        name: ``quick``, ``full`` or the path of a TOML file.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: See ``run``; or the file is not a suite.
    """
    from ..running.requests import load_suite

    return run_requests(load_suite(name).requests(), **options)


def run_requests(
    requests: list[Request],
    *,
    settings_from: str | Path = "tuned",
    results: str | Path = "results",
    device: str = "auto",
    plugins: Sequence[str | Path] = (),
    workers: int | None = None,
    threads: int = 1,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    retry_failed: bool = False,
    keep_model: bool = False,
    executor: str = "local",
    slurm: dict[str, Any] | None = None,
    server: ForkServer | None = None,
    on_plan: Callable[[int], None] = lambda count: None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[list[Record], list[Refused]]:
    """Makes the runs that are asked for and not finished yet, each in a process of its own.

    Args:
        requests: Pairs of a task and a method with seeds and settings.
        settings_from: Where a method's settings come from where none of them is set: ``tuned`` takes what a search found for
            the task, if there was one; ``paper`` the method's own defaults; a file what it holds, as `tune` wrote it.
        results: The folder that records go to.
        device: ``auto``, ``cpu`` or ``cuda``.
        plugins: Files that define methods or tasks.
        workers: Runs at a time; by default one a core on a CPU, one a GPU, all of them on a cluster.
        threads: PyTorch's threads in each run.
        time_limit: Seconds for one run; by default the task's (``Task.run_seconds``).
        memory_limit: Gigabytes for one run.
        retry_failed: Whether runs that failed before are made again.
        keep_model: Whether the weights that a run leaves stay beside its record, as ``….model.safetensors``; a finished run
            whose weights are not there is made again.
        executor: ``local``, or ``slurm`` for jobs on a cluster.
        slurm: What each job asks the cluster for, such as ``{"partition": "gpu", "time": 120}``.
        server: What runs on a CPU are forked from; by default one that is started for them and ended with them.
        on_plan: Told how many runs there are.
        on_event: Told what happens.

    Returns:
        The records, and the pairs that do not fit.

    Raises:
        BenchmarkError: See ``run``.
    """
    from ..running.executors import check_executor
    from ..running.limits import make_limits
    from ..running.plan import Placement
    from ..running.requests import plain, with_tuned

    check_executor(executor, slurm)
    limits = make_limits(time_limit, memory_limit, here=executor == "local")
    from ..running.planner import check_names, plan_apart, start_server

    folder = named_folder(results)
    requests = with_tuned([plain(request) for request in requests], settings_from)
    where = Placement(
        folder,
        device,
        threads,
        tuple(named_folders(plugins)),
        any_device=executor == "slurm",
        keep_model=keep_model,
    )
    check_names(requests, where.plugins)
    with contextlib.nullcontext(server) if server is not None else start_server(requests, threads) as server:
        from ..running.executors import make_executor
        from ..running.runner import Runner

        planned = plan_apart(server, requests, where)
        made_by = make_executor(
            executor, planned, where, limits, server, workers=workers, retry_failed=retry_failed, slurm=slurm
        )
        on_plan(len(planned.plans))
        runner = Runner(folder, executor=made_by, retry_failed=retry_failed, on_event=on_event)
        return runner.run(planned.plans), planned.refused


def prepare(
    task: str,
    *,
    settings: dict[str, Any] | None = None,
    out: str | Path | None = None,
    minutes: float | None = None,
    short: bool = False,
    plugins: Sequence[str | Path] = (),
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Path:
    """Makes what a task lacks of its base model, oracles and judges, and returns the folder for what is made.

    Args:
        task: A registered task.
        settings: Of the task, as with ``--set``.
        out: A folder to make everything in from scratch, shipped or not; without it only what is lacking is made.
        minutes: What it may take: base model and oracles are trained for as many steps as fit, the same for all. By default
            they are trained by the task's own recipe.
        short: Makes only what the trials of a search need, most often no oracles.
        plugins: Files that define tasks.
        progress: Told what is being made, how much of it is done and how much there is.

    Raises:
        BenchmarkError: A name or a setting is unknown, or a file cannot be written.
    """
    from .. import registry

    registry.add_plugins(plugins)
    registry.tasks.check(task)
    from ..numerics import MEASURED, computing
    from ..records.places import assets_only_in
    from ..running.forks import FIXED_SUMS
    from ..running.identity import make_task

    os.environ.update({**FIXED_SUMS, **os.environ})
    with assets_only_in(named_folder(out) if out is not None else None), computing(MEASURED):
        made = make_task(task, settings or {}, short=short)
        return (made if minutes is None else made.within(minutes)).prepare(progress)


def new(kind: str, name: str, *, out: str | Path = ".") -> Written:
    """Writes the first file of a method or a task, which works as it stands, and its test.

    A task's file says of its pictures what the folder of its name below ``$UNLEARNBENCH_DATA`` shows, if it is there.

    Args:
        kind: ``method`` or ``task``.
        name: What it is to be registered under.
        out: The folder that the files go to.

    Raises:
        BenchmarkError: The name is not valid or taken, or a file is there already.
    """
    from .scaffold import write_new

    return write_new(kind, name, named_folder(out))


def check(
    what: str | Path,
    *,
    task: str | None = None,
    settings: dict[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    time_limit: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckReport:
    """Holds a method or a task to its contract, on the CPU, and returns what each check found.

    A method is run on a toy problem, a task is inspected on few samples.

    Args:
        what: A file that defines a method or a task, or a registered name.
        task: A registered task to try a method on, instead of the toy problem.
        settings: As with ``--set``, of a method and the task that it is tried on, or of a task; a method's ``steps`` is lowered
            unless it is set here.
        plugins: Files that define methods or tasks.
        time_limit: Seconds for one of the runs.
        progress: Told how many runs are done, and of how many.

    Raises:
        BenchmarkError: It cannot be found, loaded or configured, the method does not fit the task, or that is not prepared.
    """
    from ..checking import bench

    subject = bench.subject(what, task=task, settings=settings, plugins=named_folders(plugins))
    return bench.check(subject, time_limit=time_limit, progress=progress)


def doctor(plugins: Sequence[str | Path] = ()) -> list[Diagnosis]:
    """Returns what this machine can run and what is missing.

    Args:
        plugins: Files that define tasks.

    Raises:
        BenchmarkError: A file cannot be loaded.
    """
    from .. import registry
    from .doctor import diagnose

    registry.add_plugins(plugins)
    return diagnose()
