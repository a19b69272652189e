"""Checks a task: inspects it in two fresh processes, whose findings the contract reads."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import BenchmarkError
from ..running.limits import kill_group
from .observation import Subject
from .report import CheckReport
from .task_checks import TaskEvidence, judge_task
from .task_observation import Inspection, SeenTask

INSPECTIONS = 2
TIME_LIMIT = 900.0
"""Seconds for an inspection; those of the embedded tasks take about a minute where the machine is not busy."""
_PROGRAM = f"{__package__}.task_inspection"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def check_task(
    what: Subject, *, time_limit: float = TIME_LIMIT, progress: Callable[[int, int], None] = lambda done, total: None
) -> CheckReport:
    """Inspects a task twice and judges what was seen.

    Args:
        what: The task.
        time_limit: Seconds for one inspection.
        progress: Told how many inspections are done, and of how many.

    Raises:
        BenchmarkError: The task cannot be loaded or configured, is not prepared, or takes too long.
    """
    start, done = time.perf_counter(), 0

    def inspected(whole: bool) -> SeenTask:
        nonlocal done
        seen = _inspect(what, Path(folder), whole, time_limit)
        done += 1
        progress(done, INSPECTIONS)
        return seen

    with tempfile.TemporaryDirectory(prefix="unlearnbench-check-") as folder, ThreadPoolExecutor(INSPECTIONS) as pool:
        first, again = pool.map(inspected, (True, False))
    for seen in (first, again):
        if seen.mistake is not None:
            raise BenchmarkError(seen.mistake)
    return CheckReport(
        None, first.name, first.settings, time.perf_counter() - start, judge_task(TaskEvidence(first, again))
    )


def _inspect(what: Subject, folder: Path, whole: bool, time_limit: float) -> SeenTask:
    place = folder / ("whole" if whole else "again")
    order = Inspection(
        file=what.file,
        name=what.name,
        plugins=list(what.plugins),
        settings=what.settings,
        whole=whole,
        report=place.with_suffix(".json"),
    )
    written = place.with_suffix(".order.json")
    written.write_text(order.model_dump_json())
    with place.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM, str(written)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
        code = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(time_limit)
        finally:
            kill_group(process.pid)
            process.wait()
    if order.report.is_file():
        return SeenTask.model_validate_json(order.report.read_bytes())
    last = (place.with_suffix(".log").read_text(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
    ended = f"took longer than {time_limit:g} s" if code is None else f"ended with exit code {code} ({last[:200]})"
    name = what.name or (what.file.name if what.file else "")
    raise BenchmarkError(f"The inspection of the task in '{name}' {ended}; mend it, or give it time with --time-limit.")
