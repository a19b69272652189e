"""The unit that a run's seconds are shown in: plain training steps, timed by the run's own process beside the method's work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import first_line
from ..measuring.clock import Stopwatch
from ..problem import Problem
from ..task import Task


def time_reference(stopwatch: Stopwatch, task: Task, problem: Problem) -> None:
    """Times a few training steps, of a network that the method never had. The run is afterwards what it was.

    A task whose problems have no such step, or a machine without room for it, has no reference, and its runs go on.
    """

    def fresh() -> nn.Module:
        return task.network().to(problem.device)

    try:
        with aside(problem), torch.enable_grad():
            stopwatch.reference(problem.training_step(fresh))
    # What a method left may break it in any way.
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"The reference step could not be timed: {first_line(error)}\n")


@contextmanager
def aside(problem: Problem) -> Iterator[None]:
    """What is computed inside is not the run's: it is not counted, and random numbers go on where they were."""
    devices = [torch.cuda.current_device()] if problem.device.type == "cuda" else []
    drawn = problem._generator.get_state()
    with problem.meter.paused(), torch.random.fork_rng(devices):
        try:
            yield
        finally:
            problem._generator.set_state(drawn)
