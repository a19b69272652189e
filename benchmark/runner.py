"""Runs a matrix of tasks, methods and seeds, each run in a fresh process, and loses nothing that was finished."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any, NamedTuple

from . import registry
from .errors import BenchmarkError, NotApplicable
from .provenance import collect_provenance, describe_device, resolve_device
from .record import Device, MethodInfo, Record, Status, TaskInfo, record_filename, utc_now
from .run import RunSpec, check_applicable, make_method, make_task, method_info, run_id, split_settings, task_info
from .store import check_writable, find_record, write_record
from .suite import Request
from .task import Task

DEFAULT_TIME_LIMIT = 1800.0
"""Seconds that a run may take, evaluation included."""
LOG_LINES = 15
"""Lines of a failed run's log that are shown."""


class Plan(NamedTuple):
    """A run that is still to be made, or is finished."""

    spec: RunSpec
    task: TaskInfo
    method: MethodInfo
    run_id: str
    device: Device

    @property
    def filename(self) -> str:
        """The record's path inside the results folder."""
        return record_filename(self.task.name, self.method.name, self.spec.seed, self.run_id)


class Event(NamedTuple):
    """Something to tell the user."""

    plan: Plan
    phase: str
    """``start``, a phase's name, ``kept`` for a run that was finished before, or ``end``."""
    record: Record | None = None
    log: str = ""
    """The end of a failed run's log."""


class Refused(NamedTuple):
    """A pair that does not fit, with the sentence that says why."""

    task: str
    method: str
    reason: str


class Where(NamedTuple):
    """What runs run on, and where their records go."""

    results: Path
    device: str = "auto"
    threads: int = 1
    plugins: tuple[Path, ...] = ()


def plan(requests: Iterable[Request], where: Where) -> tuple[list[Plan], list[Refused]]:
    """Lists the runs that are asked for, and the pairs that do not fit.

    Raises:
        BenchmarkError: A name or a setting is unknown, or a task lacks its files.
    """
    device = resolve_device(where.device)
    shown = describe_device(device, where.threads)
    tasks: dict[str, tuple[Task, TaskInfo]] = {}
    plans: dict[str, Plan] = {}
    refused = []
    for request in requests:
        if any(seed < 0 for seed in request.seeds):
            raise BenchmarkError(f"The seeds {request.seeds} are not whole numbers from 0.")
        if not request.by_name:
            try:
                registry.methods.get(request.method)
            except BenchmarkError as error:
                refused.append(Refused(request.task, request.method, str(error)))
                continue
        of_task, of_method = split_settings(request.task, request.method, request.settings)
        key = f"{request.task} {of_task}"
        if key not in tasks:
            tasks[key] = _ready_task(request.task, of_task)
        task, described = tasks[key]
        method = make_method(request.method, of_method)
        try:
            check_applicable(task, method)
        except NotApplicable as error:
            refused.append(Refused(request.task, request.method, str(error)))
            continue
        configured = method_info(method, of_method)
        for seed in request.seeds:
            spec = RunSpec(
                task=request.task,
                method=request.method,
                seed=seed,
                task_config=of_task,
                method_config=of_method,
                device=device.type,
                threads=where.threads,
                plugins=[path.resolve() for path in where.plugins],
                results=where.results,
            )
            identity = run_id(described, configured, seed, shown)
            plans.setdefault(identity, Plan(spec, described, configured, identity, shown))
    return list(plans.values()), refused


def _ready_task(name: str, config: dict[str, Any]) -> tuple[Task, TaskInfo]:
    task = make_task(name, config)
    for sentence in task.missing():
        raise BenchmarkError(sentence)
    return task, task_info(task, config)


