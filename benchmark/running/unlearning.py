"""Has a method unlearn, in a process of its own: what it patches, hooks, wraps or leaves in a global ends with that process.

What crosses to the ``worker`` is a file of weights, and messages of plain data: where the run is, and what it was (``Left``).
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from .. import registry
from ..errors import BenchmarkError, Diverged, first_line
from ..measuring.clock import Stopwatch, clock_for
from ..measuring.counts import Meter
from ..measuring.device import describe_device, resolve_device
from ..measuring.peaks import MemoryWatch
from ..records.record import Cost, MethodInfo, Metric, Phase, Status, TaskInfo, Weights
from ..seeds import derive_seed
from . import weights
from .forks import can_fork
from .identity import Configured, RunSpec, method_info, task_info
from .judging import Order, Tell
from .reference import time_reference
from .shared_code import SharedCode
from .steps import LOOK_SECONDS, SharedCount, TellStep
from .torch_setup import configure_torch, is_out_of_memory


class Left(BaseModel):
    """What a method left, and how it came to that."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: TaskInfo
    method: MethodInfo
    order: Order
    """What to evaluate the weights on."""
    status: Status = Status.OK
    reason: str | None = None
    cost: Cost | None = None
    weights: Weights | None = None
    """Of the file, if it was written."""
    on_the_way: list[Metric] = []
    """What was measured of the method and not of its weights: see ``Task.retrace``."""


