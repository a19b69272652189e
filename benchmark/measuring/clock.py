"""The harness's clock. Methods never see it, and cannot forget to synchronize.

Scored time is the host's monotonic clock between two synchronizations of the device. CUDA events time the same phases and
each step on the device itself. Both are kept as raw samples.

Beside them stand the time of a reference step, which a busy machine slows as it slows the method, and what the process took of
the processor.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns, process_time_ns
from typing import Any, Literal, Protocol

import torch

from ..records.record import Phase
from .peaks import MemoryWatch

PhaseName = Literal["load", "warmup", "unlearn", "evaluate"]

REFERENCE_STEPS = 7
"""Reference steps on either side of the timed phase,"""
REFERENCE_SECONDS = 0.5
"""and after how long there is no further one,"""
FEWEST_REFERENCE_STEPS = 2
"""unless there are fewer than this."""


class Clock(Protocol):
    """Marks points in a device's work and tells the time between them."""

    name: Literal["host", "cuda-event"]

    def synchronize(self) -> None:
        """Waits until the device has done all that it was given."""

    def mark(self) -> Any:
        """Marks this point in the device's work without waiting for it."""

    def seconds(self, start: Any, end: Any) -> float:
        """Returns the time between two marks, once the device has passed both."""


class HostClock:
    """The clock of work that is done when the call returns: on a CPU."""

    name: Literal["host", "cuda-event"] = "host"

    def synchronize(self) -> None:
        """See ``Clock``."""

    def mark(self) -> int:
        """See ``Clock``."""
        return perf_counter_ns()

    def seconds(self, start: int, end: int) -> float:
        """See ``Clock``."""
        return (end - start) / 1e9


class CudaClock:
    """CUDA events on the current stream."""

    name: Literal["host", "cuda-event"] = "cuda-event"

    def synchronize(self) -> None:
        """See ``Clock``."""
        torch.cuda.synchronize()

    def mark(self) -> torch.cuda.Event:
        """See ``Clock``."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """See ``Clock``."""
        return float(start.elapsed_time(end)) / 1e3


def clock_for(device: torch.device) -> Clock:
    """Returns the clock of a device."""
    return CudaClock() if device.type == "cuda" else HostClock()


class Stopwatch:
    """Times the phases of one run.

    Args:
        clock: The device's clock.
        memory: Watches memory during the timed phase.
    """

    def __init__(self, clock: Clock, memory: MemoryWatch) -> None:
        self._clock = clock
        self._host = HostClock()
        self._memory = memory
        self._laps: list[Any] = []
        self.phases: list[Phase] = []
        self.step_seconds: list[float] = []
        self.reference_step_seconds: list[float] = []
        self.cpu_seconds = 0.0
        """What this process, with all its threads, took of the processor in the timed phases."""

    @contextmanager
    def phase(self, name: PhaseName, *, timed: bool = False) -> Iterator[None]:
        """Times a block; a timed one starts on a collected heap and with fresh peak counters.

        A block that raises is timed too: a failed run has a cost.
        """
        if timed:
            gc.collect()
            self._memory.start()
        self._clock.synchronize()
        cpu_start, host_start, start = process_time_ns(), self._host.mark(), self._clock.mark()
        try:
            yield
        finally:
            end = self._clock.mark()
            self._clock.synchronize()
            host_end = self._host.mark()
            if timed:
                self.cpu_seconds += (process_time_ns() - cpu_start) / 1e9
                self._memory.stop()
                pairs = zip(self._laps[::2], self._laps[1::2], strict=False)
                self.step_seconds = [self._clock.seconds(*pair) for pair in pairs]
            self._add(name, timed, "host", self._host.seconds(host_start, host_end))
            if self._clock.name != "host":
                self._add(name, timed, self._clock.name, self._clock.seconds(start, end))

    def lap(self) -> None:
        """Marks the start or the end of a step, in turn. Does not wait for the device."""
        self._laps.append(self._clock.mark())

    def reference(self, step: Callable[[], object]) -> None:
        """Times a step that is not the method's, several times: the unit that the timed phases' seconds are shown in."""
        begin = self._host.mark()
        for taken in range(REFERENCE_STEPS):
            if taken >= FEWEST_REFERENCE_STEPS and self._host.seconds(begin, self._host.mark()) >= REFERENCE_SECONDS:
                break
            self._clock.synchronize()
            start = self._host.mark()
            step()
            self._clock.synchronize()
            self.reference_step_seconds.append(self._host.seconds(start, self._host.mark()))

    @property
    def unlearn_seconds(self) -> float:
        """The timed phases' host seconds, added up."""
        return sum(sum(phase.seconds) for phase in self.phases if phase.timed and phase.clock == "host")

    def _add(self, name: PhaseName, timed: bool, clock: Literal["host", "cuda-event"], seconds: float) -> None:
        self.phases.append(Phase(name=name, timed=timed, clock=clock, seconds=[seconds]))