class Runner:
    """Makes runs, several at a time.

    Args:
        results: Where records go.
        workers: Runs at a time.
        time_limit: Seconds for one run.
        retry_failed: Whether to make failed runs again.
        on_event: Told what happens; called from several threads, one at a time.
    """

    def __init__(
        self,
        results: Path,
        *,
        workers: int,
        time_limit: float = DEFAULT_TIME_LIMIT,
        retry_failed: bool = False,
        on_event: Callable[[Event], None],
    ) -> None:
        self._results = results
        self._workers = workers
        self._time_limit = time_limit
        self._retry_failed = retry_failed
        self._on_event = on_event
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, plans: Iterable[Plan]) -> list[Record]:
        """Makes every run that is not finished and returns all records, in the order of the plans.

        Raises:
            BenchmarkError: A run could not leave its record; the others are kept.
            KeyboardInterrupt: The user stopped it; finished runs are kept.
        """
        check_writable(self._results)
        waiting = deque(enumerate(plans))
        records: dict[int, Record] = {}
        running: dict[Future[Record], int] = {}
        pool = ThreadPoolExecutor(self._workers)
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    index, item = waiting.popleft()
                    finished = self._finished(item)
                    if finished is not None:
                        records[index] = finished
                        self._tell(Event(item, "kept", finished))
                    else:
                        running[pool.submit(self._make, item)] = index
                if running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        records[running.pop(future)] = future.result()
        except BaseException:
            # Ctrl-C and errors alike: no worker may outlive the runner.
            self._stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return [records[index] for index in sorted(records)]

    def _finished(self, item: Plan) -> Record | None:
        record = find_record(self._results, item.filename)
        if record is None or record.run_id != item.run_id:
            return None
        return None if self._retry_failed and record.status is not Status.OK else record

    def _make(self, item: Plan) -> Record:
        self._tell(Event(item, "start"))
        # When a failed run is made again, its old record must not pass for the new one.
        before = find_record(self._results, item.filename)
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            ending = self._work(item, log)
            if self._stopped:
                raise BenchmarkError("The runner was stopped.")
            if ending.error is not None:
                raise BenchmarkError(ending.error)
            record = find_record(self._results, item.filename)
            if record is None or (record == before and ending.code != 0):
                record = self._failure(item, ending)
                write_record(self._results, record)
            self._tell(Event(item, "end", record, "" if record.status is Status.OK else _tail(log)))
        return record

    def _work(self, item: Plan, log: IO[str]) -> _Ending:
        error = None
        late = threading.Event()
        with subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=worker_environment(item.spec.threads),
            # A session of its own: Ctrl-C goes to the runner alone, and what the worker starts can be ended with it.
            start_new_session=True,
        ) as process:
            self._add(process)
            timer = threading.Timer(self._time_limit, _end_late, [process, late])
            timer.start()
            try:
                error = self._listen(process, item)
                code = process.wait()
            finally:
                timer.cancel()
                _kill(process)
                with self._lock:
                    self._processes.discard(process)
        return _Ending(code, late.is_set() and code == -signal.SIGKILL, error)

    def _listen(self, process: subprocess.Popen[str], item: Plan) -> str | None:
        """Hands over the run and passes on what the worker says; returns its error, if it has one."""
        assert process.stdin is not None
        assert process.stdout is not None
        error: str | None = None
        # A worker that is gone, or was killed in the middle of a line, is told by its exit code.
        with contextlib.suppress(BrokenPipeError, json.JSONDecodeError):
            process.stdin.write(item.spec.model_dump_json() + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                error = message.get("error", error)
                if "phase" in message:
                    self._tell(Event(item, message["phase"]))
        return error

    def _add(self, process: subprocess.Popen[str]) -> None:
        """Remembers a worker, so that it can be stopped; if that has happened already, it ends at once."""
        with self._lock:
            self._processes.add(process)
            if self._stopped:
                _kill(process)

    def _failure(self, item: Plan, ending: _Ending) -> Record:
        """The record of a run whose process did not live to write it."""
        if ending.timed_out:
            status, reason = Status.TIMEOUT, f"took longer than {self._time_limit:g} s"
        elif ending.code == -signal.SIGKILL:
            status, reason = Status.OUT_OF_MEMORY, "killed by signal 9, as the kernel does when memory runs out"
        elif ending.code < 0:
            status, reason = Status.FAILED, f"ended by signal {-ending.code} ({signal.Signals(-ending.code).name})"
        else:
            status, reason = Status.FAILED, f"its process ended with exit code {ending.code} and no record"
        return Record(
            run_id=item.run_id,
            created=utc_now(),
            task=item.task,
            method=item.method,
            seed=item.spec.seed,
            status=status,
            reason=reason,
            device=item.device,
            cost=None,
            metrics=[],
            provenance=collect_provenance(),
        )

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._processes:
                _kill(process)

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._on_event(event)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills a worker and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_late(process: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    _kill(process)


class _Ending(NamedTuple):
    code: int
    timed_out: bool
    error: str | None


def default_workers(plans: list[Plan], threads: int) -> int:
    """Returns how many runs go on at a time: as many as cores hold on a CPU, one on a GPU."""
    if any(item.spec.device == "cuda" for item in plans):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def worker_environment(threads: int) -> dict[str, str]:
    """Returns the environment of a worker: its thread count reaches every library, and no library waits by spinning."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {
        **os.environ,
        **counts,
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONUNBUFFERED": "1",
    }


def _tail(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().splitlines()
    return "\n".join(itertools.islice(lines, max(0, len(lines) - LOG_LINES), None))
