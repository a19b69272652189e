"""Makes runs on this machine, each in a process of its own: a fork of a server, or a new interpreter."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import BenchmarkError
from ..records.record import Record, Status
from ..records.store import find_record, next_moment, write_record
from .claims import Claim
from .forks import LOST, WORKER, Fork, ForkServer, ServerGone, worker_environment
from .identity import RunIdentity
from .limits import Limits, Watchdog, ending, kill_group
from .plan import Event, Plan, Tell
from .steps import Step

LOG_LINES = 15
"""Lines of a failed run's log that are shown."""


GRACE_SECONDS = 1.0
"""How long a worker's death by a signal is left undecided: when a machine or a cluster's job is ended from outside,
everyone is sent the signal, and the runner must not take its own end for the method's."""


Worker = Fork | subprocess.Popen[str]


class LocalExecutor:
    """A pool of processes on this machine.

    Args:
        workers: Runs at a time.
        limits: What each of them may take; where they say nothing of time, its task's.
        results: Where records go.
        gpus: What ``CUDA_VISIBLE_DEVICES`` calls the GPUs, to give each run one; empty to leave that variable alone.
        server: Forks the workers, as long as it lives; without one they are new interpreters.
        program: The worker's module.
        host_threads: Of a run on a GPU, for what it computes on the host: linear algebra on the features of its samples.
    """

    def __init__(
        self,
        results: Path,
        *,
        workers: int,
        limits: Limits,
        gpus: Sequence[str] = (),
        server: ForkServer | None = None,
        program: str = WORKER,
        host_threads: int = 1,
    ) -> None:
        self.capacity = workers
        self._results = results
        self._limits = limits
        self._gpus = GpuPool(gpus)
        self._server = server
        self._program = program
        self._host_threads = host_threads
        self._pool = ThreadPoolExecutor(workers)
        self._lock = threading.Lock()
        self._processes: set[Worker] = set()
        self._stopped = False

    def submit(self, item: Plan, claim: Claim, tell: Tell) -> Future[Record]:
        """See ``Executor``."""
        return self._pool.submit(self._make, item, claim, tell)

    def stop(self) -> str:
        """Kills every worker: none may outlive the runner."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                kill_group(process.pid)
        return ""

    def close(self) -> None:
        """See ``Executor``."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, item: Plan, claim: Claim, tell: Tell) -> Record:
        tell(Event(item, "start"))
        # When a failed run is made again, its old record must not pass for the new one.
        before = find_record(self._results, item.filename)
        with tempfile.TemporaryFile("w+", errors="replace") as log, self._gpus.one() as gpu:
            ended = self._work(self._start(item, claim, log, gpu), item, tell)
            if ended.code == LOST and ended.verdict is None and not self._stopped:
                # Nobody knows how the run ended, so it is made again: from here on, runs are new interpreters.
                self._server = None
                ended = self._work(self._start(item, claim, log, gpu), item, tell)
            if self._stopped:
                raise BenchmarkError("The runner was stopped.")
            if ended.error is not None:
                raise BenchmarkError(ended.error)
            record = find_record(self._results, item.filename)
            if record is None and ended.code == 0:
                raise BenchmarkError(
                    f"The run of {item.title} ended well and left no record that was planned, which is a mistake of the "
                    "suite's, or of a file that was edited meanwhile; start it again."
                )
            if record is None or (record == before and ended.code != 0):
                record = self._failure(item, ended)
                write_record(self._results, record)
            tell(Event(item, "end", record, "" if record.status is Status.OK else _tail(log)))
        return record

    def _start(self, item: Plan, claim: Claim, log: IO[str], gpu: str | None) -> Worker:
        # The worker holds the claim, too: a runner that is killed leaves the run claimed until its worker is gone.
        keep = [claim.fileno()]
        if self._server is not None:
            try:
                return self._server.start(self._program, log, load=item.modules, keep=keep)
            except ServerGone:
                self._server = None
        return subprocess.Popen(
            [sys.executable, "-m", self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=worker_environment(self._threads(item), gpu),
            # A session of its own: Ctrl-C goes to the runner alone, and what the worker starts can be ended with it.
            start_new_session=True,
            pass_fds=keep,
        )

    def _threads(self, item: Plan) -> int:
        return item.spec.threads if item.spec.device == "cpu" else max(item.spec.threads, self._host_threads)

    def _work(self, worker: Worker, item: Plan, tell: Tell) -> _Ending:
        with worker:
            self._add(worker)
            watchdog = Watchdog(worker, self._limits._replace(seconds=self._limits.seconds or item.seconds))
            watchdog.start()
            try:
                error = _listen(worker, item, tell)
                code = worker.wait()
            finally:
                watchdog.dismiss()
                kill_group(worker.pid)
                with self._lock:
                    self._processes.discard(worker)
        verdict = watchdog.verdict if code in (-signal.SIGKILL, LOST) else None
        if code < 0 and verdict is None and not self._stopped:
            time.sleep(GRACE_SECONDS)
        return _Ending(code, verdict, error)

    def _add(self, worker: Worker) -> None:
        """Remembers a worker, so that it can be stopped; if that has happened already, it ends at once."""
        with self._lock:
            self._processes.add(worker)
            if self._stopped:
                kill_group(worker.pid)

    def _failure(self, item: Plan, ended: _Ending) -> Record:
        """The record of a run whose process did not live to write it."""
        if ended.verdict is not None:
            status, reason = ended.verdict
        elif ended.code == -signal.SIGKILL:
            status, reason = Status.OUT_OF_MEMORY, "killed by signal 9, as the kernel does when memory runs out"
        elif ended.code < 0:
            status, reason = Status.FAILED, ending(ended.code)
        else:
            status, reason = Status.FAILED, f"its process {ending(ended.code)} and no record"
        identity = RunIdentity(item.task, item.method, item.spec.seed, item.device)
        created = next_moment(self._results, item.task.name, item.method.name)
        return identity.record(created, status=status, reason=reason)


class GpuPool:
    """Gives each run the GPU that carries the fewest: one run a GPU, as long as there are as many GPUs as runs.

    Args:
        names: The GPUs; empty if runs share whatever there is.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._runs = Counter(dict.fromkeys(names, 0))
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[str | None]:
        """Yields a GPU for a run, or None if there are none to give."""
        with self._lock:
            name = min(self._runs, key=self._runs.__getitem__, default=None)
            if name is not None:
                self._runs[name] += 1
        try:
            yield name
        finally:
            if name is not None:
                with self._lock:
                    self._runs[name] -= 1


class _Ending(NamedTuple):
    code: int
    verdict: tuple[Status, str] | None
    error: str | None


def _listen(process: Worker, item: Plan, tell: Tell) -> str | None:
    """Hands over the run and passes on what the worker says; returns its error, if it has one."""
    assert process.stdin is not None
    assert process.stdout is not None
    error: str | None = None
    try:
        process.stdin.write(item.spec.model_dump_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        # The buffer keeps what a worker that is gone did not read, and would be written again at the end.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    # A worker that was killed in the middle of a line is told by its exit code.
    with contextlib.suppress(json.JSONDecodeError):
        for line in process.stdout:
            message = json.loads(line)
            error = message.get("error", error)
            if "phase" in message:
                tell(Event(item, message["phase"]))
            if "step" in message:
                tell(Event(item, "unlearn", step=Step(message["step"], message["of"])))
    return error


def _tail(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().splitlines()
    return "\n".join(itertools.islice(lines, max(0, len(lines) - LOG_LINES), None))
