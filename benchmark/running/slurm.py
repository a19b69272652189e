"""Runs as jobs of a Slurm cluster, through submitit.

One run is one job, and the job is this package's own command line with one run to make: on its node it has the same
limits, the same claim and the same failure records as anywhere else. The queue itself is the only memory of what was
submitted: a job's name says which run of which folder it makes, so a runner that is started again finds its jobs by name.

submitit hands its function to the job as a pickle that this process writes; it holds the command's words and nothing of a
plugin. What submitit pickles at a job's end is never read here: records are.
"""

from __future__ import annotations

import hashlib
import math
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from ..command_line import to_words
from ..errors import BenchmarkError, NoRecord, cannot_write, first_line, unknown_name
from ..records.record import Record, Status
from .claims import Claim
from .limits import GIGABYTE, Limits
from .plan import Event, Plan, Tell

FOLDER = ".slurm"
"""Inside the results folder: the jobs' scripts and logs."""
MOST_JOBS = 500
"""In the queue at a time, unless the user says otherwise."""
LOOK_SECONDS = 1.0
"""Between two looks at the queue."""
LAG_SECONDS = 5.0
"""How long a record may take to appear on a shared file system after its job has left the queue."""
GOING_ON = frozenset({"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED"})
"""States of a job that is still to leave its record."""
SPARE_MINUTES = 10
"""What a job may take beyond its run's own limit, for its start: the run ends first, with a record that says so."""


class _Job(NamedTuple):
    id: str
    item: Plan
    before: Record | None
    tell: Tell
    future: Future[Record]


class SlurmExecutor:
    """Jobs on a cluster whose nodes see the results folder, the plugins and this Python under the same paths.

    Args:
        results: Where records go.
        options: What each job asks for, by submitit's names: ``partition``, ``time`` in minutes, ``mem``,
            ``gpus_per_node``, ``cpus_per_task``, ``constraint``, ``account``, ``qos``, …
        limits: What each run may take; where they say nothing of time, its task's.
        workers: Jobs in the queue at a time.
        retry_failed: Whether the jobs are to make failed runs again.

    Raises:
        BenchmarkError: submitit or Slurm is not there, or an option is unknown.
    """

    def __init__(
        self, results: Path, options: dict[str, Any], limits: Limits, *, workers: int | None, retry_failed: bool
    ) -> None:
        self.capacity = workers or MOST_JOBS
        self._results = results.resolve()
        self._limits = limits
        self._retry_failed = retry_failed
        self._submitit = _submitit(self._results / FOLDER)
        self._options = options
        known = self._submitit._valid_parameters()
        for name in options:
            if name not in known:
                raise unknown_name("Slurm option", name, known)
        self._jobs: list[_Job] = []
        self._states: dict[str, str] = {}
        self._gone: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._queue = queue()

    def submit(self, item: Plan, claim: Claim, tell: Tell) -> Future[Record]:
        """See ``Executor``. A job of this run that is in the queue already is taken over."""
        name = job_name(item, self._results)
        job_id = next((job for job, (other, _) in self._queue.items() if other == name), None)
        if job_id is None:
            job_id = self._sbatch(item, name)
        future: Future[Record] = Future()
        future.set_running_or_notify_cancel()
        tell(Event(item, f"job {job_id}"))
        with self._lock:
            self._jobs.append(_Job(job_id, item, item.find(self._results), tell, future))
        if not self._watch.is_alive():
            self._watch.start()
        return future

    def stop(self) -> str:
        """Leaves the jobs: they need no one to watch them, and the same command takes them over."""
        with self._lock:
            left = [job.id for job in self._jobs if not job.future.done()]
        return f"Slurm's queue keeps the jobs of the others; to end them, too: scancel {' '.join(left)}" if left else ""

    def close(self) -> None:
        """Ends the watch over the queue."""
        self._over.set()

    def _sbatch(self, item: Plan, name: str) -> str:
        from submitit.helpers import CommandFunction

        minutes = math.ceil((self._limits.seconds or item.seconds) / 60) + SPARE_MINUTES
        wanted = {"cpus_per_task": item.spec.threads, "job_name": name, "time": minutes}
        if item.spec.device == "cuda" and not any(
            key.startswith(("gpus", "gres", "num_gpus")) for key in self._options
        ):
            wanted["gpus_per_node"] = 1
        command = run_command(item, self._results, self._limits, self._retry_failed)
        try:
            self._submitit.update_parameters(**{**wanted, **self._options})
            return str(self._submitit.submit(CommandFunction(command)).job_id)
        except OSError as error:
            raise cannot_write(self._results / FOLDER, error) from error
        # submitit passes on what sbatch says as an error of its own, and has others for values that it cannot use.
        except Exception as error:
            said = re.search(r"sbatch: error: (.*)", str(error))
            reason = said[1] if said else first_line(error)
            raise BenchmarkError(f"Slurm did not take the job of {item.title}: {reason}; see --slurm.") from error

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                listed = queue()
            # A controller that is busy or starts again: the jobs go on, and the next look tells.
            except BenchmarkError:
                continue
            with self._lock:
                jobs = [job for job in self._jobs if not job.future.done()]
            for job in jobs:
                try:
                    self._follow(job, listed.get(job.id, ("", ""))[1].lower())
                # Whatever goes wrong in this thread must reach the runner, which waits for it.
                except Exception as error:
                    job.future.set_exception(error)

    def _follow(self, job: _Job, state: str) -> None:
        if not state:
            self._end(job)
            return
        self._gone.pop(job.id, None)
        if self._states.get(job.id) != state:
            self._states[job.id] = state
            job.tell(Event(job.item, f"job {job.id} {state}"))

    def _end(self, job: _Job) -> None:
        """Takes the record that a job left, once it is to be seen here."""
        record = job.item.find(self._results)
        if record is not None and (record != job.before or record.status is Status.OK):
            job.tell(Event(job.item, "end", record))
            job.future.set_result(record)
        elif time.monotonic() - self._gone.setdefault(job.id, time.monotonic()) > LAG_SECONDS:
            state = last_state(job.id)
            if state in GOING_ON:
                # Between two states, as while it is requeued, a job can be missing from the list.
                self._gone.pop(job.id)
                return
            ended = f"ended as {state}" if state else "is gone from the queue"
            log = self._results / FOLDER / f"{job.id}_0_log.err"
            job.future.set_exception(
                NoRecord(
                    f"The Slurm job {job.id} of {job.item.title} {ended} and left no record; "
                    f"see {log}, and start the same command again to make it."
                )
            )


