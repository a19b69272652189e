"""Where runs are made: here, in processes of their own, or elsewhere (``slurm``)."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any, Protocol

from ..errors import BenchmarkError
from ..records.record import Record
from .claims import Claim
from .forks import ForkServer
from .limits import Limits
from .local import LocalExecutor
from .plan import Placement, Plan, Tell
from .planner import Planned


class Executor(Protocol):
    """Makes runs. The runner decides which; an executor where and how."""

    capacity: int
    """Runs at a time."""

    def submit(self, item: Plan, claim: Claim, tell: Tell) -> Future[Record]:
        """Starts a run.

        Args:
            item: The run.
            claim: Held until the future is done.
            tell: Told what happens, from any thread.

        Returns:
            The run's record, or a ``NoRecord`` if it was stopped from outside, or a ``BenchmarkError`` if no run can
            be made here, as on a full disk.
        """

    def stop(self) -> str:
        """Ends what is going on, or leaves it, and returns what the user must know about it."""

    def close(self) -> None:
        """Waits until nothing is going on any more."""


def make_executor(
    kind: str,
    planned: Planned,
    where: Placement,
    limits: Limits,
    server: ForkServer | None = None,
    *,
    workers: int | None = None,
    retry_failed: bool = False,
    slurm: dict[str, Any] | None = None,
) -> Executor:
    """Returns what makes some runs.

    Args:
        kind: ``local`` or ``slurm``.
        planned: The runs.
        where: What they run on.
        limits: What each may take.
        server: Forks runs on a CPU.
        workers: Runs at a time; by default as many as cores hold on a CPU, one a GPU, or all on a cluster.
        retry_failed: Whether failed runs are made again.
        slurm: What jobs ask a cluster for.

    Raises:
        BenchmarkError: There is no cluster, or no such option.
    """
    if kind == "slurm":
        from .slurm import SlurmExecutor

        return SlurmExecutor(where.results, slurm or {}, limits, workers=workers, retry_failed=retry_failed)
    gpus = planned.gpus
    if any(item.spec.device != "cpu" for item in planned.plans):
        server = None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usual = len(gpus) if gpus else max(1, cores // where.threads)
    at_once = workers or usual
    return LocalExecutor(
        where.results, workers=at_once, limits=limits, gpus=gpus, server=server, host_threads=max(1, cores // at_once)
    )


def check_executor(kind: str, slurm: dict[str, Any] | None) -> None:
    """Raises unless there is such an executor.

    Raises:
        BenchmarkError: There is not, or there are options for Slurm without Slurm.
    """
    if kind not in ("local", "slurm"):
        raise BenchmarkError(f"There is no executor '{kind}'; choose local or slurm.")
    if slurm and kind != "slurm":
        raise BenchmarkError("--slurm sets what jobs ask a cluster for; it needs --executor slurm.")
