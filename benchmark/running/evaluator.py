"""Evaluates weights in a process of its own, which was started before any code of a method was loaded.

What a method patched, hooked, wrapped or left in a global stays in the method's process. The weights cross as a file, the order
and what was found as a line of JSON each: ``python -m unlearnbench.benchmark.running.evaluator``, or a fork on Linux.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self, TextIO

import torch
from pydantic import BaseModel, ConfigDict

from .. import origin, registry
from ..errors import BenchmarkError, Diverged, first_line
from ..measuring.device import describe_device, resolve_device
from ..records.record import Record, Status, Weights
from ..records.store import next_moment
from ..seeds import derive_seed
from ..task import Evaluation, Task
from . import weights
from .forks import can_fork
from .identity import RunIdentity, RunSpec, make_task, passed, task_info, weights_info
from .limits import ending
from .torch_setup import configure_torch


class Meddled(Exception):
    """A method reached for the evaluation of what it left."""


class Order(BaseModel):
    """What to evaluate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: RunSpec
    task_settings: dict[str, Any]
    """Of the task alone."""
    file: Path
    """The weights."""
    sha256: str
    """Of the file, which may lie where others can write."""
    plugins: list[Path]
    """What the task needs of the plugin files: a method's is not loaded, unless it is the task's, too."""

    @classmethod
    def of(cls, spec: RunSpec, task: Task, file: Path, sha256: str) -> Self:
        """Returns the order to evaluate a file of weights on a run's task."""
        own = origin.plugin_files(*type(task).__mro__)
        others = [] if origin.is_builtin(type(task)) else spec.plugins
        needed = [path for path in others if path in own or not registry.defines_only_methods(path)]
        return cls(spec=spec, task_settings=passed(task), file=file, sha256=sha256, plugins=needed)


class Answer(BaseModel):
    """What was found, or why nothing was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    """Of the weights that were asked about."""
    evaluation: Evaluation | None = None
    diverged: str | None = None
    error: str | None = None


class Evaluator:
    """The process, which waits until there are weights.

    Args:
        prepare: Called in a fork, to let go of what is the method's process's own.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._code: int | None = None
        self._child: int | subprocess.Popen[str]
        if can_fork():
            self._child, self._orders, self._answers = _fork(prepare)
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert process.stdin is not None
            assert process.stdout is not None
            self._child, self._orders, self._answers = process, process.stdin, process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        self._wait()
        self._answers.close()

    def evaluate(self, order: Order) -> Evaluation:
        """Returns what the task's evaluation finds.

        Raises:
            Diverged: What the weights draw is not finite.
            Meddled: Other weights were judged than those of the order.
            BenchmarkError: The weights are not the network's, or the evaluation failed, which is no outcome of the run.
            MemoryError: The process was killed, as the kernel does when memory runs out.
            ChildProcessError: It ended otherwise and gave no answer.
        """
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(order.model_dump_json() + "\n")
            self._orders.flush()
        line = self._answers.readline()
        if not line and (code := self._wait()) == -signal.SIGKILL:
            raise MemoryError("the evaluation's process was killed, as the kernel does when memory runs out")
        if not line:
            raise ChildProcessError(f"the evaluation's process {ending(code)} and gave no answer")
        answer = Answer.model_validate_json(line)
        if answer.sha256 != order.sha256:
            raise Meddled(
                "other weights were judged than the method left: it reached for the evaluation's orders or files"
            )
        if answer.diverged is not None:
            raise Diverged(answer.diverged)
        if answer.evaluation is None:
            raise BenchmarkError(answer.error or "The evaluation gave nothing.")
        return answer.evaluation

    def _wait(self) -> int:
        """Returns the process's exit code, negative for a signal, when it has ended."""
        if self._code is None:
            child = self._child
            self._code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if isinstance(child, int) else child.wait()
        return self._code


def evaluated(spec: RunSpec, evaluator: Evaluator, events: TextIO) -> Record:
    """Returns the record of weights that were made elsewhere: what they cost is not known.

    Raises:
        BenchmarkError: The file is not one of the task's network's weights.
    """
    assert spec.weights is not None
    registry.add_plugins(spec.plugins)
    task = make_task(spec.task, spec.settings)
    made = weights_info(spec.method, spec.weights)
    identity = RunIdentity(task_info(task), made, spec.seed, describe_device(resolve_device(spec.device), spec.threads))
    print(json.dumps({"phase": "evaluate"}), file=events, flush=True)
    judged = Weights(sha256=made.source_sha256)
    try:
        found = evaluator.evaluate(Order.of(spec, task, spec.weights, judged.sha256))
    except Diverged as error:
        outcome: dict[str, Any] = {"status": Status.DIVERGED, "reason": str(error)}
    else:
        outcome = {"found": found}
    return identity.record(next_moment(spec.results, spec.task, spec.method), weights=judged, **outcome)


def _fork(prepare: Callable[[], None]) -> tuple[int, IO[str], IO[str]]:
    (theirs, orders), (answers, ours) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(orders)
        os.close(answers)
        prepare()
        with os.fdopen(theirs) as incoming, os.fdopen(ours, "w") as outgoing:
            serve(incoming, outgoing)
        sys.stderr.flush()
        os._exit(0)
    os.close(theirs)
    os.close(ours)
    return child, os.fdopen(orders, "w"), os.fdopen(answers)


def serve(orders: IO[str], answers: IO[str]) -> None:
    """Answers one order, if there is one: a run that failed has none."""
    line = orders.readline()
    if line:
        answers.write(answer(Order.model_validate_json(line)).model_dump_json() + "\n")
        answers.flush()


def answer(order: Order) -> Answer:
    """Evaluates in this process."""
    spec = order.spec
    # Read once: others may write to the file. One that is gone is not the one of the order.
    data = order.file.read_bytes() if order.file.is_file() else b""
    sha256 = hashlib.sha256(data).hexdigest()
    configure_torch(spec.threads)
    device = resolve_device(spec.device)
    torch.manual_seed(derive_seed("global", spec.seed))
    try:
        registry.add_plugins(order.plugins)
        task = make_task(spec.task, order.task_settings)
        network = weights.load(order.file, task.network().to(device), data)
        return Answer(sha256=sha256, evaluation=task.evaluate(network, spec.seed, device))
    except Diverged as error:
        return Answer(sha256=sha256, diverged=str(error))
    except BenchmarkError as error:
        return Answer(sha256=sha256, error=str(error))
    # A plugin's task is somebody else's code; the traceback is in the run's log.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        why = f"The evaluation on '{spec.task}' failed ({first_line(error)}); its log tells where."
        return Answer(sha256=sha256, error=why)


def main() -> int:
    """Serves on standard input and output."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
