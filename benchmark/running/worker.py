"""Makes one run, in a process of its own: ``python -m unlearnbench.benchmark.running.worker``, a ``RunSpec`` on standard input.

This process loads no code of a method. It starts one that does (``unlearning``), waits for the weights that it leaves,
evaluates them and writes the record.

Standard output carries one JSON event a line and nothing else; what a plugin prints goes to standard error, which the
runner keeps as the run's log. Standard input stays open as long as the runner lives: when it closes, the worker ends, so
that no run goes on without anyone to account for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import BenchmarkError, Diverged, shortened
from ..measuring.device import describe_device, resolve_device
from ..records.files import write_atomically
from ..records.places import model_filename
from ..records.record import Phase, Record, Status, Weights
from ..records.store import next_moment, write_record
from ..task import Evaluation
from .identity import RunIdentity, RunSpec
from .judging import Meddled, evaluate, evaluated
from .limits import end_with_runner
from .steps import Step
from .unlearning import Left, MethodEnded, MethodProcess


def main() -> int:
    """Reads the specification, makes the run, writes its record. Returns the exit code: 2 for a user's mistake."""
    spec = RunSpec.model_validate_json(sys.stdin.readline())
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        print(json.dumps(message), file=events, flush=True)

    def tell(phase: str) -> None:
        say(phase=phase)

    def tell_step(step: Step) -> None:
        say(step=step.number, of=step.of)

    code = 0
    with tempfile.TemporaryDirectory(prefix="unlearnbench-") as folder:
        file = Path(folder) / "model.safetensors"
        # Before any thread: a fork copies none.
        apart = None if spec.weights else MethodProcess(spec, file, events.close)
        end_with_runner()
        try:
            record = evaluated(spec, tell) if apart is None else judged(spec, apart.left(tell, tell_step), file)
            write_record(spec.results, record)
        except BenchmarkError as error:
            say(error=str(error))
            code = 2
        except MethodEnded as ended:
            # A method that ends its process well has not ended well.
            code = ended.code or 1
    if code < 0:
        # As the method's process ended, so does this one: the runner's record says how.
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def judged(spec: RunSpec, left: Left, file: Path) -> Record:
    """Returns the record of a run whose method has done its work.

    Args:
        spec: The run.
        left: What the method left.
        file: The weights.

    Raises:
        BenchmarkError: The evaluation failed, which is no outcome of the run.
    """
    device = describe_device(resolve_device(spec.device), spec.threads)
    identity = RunIdentity(left.task, left.method, spec.seed, device)
    outcome: dict[str, Any] = {"status": left.status, "reason": left.reason, "cost": left.cost, "weights": left.weights}
    if left.weights is not None:
        start = perf_counter()
        try:
            outcome["found"] = _evaluation(spec, left, left.weights, file, identity)
        except Diverged as error:
            outcome |= {"status": Status.DIVERGED, "reason": str(error)}
        except Meddled as error:
            outcome |= {"status": Status.FAILED, "reason": str(error)}
        took = Phase(name="evaluate", timed=False, clock="host", seconds=[perf_counter() - start])
        outcome["cost"] = left.cost and left.cost.model_copy(update={"phases": [*left.cost.phases, took]})
    return identity.record(next_moment(spec.results, spec.task, spec.method), **outcome)


def _evaluation(spec: RunSpec, left: Left, wanted: Weights, file: Path, identity: RunIdentity) -> Evaluation:
    # Read once: others may write to the file.
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise Meddled("the file of weights is not the one that the method left: something wrote to it")
    if spec.keep_model:
        write_atomically(spec.results / model_filename(identity.filename), data)
    found = evaluate(spec, left.order, left.task, data, file)
    # Those of the way are what the method's process says, and may not pass for those of the weights.
    both = {metric.name for metric in found.metrics} & {metric.name for metric in left.on_the_way}
    if both:
        raise Meddled(f"the method's process said what {shortened(sorted(both))} is, which is the evaluation's to say")
    return found._replace(metrics=[*found.metrics, *left.on_the_way])


if __name__ == "__main__":
    sys.exit(main())