def run_command(item: Plan, results: Path, limits: Limits, retry_failed: bool) -> list[str]:
    """Returns the command that a job runs: one run, with everything that the user asked for."""
    spec = item.spec
    words = [sys.executable, "-m", __package__.partition(".")[0]]
    if spec.weights is None:
        words += ["run", spec.task, spec.method, "--seeds", str(spec.seed), "--workers", "1"]
    else:
        words += ["evaluate", spec.task, str(spec.weights), "--seed", str(spec.seed), "--name", spec.method]
    words += ["--results", str(results), "--device", spec.device]
    words += ["--threads", str(spec.threads)]
    if limits.seconds is not None:
        words += ["--time-limit", str(limits.seconds)]
    if limits.memory_bytes is not None:
        words += ["--memory-limit", str(limits.memory_bytes / GIGABYTE)]
    words += to_words(spec.settings)
    for path in spec.plugins:
        words += ["--plugin", str(path)]
    words += ["--keep-model"] if spec.keep_model else []
    return [*words, *(["--retry-failed"] if retry_failed else [])]


def job_name(item: Plan, results: Path) -> str:
    """Returns a job's name, which no other run of this or another results folder shares, nor one that keeps no weights."""
    whole = f"{results} {item.run_id}{' with its weights' if item.spec.keep_model else ''}"
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{item.method.name}-seed{item.spec.seed}-{digest}"


def queue() -> dict[str, tuple[str, str]]:
    """Returns the names and the states of the user's jobs that wait or run, by their numbers.

    Raises:
        BenchmarkError: Slurm does not answer.
    """
    listed = {}
    for line in _ask("squeue", "--me", "--noheader", "--format=%i|%T|%j").splitlines():
        number, state, name = line.split("|", 2)
        listed[number] = name, state
    return listed


def last_state(job_id: str) -> str:
    """Returns the state of a job, as far as Slurm still knows it; else nothing."""
    try:
        found = re.search(r"JobState=(\S+)", _ask("scontrol", "show", "job", "--oneliner", job_id))
    except BenchmarkError:
        found = None
    return found[1] if found else ""


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except FileNotFoundError:
        raise BenchmarkError(f"There is no `{command[0]}` here: start this on a machine of a Slurm cluster.") from None
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise BenchmarkError(f"Slurm does not answer: {said[-1] if said else error}.") from error
    return done.stdout


def _submitit(folder: Path) -> Any:
    try:
        from submitit import SlurmExecutor as Submitter
    except ImportError:
        raise BenchmarkError("Slurm jobs need submitit; install it with `pip install 'unlearnbench[slurm]'`.") from None
    try:
        # A job that ran out of Slurm's time is not made again by itself: it would run out of it again.
        return Submitter(folder, max_num_timeout=0)
    except RuntimeError as error:
        raise BenchmarkError("There is no `srun` here: start this on a machine of a Slurm cluster.") from error