class MethodEnded(Exception):
    """The method's process ended and did not say what it left.

    Attributes:
        code: Its exit code, negative for a signal.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the method's process ended with {code}")
        self.code = code


class MethodProcess:
    """The process, which begins at once: before this one has loaded any plugin or started any thread.

    Args:
        spec: What to run.
        file: Where the weights go.
        prepare: Called in a fork, to let go of what is this process's own.
    """

    def __init__(self, spec: RunSpec, file: Path, prepare: Callable[[], None]) -> None:
        context = multiprocessing.get_context("fork" if can_fork() else "spawn")
        self._said, theirs = context.Pipe(duplex=False)
        self._count = SharedCount()
        arguments = (spec.model_dump_json(), file, theirs, self._count, prepare if can_fork() else None)
        self._process = context.Process(target=_unlearn, args=arguments)  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()

    def left(self, tell: Tell, tell_step: TellStep = lambda step: None) -> Left:
        """Waits for the end of the method's work and ends the process.

        Args:
            tell: Told the phases.
            tell_step: Told how far the method is.

        Raises:
            BenchmarkError: The run could not begin, or this machine lacks something that it needs.
            MethodEnded: The process ended and did not say what the method left.
        """
        phase = ""
        try:
            while (message := self._next(tell_step if phase == "unlearn" else None)) is not None:
                if "error" in message:
                    raise BenchmarkError(message["error"])
                if "left" in message:
                    return Left.model_validate(message["left"])
                tell(phase := message["phase"])
        except (KeyError, TypeError, ValueError):
            sys.stderr.write("The method's process said what no run says: the method reached for it.\n")
            raise MethodEnded(1) from None
        finally:
            self._process.kill()
            self._process.join()
            self._said.close()
        raise MethodEnded(self._process.exitcode or 0)

    def _next(self, tell_step: TellStep | None) -> Any:
        """The next message, or None if the process has ended without one."""
        # Whoever the method started may hold the pipe open.
        while not wait([self._said, self._process.sentinel], LOOK_SECONDS):
            if tell_step is not None and (step := self._count.news()) is not None:
                tell_step(step)
        if not self._said.poll():
            self._process.join()
            return None
        try:
            return json.loads(self._said.recv_bytes())
        except EOFError:
            self._process.join()
            return None


def _unlearn(spec: str, file: Path, said: Connection, count: SharedCount, prepare: Callable[[], None] | None) -> None:
    """The process."""
    if prepare is not None:
        prepare()

    def say(message: dict[str, Any]) -> None:
        said.send_bytes(json.dumps(message).encode())

    try:
        run = Unlearning(RunSpec.model_validate_json(spec), file, lambda phase: say({"phase": phase}), count.write)
        left = run.left()
    except BenchmarkError as error:
        say({"error": str(error)})
    else:
        say({"left": left.model_dump(mode="json")})


class Unlearning:
    """The method's part of a run, in this process.

    Args:
        spec: What to run.
        file: Where the weights go.
        tell: Told the phases.
        tell_steps: Handed the meter at the start and at the end of every step, on the clock.

    Raises:
        BenchmarkError: A name, a setting or a value is unknown, or the method does not fit the task.
    """

    def __init__(
        self, spec: RunSpec, file: Path, tell: Tell, tell_steps: Callable[[Meter], None] = lambda meter: None
    ) -> None:
        self._spec = spec
        self._file = file
        self._tell = tell
        self._tell_steps = tell_steps
        self._device = resolve_device(spec.device)
        configure_torch(spec.threads)
        self._shared = SharedCode()
        registry.add_plugins(spec.plugins)
        pair = Configured.of(spec.task, spec.method, spec.settings, short=spec.short)
        pair.check()
        self._task, self._method = pair
        self._what = {
            "task": task_info(self._task),
            "method": method_info(self._method, spec.tuned),
            "order": Order.of(spec, self._task),
        }
        self._memory = MemoryWatch(self._device)
        self._stopwatch = Stopwatch(clock_for(self._device), self._memory)
        self._meter: Meter | None = None
        self._phase = "load"

    def left(self) -> Left:
        """Has the method unlearn. Whatever happens inside it is part of what is returned.

        Raises:
            BenchmarkError: This machine lacks something that the run needs.
        """
        outcome: dict[str, Any]
        try:
            taken = self._unlearn()
            self._begin("evaluate")
            kept = Weights(sha256=weights.write(self._file, taken.state), left_behind=taken.left_behind)
            # What is measured on the way belongs to the method and not to its weights, and needs its code.
            on_the_way = self._task.retrace(self._method, self._spec.seed, self._device)
            outcome = {"weights": kept, "on_the_way": on_the_way}
        except Diverged as error:
            outcome = {"status": Status.DIVERGED, "reason": str(error)}
        except BenchmarkError as error:
            # Outside of the method it is this machine's lack, such as a damaged file, and no outcome of the run.
            if self._phase != "unlearn":
                raise
            outcome = {"status": Status.FAILED, "reason": str(error)}
        # A method is somebody else's code: whatever it raises is this run's outcome, and the traceback is in its log.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            status = Status.OUT_OF_MEMORY if is_out_of_memory(error) else Status.FAILED
            outcome = {"status": status, "reason": first_line(error)}
        return Left.model_validate({**self._what, "cost": self._cost(), **outcome})

    def _unlearn(self) -> weights.Taken:
        """Has the method unlearn, and returns what it leaves: the weights of the network that it was handed."""
        self._begin("load")
        torch.manual_seed(derive_seed("global", self._spec.seed))
        with self._stopwatch.phase("load"):
            problem = self._task.problem(self._method, self._spec.seed, self._device)
            network, layout = problem.model, weights.Layout.of(problem.model)
        with self._stopwatch.phase("warmup"):
            problem.warm_up()
            problem.meter.reset()
            problem.meter.most_work = self._spec.most_work
        time_reference(self._stopwatch, self._task, problem)
        self._meter = problem.meter
        problem.meter.on_step = self._lap
        self._shared.look()
        self._begin("unlearn")
        try:
            with self._stopwatch.phase("unlearn", timed=True):
                self._method.unlearn(problem)
        finally:
            time_reference(self._stopwatch, self._task, problem)
        self._shared.require_unchanged()
        problem.retire()
        try:
            taken = weights.take(network, layout)
        except Diverged as error:
            raise Diverged(f"{error} after {problem.meter.steps} steps") from None
        return taken if problem.model is network else taken._replace(left_behind=["problem.model", *taken.left_behind])

    def _cost(self) -> Cost | None:
        if self._meter is None:
            return None
        if registry.asks_for_oracle(type(self._method)):
            return self._retraining_cost()
        meter = self._meter
        return Cost(
            unlearn_seconds=self._stopwatch.unlearn_seconds,
            phases=self._stopwatch.phases,
            step_seconds=self._stopwatch.step_seconds,
            steps=meter.steps,
            forward_passes=meter.forward_passes,
            forward_samples=meter.forward_samples,
            backward_passes=meter.backward_passes,
            forget_samples=meter.samples["forget"],
            retain_samples=meter.samples["retain"],
            peak_process_bytes=self._memory.peak_process_bytes,
            peak_device_bytes=self._memory.peak_device_bytes,
            energy_joules=self._memory.energy_joules,
            backward_samples=meter.backward_samples,
            cpu_seconds=self._stopwatch.cpu_seconds,
            reference_step_seconds=self._stopwatch.reference_step_seconds,
        )

    def _retraining_cost(self) -> Cost:
        """The oracle's cost is that of its training, if that was measured on this kind of device."""
        made = self._task.retraining_cost(self._spec.seed)
        here = made.device == describe_device(self._device, self._spec.threads).group
        prepared = Phase(name="unlearn", timed=True, clock="prepared", seconds=[made.seconds])
        untimed = [phase for phase in self._stopwatch.phases if not phase.timed]
        return Cost(
            unlearn_seconds=made.seconds if here else None,
            phases=[*untimed, *([prepared] if here else [])],
            step_seconds=[],
            steps=made.steps,
            forward_passes=made.steps,
            forward_samples=made.samples,
            backward_passes=made.steps,
            forget_samples=0,
            retain_samples=made.samples,
            peak_process_bytes=None,
            peak_device_bytes=None,
            energy_joules=None,
            backward_samples=made.samples,
            reference_step_seconds=self._stopwatch.reference_step_seconds,
        )

    def _lap(self) -> None:
        self._stopwatch.lap()
        if self._meter is not None:
            self._tell_steps(self._meter)

    def _begin(self, phase: str) -> None:
        self._phase = phase
        self._tell(phase)
