"""Makes one run, in a process of its own: ``python -m unlearnbench.benchmark.running.worker``, a ``RunSpec`` on standard input.

Standard output carries one JSON event a line and nothing else; what a plugin prints goes to standard error, which the
runner keeps as the run's log. Standard input stays open as long as the runner lives: when it closes, the worker ends, so
that no run goes on without anyone to account for it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TextIO

import torch

from .. import registry
from ..errors import BenchmarkError, Diverged, first_line, shortened
from ..measuring.clock import Stopwatch, clock_for
from ..measuring.counts import Meter
from ..measuring.device import describe_device, resolve_device
from ..measuring.peaks import MemoryWatch
from ..records.record import Cost, Phase, Record, Status, Weights, model_filename, record_filename
from ..records.store import next_moment, write_record
from ..seeds import derive_seed
from ..task import Evaluation
from . import weights
from .evaluator import Evaluator, Meddled, Order, evaluated
from .identity import Configured, RunIdentity, RunSpec, method_info, task_info
from .limits import end_with_runner
from .shared_code import SharedCode
from .torch_setup import configure_torch, free_memory, is_out_of_memory


class Run:
    """One run in this process.

    Args:
        spec: What to run.
        evaluator: Evaluates what the method leaves.
        events: Where to report phases.
    """

    def __init__(self, spec: RunSpec, evaluator: Evaluator, events: TextIO) -> None:
        self.spec = spec
        self._evaluator = evaluator
        self._events = events
        self._device = resolve_device(spec.device)
        configure_torch(spec.threads)
        self._shared = SharedCode()
        registry.add_plugins(spec.plugins)
        pair = Configured.of(spec.task, spec.method, spec.settings)
        pair.check()
        self._task, self._method = pair
        shown = describe_device(self._device, spec.threads)
        self._identity = RunIdentity(task_info(self._task), method_info(self._method), spec.seed, shown)
        self._memory = MemoryWatch(self._device)
        self._stopwatch = Stopwatch(clock_for(self._device), self._memory)
        self._meter: Meter | None = None
        self._weights: Weights | None = None
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
        created = next_moment(self.spec.results, self._task.name, self._method.name)
        outcome = {"status": status, "reason": reason, "cost": self._cost(), "weights": self._weights}
        return self._identity.record(created, evaluation, **outcome)

    def _unlearn_and_evaluate(self) -> Evaluation:
        taken = self._unlearn()
        self._announce("evaluate")
        with self._stopwatch.phase("evaluate"), tempfile.TemporaryDirectory(prefix="unlearnbench-") as folder:
            file = self._kept if self.spec.keep_model else Path(folder) / self._kept.name
            self._weights = Weights(sha256=weights.write(file, taken.state), left_behind=taken.left_behind)
            # What is measured on the way belongs to the method and not to its weights, and needs its code.
            on_the_way = self._task.retrace(self._method, self.spec.seed, self._device)
            free_memory(self._device)
            found = self._evaluator.evaluate(Order.of(self.spec, self._task, file, self._weights.sha256))
            # What was left running may have waited for the first look to pass.
            if changed := self._shared.changed():
                raise Meddled(f"The method replaced {shortened(changed)} while its weights were judged.")
            return found._replace(metrics=[*found.metrics, *on_the_way])

    def _unlearn(self) -> weights.Taken:
        """Has the method unlearn, and returns what it leaves: the weights of the network that it was handed."""
        self._announce("load")
        torch.manual_seed(derive_seed("global", self.spec.seed))
        with self._stopwatch.phase("load"):
            problem = self._task.problem(self._method, self.spec.seed, self._device)
            network, layout = problem.model, weights.Layout.of(problem.model)
        with self._stopwatch.phase("warmup"):
            problem.warm_up()
            problem.meter.reset()
        self._meter = problem.meter
        problem.meter.on_step = self._stopwatch.lap
        self._shared.look()
        self._announce("unlearn")
        with self._stopwatch.phase("unlearn", timed=True):
            self._method.unlearn(problem)
        self._shared.require_unchanged()
        problem.retire()
        try:
            taken = weights.take(network, layout)
        except Diverged as error:
            raise Diverged(f"{error} after {problem.meter.steps} steps") from None
        return taken if problem.model is network else taken._replace(left_behind=["problem.model", *taken.left_behind])

    @property
    def _kept(self) -> Path:
        """The file beside the record for the weights."""
        record = record_filename(self._task.name, self._method.name, self.spec.seed, self._identity.run_id)
        return self.spec.results / model_filename(record)

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


def main() -> int:
    """Reads the specification, makes the run, writes its record. Returns the exit code: 2 for a user's mistake."""
    spec = RunSpec.model_validate_json(sys.stdin.readline())
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Before any thread, and before any code of a method: a process that nothing of theirs can reach.
    with Evaluator(prepare=events.close) as evaluator:
        end_with_runner()
        try:
            record = evaluated(spec, evaluator, events) if spec.weights else Run(spec, evaluator, events).record()
            write_record(spec.results, record)
        except BenchmarkError as error:
            print(json.dumps({"error": str(error)}), file=events, flush=True)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
