"""Evaluates weights, in a process where no code of a method was loaded: see ``worker``."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from pydantic import ValidationError

from .. import origin, registry
from ..errors import BenchmarkError, Diverged, first_line
from ..measuring.device import describe_device, resolve_device
from ..records.record import Record, Status, TaskInfo, Weights
from ..records.store import next_moment
from ..seeds import derive_seed
from ..task import Evaluation, Task
from . import weights
from .identity import RunIdentity, RunSpec, make_task, passed, task_info, weights_info
from .torch_setup import configure_torch, host_threads

Tell = Callable[[str], None]
"""Told the phase that begins."""


class Meddled(Exception):
    """A method reached for the evaluation of what it left."""


class Order(NamedTuple):
    """What to evaluate weights on."""

    settings: dict[str, Any]
    """Of the task alone."""
    plugins: list[Path]
    """What the task needs of the plugin files: a method's is not loaded, unless it is the task's, too."""

    @classmethod
    def of(cls, spec: RunSpec, task: Task) -> Self:
        """Returns what weights are evaluated on that a run leaves on its task."""
        own = origin.plugin_files(*type(task).__mro__)
        others = [] if origin.is_builtin(type(task)) else spec.plugins
        return cls(passed(task), [path for path in others if path in own or not registry.defines_only_methods(path)])


def evaluate(spec: RunSpec, order: Order, wanted: TaskInfo, data: bytes, name: Path) -> Evaluation:
    """Returns what the task's evaluation finds, in this process.

    Args:
        spec: The run that the weights are of.
        order: What to evaluate them on.
        wanted: The task that the record names.
        data: The file of weights.
        name: Where it lies, for messages.

    Raises:
        Diverged: The weights, or what they draw, are not finite.
        Meddled: The order is not of the task that the record names.
        BenchmarkError: The weights are not the network's, or the evaluation failed, which is no outcome of the run.
    """
    device = resolve_device(spec.device)
    configure_torch(host_threads(device, spec.threads))
    torch.manual_seed(derive_seed("global", spec.seed))
    registry.add_plugins(order.plugins)
    task = make_task(spec.task, order.settings, short=spec.short)
    if task_info(task) != wanted:
        raise Meddled("the weights were to be evaluated on another task than the run's")
    try:
        network = weights.load(name, task.network().to(device), data)
        return task.evaluate(network, spec.seed, device)
    except (Diverged, BenchmarkError):
        raise
    except ValidationError as error:
        if not all(problem["type"] == "finite_number" for problem in error.errors()):
            raise
        raise Diverged("what the weights draw, or the loss on it, is not finite") from error
    # A plugin's task is somebody else's code; the traceback is in the run's log.
    except Exception as error:
        traceback.print_exc()
        why = f"The evaluation on '{spec.task}' failed ({first_line(error)}); its log tells where."
        raise BenchmarkError(why) from error


def evaluated(spec: RunSpec, tell: Tell) -> Record:
    """Returns the record of weights that were made elsewhere: what they cost is not known.

    Raises:
        BenchmarkError: The file is not one of the task's network's weights.
    """
    assert spec.weights is not None
    registry.add_plugins(spec.plugins)
    task = make_task(spec.task, spec.settings, short=spec.short)
    made = weights_info(spec.method, spec.weights)
    identity = RunIdentity(task_info(task), made, spec.seed, describe_device(resolve_device(spec.device), spec.threads))
    tell("evaluate")
    data = spec.weights.read_bytes()
    judged = Weights(sha256=hashlib.sha256(data).hexdigest())
    if judged.sha256 != made.source_sha256:
        raise BenchmarkError(f"{spec.weights} was written to while it was read; evaluate it when it is whole.")
    try:
        outcome: dict[str, Any] = {"found": evaluate(spec, Order.of(spec, task), identity.task, data, spec.weights)}
    except Diverged as error:
        outcome = {"status": Status.DIVERGED, "reason": str(error)}
    return identity.record(next_moment(spec.results, spec.task, spec.method), weights=judged, **outcome)
