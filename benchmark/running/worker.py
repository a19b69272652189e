"""Makes one run, in a process of its own: ``python -m unlearnbench.benchmark.running.worker``, a ``RunSpec`` on standard input.

Standard output carries one JSON event a line and nothing else; what a plugin prints goes to standard error, which the
runner keeps as the run's log. Standard input stays open as long as the runner lives: when it closes, the worker ends, so
that no run goes on without anyone to account for it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import TextIO

import torch

from .. import registry
from ..errors import BenchmarkError, Diverged, first_line
from ..measuring.clock import Stopwatch, clock_for
from ..measuring.device import describe_device, resolve_device
from ..measuring.peaks import MemoryWatch
from ..measuring.provenance import collect_provenance
from ..problem import Problem
from ..records.record import Cost, Phase, Record, Status
from ..records.store import next_moment, write_record
from ..seeds import derive_seed
from ..task import Evaluation
from .identity import Configured, RunSpec, method_info, run_id, task_info
from .limits import end_with_runner
from .shared_code import SharedCode


class Run:
    """One run in this process.

    Args:
        spec: What to run.
        events: Where to report phases.
    """

    def __init__(self, spec: RunSpec, events: TextIO) -> None:
        self.spec = spec
        self._events = events
        self._device = resolve_device(spec.device)
        configure_torch(spec.threads)
        self._shared = SharedCode()
        for path in spec.plugins:
            registry.add_plugin(path)
        pair = Configured.of(spec.task, spec.method, spec.settings)
        pair.check()
        self._task, self._method = pair
        self._memory = MemoryWatch(self._device)
        self._stopwatch = Stopwatch(clock_for(self._device), self._memory)
        self._problem: Problem | None = None
        self._phase = "load"

    def record(self) -> Record:
        """Makes the run. Whatever happens inside the method is part of the record."""
        status, reason, evaluation = Status.OK, None, Evaluation([], None)
        try:
            evaluation = self._unlearn_and_evaluate()
        except Diverged as error:
            status, reason = Status.DIVERGED, str(error)
        except BenchmarkError as error:
            # Outside of the method it is this machine's lack, such as a damaged file, and no outcome of the run.
            if self._phase != "unlearn":
                raise
            status, reason = Status.FAILED, str(error)
        # A method is somebody else's code: whatever it raises is this run's outcome, and the traceback is in its log.
        except Exception as error:
            traceback.print_exc()
            status = Status.OUT_OF_MEMORY if is_out_of_memory(error) else Status.FAILED
            reason = first_line(error)
        device = describe_device(self._device, self.spec.threads)
        task, method = task_info(self._task), method_info(self._method)
        return Record(
            run_id=run_id(task, method, self.spec.seed, device),
            created=next_moment(self.spec.results, task.name, method.name),
            task=task,
            method=method,
            seed=self.spec.seed,
            status=status,
            reason=reason,
            device=device,
            cost=self._cost(),
            metrics=evaluation.metrics,
            gallery=evaluation.gallery,
            provenance=collect_provenance(),
        )

    def _unlearn_and_evaluate(self) -> Evaluation:
        self._announce("load")
        torch.manual_seed(derive_seed("global", self.spec.seed))
        with self._stopwatch.phase("load"):
            problem = self._task.problem(self._method, self.spec.seed, self._device)
        with self._stopwatch.phase("warmup"):
            problem.warm_up()
            problem.meter.reset()
        self._problem = problem
        problem.meter.on_step = self._stopwatch.lap
        self._shared.look()
        self._announce("unlearn")
        with self._stopwatch.phase("unlearn", timed=True):
            self._method.unlearn(problem)
        self._shared.require_unchanged()
        problem.retire()
        problem.check_finite()
        self._announce("evaluate")
        with self._stopwatch.phase("evaluate"):
            return self._task.evaluate(problem.model.eval(), self._method, self.spec.seed, self._device)

    def _cost(self) -> Cost | None:
        if self._problem is None:
            return None
        if registry.asks_for_oracle(type(self._method)):
            return self._retraining_cost()
        meter = self._problem.meter
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
        )

    def _retraining_cost(self) -> Cost:
        """The oracle's cost is that of its training, if that was measured on this kind of device."""
        made = self._task.retraining_cost(self.spec.seed)
        here = made.device == describe_device(self._device, self.spec.threads).group
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
        )

    def _announce(self, phase: str) -> None:
        self._phase = phase
        print(json.dumps({"phase": phase}), file=self._events, flush=True)


def configure_torch(threads: int) -> None:
    """Fixes the thread count and asks for deterministic kernels in full single precision."""
    # The first optimizer loads this, and it replaces functions that are watched from now on.
    importlib.import_module("torch._dynamo")
    torch.set_num_threads(threads)
    # As ``use_deterministic_algorithms(True, warn_only=True)``, which loads PyTorch's compiler, too.
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if torch.cuda.is_available():
        # The backward passes of the fused attention kernels add up in no fixed order.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception means that memory ran out, on the host or on the GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def main() -> int:
    """Reads the specification, makes the run, writes its record. Returns the exit code: 2 for a user's mistake."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spec = RunSpec.model_validate_json(sys.stdin.readline())
    end_with_runner()
    try:
        record = Run(spec, events).record()
        write_record(spec.results, record)
    except BenchmarkError as error:
        print(json.dumps({"error": str(error)}), file=events, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
