"""Checks a method: makes the watched runs that the contract reads, each in a process that is ended with its children."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from .. import registry
from ..errors import BenchmarkError, unknown_name
from ..records import places
from ..running.forks import LIBRARIES, LOST, Fork, ForkServer, ServerGone, can_fork
from ..running.limits import has_company, kill_group
from . import task_bench
from .checks import Evidence, judge
from .observation import Seen, Subject, Trial
from .report import CheckReport

RUNS = 5
TIME_LIMIT = 180.0
"""Seconds for one of the five runs, imports included; a few are enough where the machine is not busy."""
_PROGRAM = f"{__package__}.trial_worker"


@contextmanager
def start_server(modules: Sequence[str] = ()) -> Iterator[ForkServer | None]:
    """Yields the process that a check's runs are forked from, or None where none can be.

    Args:
        modules: What it imports beside what every run needs.
    """
    if not can_fork():
        yield None
        return
    with ForkServer(_environment(), [_PROGRAM, *LIBRARIES, *modules]) as server:
        yield server


def subject(
    what: str | Path, *, task: str | None = None, settings: dict[str, Any] | None = None, plugins: Sequence[Path] = ()
) -> Subject:
    """Returns what a user means by a file or a name, of a method or a task.

    Raises:
        BenchmarkError: There is no such file, method or task.
    """
    rest = task, settings or {}, tuple(path.resolve() for path in plugins)
    path = Path(what)
    # What a plugin defines is known only where it is loaded: in a run's own process.
    if task is not None and not plugins and not path.is_file():
        registry.tasks.check(task)
    if path.is_file():
        return Subject(path.resolve(), None, *rest)
    if path.suffix == ".py":
        raise BenchmarkError(f"There is no file {path} to check; `unlearnbench new method NAME` writes one.")
    known = {*registry.methods.names(), *registry.tasks.names()}
    if not plugins and str(what) not in known:
        raise unknown_name("method or task", str(what), known)
    return Subject(None, str(what), *rest)


def check(
    what: Subject,
    *,
    time_limit: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckReport:
    """Runs a method five times under watch and judges what was seen; a task is inspected instead.

    Args:
        what: See ``subject``.
        time_limit: Seconds for one run, or for one inspection; by default each has its own.
        progress: Told how many runs are done, and of how many.

    Raises:
        BenchmarkError: The method or the task cannot be loaded or configured, or does not fit the other.
    """
    start = time.perf_counter()
    allowed = time_limit or task_bench.TIME_LIMIT
    if what.name in registry.tasks.names() and what.name not in registry.methods.names():
        return task_bench.check_task(what, time_limit=allowed, progress=progress)
    with tempfile.TemporaryDirectory(prefix="unlearnbench-check-") as folder, start_server() as server:
        bench = Bench(what, Path(folder), time_limit or TIME_LIMIT, progress, server)
        # Forks of one process hash words alike and lay out memory alike. What depends on either shows beside another process.
        first = bench.run("first", fork=False)
        if first.seen.mistake is not None:
            raise BenchmarkError(first.seen.mistake)
        if first.seen.task is not None:
            return task_bench.check_task(what, time_limit=allowed, progress=progress)
        # What raises or does not end would do so four times more.
        more = [first] * 3 if first.seen.error is not None else bench.run_more(first.seen.ticks // 2)
    evidence = Evidence(
        first=first.seen,
        again=more[0].seen,
        other=more[1].seen,
        resumed=more[2].seen,
        killed_half_way=first.seen.ticks > 1,
        leftovers=any(made.leftovers for made in (first, *more)),
    )
    name = first.seen.name or str(what.name or what.file)
    return CheckReport(name, what.task or "toy", first.seen.settings, time.perf_counter() - start, judge(evidence))


class Made(NamedTuple):
    """A run that was made."""

    seen: Seen
    leftovers: bool
    """Whether a process that it started outlived it."""


class Bench:
    """Makes the runs of one check.

    Args:
        what: See ``subject``.
        folder: For the runs' working folders and reports.
        time_limit: Seconds for one run.
        progress: Told how many runs are done, and of how many.
        server: Forks the runs, but for the first; without one they are new interpreters.
    """

    def __init__(
        self,
        what: Subject,
        folder: Path,
        time_limit: float,
        progress: Callable[[int, int], None],
        server: ForkServer | None = None,
    ) -> None:
        self._what = what
        self._folder = folder
        self._time_limit = time_limit
        self._progress = progress
        self._server = server
        self._done = 0

    def run_more(self, half: int) -> list[Made]:
        """Makes the runs beside the first: the same seed, another, and one that is killed half-way and started again."""
        with ThreadPoolExecutor(_cores()) as pool:
            again, other = pool.submit(self.run, "again"), pool.submit(self.run, "other", seed=1)
            pool.submit(self.run, "killed", kill_at=half).result()
            resumed = pool.submit(self.run, "killed")
            return [again.result(), other.result(), resumed.result()]

    def run(self, name: str, *, seed: int = 0, kill_at: int | None = None, fork: bool = True) -> Made:
        """Makes one run in the working folder of a name, which may hold what an earlier one left there."""
        order, report = self._order(name, seed=seed, kill_at=kill_at)
        report.unlink(missing_ok=True)
        made = self._work(order, report, self._server if fork else None)
        self._done += 1
        self._progress(self._done, RUNS)
        return made

    def _order(self, name: str, *, seed: int = 0, kill_at: int | None = None) -> tuple[Path, Path]:
        """Writes down what a run is to do; returns that file, and the one that the run will write its report to."""
        working, report, order = (self._folder / f"{name}{suffix}" for suffix in ("", ".json", ".order.json"))
        working.mkdir(exist_ok=True)
        trial = Trial(
            file=self._what.file,
            name=self._what.name,
            plugins=list(self._what.plugins),
            task=self._what.task,
            settings=self._what.settings,
            seed=seed,
            kill_at=kill_at,
            folder=working,
            report=report,
        )
        order.write_text(trial.model_dump_json())
        return order, report

    def _work(self, order: Path, report: Path, server: ForkServer | None) -> Made:
        with order.with_suffix(".log").open("w") as log, _start(order, log, server) as process:
            code = None
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(self._time_limit)
            finally:
                leftovers = _end(process)
        if code == LOST:
            # Its server died, and nobody knows how the run ended.
            report.unlink(missing_ok=True)
            return self._work(order, report, None)
        if report.is_file():
            return Made(Seen.model_validate_json(report.read_bytes()), leftovers)
        took = f"took longer than {self._time_limit:g} s"
        return Made(Seen(error=took if code is None else f"its process ended with exit code {code}"), leftovers)


def _start(order: Path, log: IO[str], server: ForkServer | None) -> Fork | subprocess.Popen[bytes]:
    if server is not None:
        with contextlib.suppress(ServerGone):
            process = server.start(_PROGRAM, log, arguments=[str(order)])
            process.stdin.close()
            return process
    return subprocess.Popen(
        [sys.executable, "-m", _PROGRAM, str(order)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(),
        start_new_session=True,
    )


def _end(process: Fork | subprocess.Popen[bytes]) -> bool:
    """Ends a run with all that it started; returns whether anything outlived it."""
    outlived = process.poll() is not None and has_company(process.pid)
    kill_group(process.pid)
    process.wait()
    return outlived


def _environment() -> dict[str, str]:
    """What a run sees: threads that wait by spinning slow each other down, and compiled files are none that it wrote."""
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **places.anywhere(), **threads}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
