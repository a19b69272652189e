"""What can be wrong with a task: one function a clause of its contract, each with phrases for what it found."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from pydantic import ValidationError

from .. import origin
from ..errors import BenchmarkError, first_line
from ..family import Family
from ..measuring.device import CPU
from ..method import Method
from ..needs import Need
from ..problem import Batch, Problem
from ..records.places import assets_only_in
from ..records.record import Metric
from ..running.reference import aside
from ..running.weights import Layout, load, take, write
from ..task import Task
from . import fingerprint
from .need_calls import CALLS

TIERS = ("embedded", "mid", "paper")


class Nothing(Method):
    """Declares nothing and does nothing."""

    name = "nothing"

    def unlearn(self, problem: Problem) -> None:
        """Leaves the model as it is."""


def asking(needs: frozenset[Need]) -> Method:
    """Returns a method that does nothing and declares some needs."""
    cls: type[Nothing] = type("Nothing", (Nothing,), {"needs": needs, "__module__": __name__})
    return cls()


class Subject:
    """A task that is looked at, with a problem of which everything may be asked.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def problem(self, needs: frozenset[Need] | None = None, seed: int = 0) -> Problem:
        """Returns a fresh problem, for a method that declares all that the task offers unless said otherwise."""
        return self.task.problem(asking(self.task.offers if needs is None else needs), seed, CPU)

    @functools.cached_property
    def free(self) -> Problem:
        """A problem that nothing was done to."""
        return self.problem()

    @functools.cached_property
    def batch(self) -> Batch:
        """A forget batch of it."""
        return next(self.free.batches("forget", 1))

    def again(self, **settings: Any) -> Task:
        """Returns an equal task, made anew, with other values of some settings."""
        return type(self.task)(**{**self.task.model_dump(), **settings})


def described(subject: Subject) -> Iterator[str]:
    """Whether it says what it is."""
    task, cls = subject.task, type(subject.task)
    if not (vars(cls).get("__doc__") or "").strip():
        yield "its class has no docstring, whose first line the list of tasks and the board show"
    if task.tier not in TIERS:
        yield f"its tier is '{task.tier}' and not one of {', '.join(TIERS)}"
    if origin.is_builtin(cls) and Path(origin.source(cls).path).stem.replace("_", "-") != task.name:
        yield f"its file is not called {task.name.replace('-', '_')}.py"


def settings(subject: Subject) -> Iterator[str]:
    """Whether settings survive being written down as JSON and read again."""
    task = subject.task
    try:
        again = type(task)(**json.loads(json.dumps(task.model_dump(mode="json"))))
    except (ValidationError, ValueError, TypeError) as error:
        yield first_line(error)
    else:
        if again != task:
            yield "what is read back is not what was written"


def frozen(subject: Subject) -> Iterator[str]:
    """Whether settings cannot be set afterwards."""
    again = subject.again()
    for name in type(again).model_fields:
        try:
            setattr(again, name, getattr(again, name))
        except (ValidationError, TypeError, AttributeError):
            continue
        yield name


def missing(subject: Subject) -> Iterator[str]:
    """Whether it says in sentences what is missing where nothing is prepared, and how to get it."""
    with tempfile.TemporaryDirectory() as empty, assets_only_in(empty):
        bare = subject.again()
        sentences = bare.missing()
        if not sentences:
            try:
                bare.assets_sha256()
            except BenchmarkError as error:
                yield f"it says that nothing is missing where nothing is prepared, and then: {error}"
            return
    for sentence in sentences:
        if not sentence.endswith(".") or "\n" in sentence:
            yield f"what is missing is no sentence: '{first_line(Exception(sentence))[:80]}'"
    if not any(f"unlearnbench prepare {subject.task.name}" in sentence for sentence in sentences):
        yield f"what is missing names no command such as `unlearnbench prepare {subject.task.name}`"


def identity(subject: Subject) -> Iterator[str]:
    """Whether an equal task has the same hash."""
    if subject.task.sha256() != subject.again().sha256():
        yield "an equal task has another hash"


def counted(subject: Subject) -> Iterator[str]:
    """Whether the hash sees every setting that does not only say where files lie."""
    task = subject.task
    with _without_assets(type(task)):
        own = task.sha256()
        for name in type(task).model_fields.keys() - task.path_settings:
            other = _other(subject, name)
            if other is not None and other == own:
                yield f"the setting '{name}'"


def loss(subject: Subject) -> Iterator[str]:
    """Whether the loss is one finite value a sample, with a gradient, and the same for the same batch."""
    problem, batch = subject.free, subject.batch
    found = problem.loss(batch)
    if found.shape != (len(batch),):
        yield f"the loss of {len(batch)} samples has the shape {tuple(found.shape)}, not one value a sample"
        return
    if not torch.isfinite(found).all():
        yield "the loss is not finite"
    if not found.requires_grad:
        yield "the loss has no gradient"
        return
    found.mean().backward()
    gradients = [weight.grad for weight in problem.parameters() if weight.grad is not None]
    if not any(gradient.any() for gradient in gradients):
        yield "the loss depends on no weight"
    if not all(torch.isfinite(gradient).all() for gradient in gradients):
        yield "the gradient of the loss is not finite"
    problem.model.zero_grad(set_to_none=True)
    with torch.no_grad():
        model = copy.deepcopy(problem.model).eval()
        if not torch.equal(problem.loss(batch, model), problem.loss(batch, model)):
            yield "two losses of one batch differ; what is drawn belongs to the batch's draw"


def offers(subject: Subject) -> Iterator[str]:
    """Whether each need that is offered is met, and methods with another are refused."""
    problem, task = subject.problem(), subject.task
    batch = next(problem.batches("forget", 1))
    for need in Need:
        if need not in task.offers:
            if task.refusal(type(asking(frozenset({need})))) is None:
                yield f"it refuses no method that needs {need.value}"
            continue
        try:
            fault = CALLS[need](problem, batch)
        # A task is somebody's code: whatever it raises is what the check shows.
        except Exception as error:  # noqa: BLE001
            fault = first_line(error)
        if fault is not None:
            yield f"{need.value}: {fault}"


def undeclared(subject: Subject) -> Iterator[str]:
    """Whether a method that declared nothing is refused what the others get."""
    problem = subject.problem(frozenset())
    batch = next(problem.batches("forget", 1))
    for need in sorted(subject.task.offers):
        try:
            CALLS[need](problem, batch)
        except BenchmarkError:
            continue
        # As above.
        except Exception as error:  # noqa: BLE001
            yield f"{need.value} raises {first_line(error)}"
        else:
            yield f"{need.value} is there"


def warm_up(subject: Subject) -> Iterator[str]:
    """Whether the warm-up and the reference step leave no trace."""
    problem = subject.problem()

    def training_step() -> None:
        # Where it fails, the run has no reference, and is none the worse.
        with contextlib.suppress(Exception), aside(problem):
            problem.training_step(subject.task.network)()

    for act in (problem.warm_up, training_step):
        before, drawn = fingerprint.state_of(problem.model), problem._generator.get_state()
        problem.model.zero_grad(set_to_none=True)
        act()
        if fingerprint.digest_of(fingerprint.state_of(problem.model)) != fingerprint.digest_of(before):
            yield f"{act.__name__} changes weights"
        if any(weight.grad is not None for weight in problem.model.parameters()):
            yield f"{act.__name__} leaves gradients behind"
        if not torch.equal(problem._generator.get_state(), drawn):
            yield f"{act.__name__} draws random numbers of the run"


def weights(subject: Subject) -> Iterator[str]:
    """Whether the task's own network with an edited one's weights, read from a file, is the edited one."""
    problem = subject.problem()
    batch = next(problem.batches("forget", 1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in problem.parameters():
            weight.add_(0.01 * torch.randn(weight.shape, generator=generator))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        write(file, take(problem.model, Layout.of(problem.model)).state)
        fresh = subject.task.network()
        misfit = Layout.of(fresh).misfit(fingerprint.state_of(problem.model))
        if misfit is not None:
            yield f"the weights of a problem's model {misfit} by its `network`"
            return
        load(file, fresh)
    with torch.no_grad():
        if not torch.equal(problem.loss(batch, problem.model.eval()), problem.loss(batch, fresh)):
            yield "a fresh network with the same weights has another loss; all that a model is must be in its state dict"


def cost(subject: Subject) -> Iterator[str]:
    """Whether retraining has a cost, where there is an oracle."""
    if Need.ORACLE not in subject.task.offers:
        return
    found = subject.task.retraining_cost(0)
    for what in ("seconds", "steps", "samples"):
        if not getattr(found, what) > 0:
            yield f"retraining takes {getattr(found, what)} {what}"


IN_PROBLEMS: Mapping[str, Callable[[Subject], Iterator[str]]] = {
    "described": described,
    "settings": settings,
    "frozen": frozen,
    "missing": missing,
    "identity": identity,
    "counted": counted,
    "loss": loss,
    "offers": offers,
    "undeclared": undeclared,
    "warm-up": warm_up,
    "weights": weights,
    "cost": cost,
}
"""What is looked at without judging a model, by the name of the check."""


def in_numbers(metrics: list[Metric], family: Family) -> Iterator[str]:
    """What is wrong with an evaluation's metrics."""
    keys = [key_of(metric) for metric in metrics]
    yield from (f"{key} is there twice" for key in sorted({key for key in keys if keys.count(key) > 1}))
    for metric in metrics:
        try:
            direction = family.quantity(metric.name).direction
        except KeyError:
            yield f"the family declares no quantity {metric.name}"
            continue
        if direction != metric.direction:
            yield f"{metric.name} has the direction {metric.direction}, and the family says {direction}"
        if metric.value is None:
            continue
        if metric.ci_low is None or metric.ci_high is None:
            yield f"{key_of(metric)} has no interval"
        elif not metric.ci_low <= metric.value <= metric.ci_high:
            yield f"{key_of(metric)} lies outside of its interval"
        if not metric.n:
            yield f"{key_of(metric)} was computed from no sample"
        if not metric.identity.protocol:
            yield f"{key_of(metric)} does not say how it was measured"
    measured = {metric.name for metric in metrics}
    for quantity in (quantity for track in family.tracks for quantity in track.scored):
        if quantity.name not in measured:
            yield f"{quantity.name}, which the score reads, is not measured"


def key_of(metric: Metric) -> str:
    """Returns what tells a metric from the others of an evaluation."""
    parts = [metric.name, *([metric.judge] if metric.judge else [])]
    return " ".join([*parts, *([] if metric.label is None else [f"of {metric.label}"])])


@contextlib.contextmanager
def _without_assets(cls: type[Task]) -> Iterator[None]:
    """Makes a task's hash one of its configuration alone, whatever is prepared."""
    own = vars(cls).get("assets_sha256")
    cls.assets_sha256 = lambda self: ""  # type: ignore[method-assign]
    try:
        yield
    finally:
        if own is None:
            del cls.assets_sha256
        else:
            cls.assets_sha256 = own  # type: ignore[method-assign]


def _other(subject: Subject, name: str) -> str | None:
    """The task's hash under another value of a setting, or None where none is found or its files would be needed."""
    value, annotation = getattr(subject.task, name), type(subject.task).model_fields[name].annotation
    candidates: list[Any] = []
    if get_origin(annotation) is Literal:
        candidates = [choice for choice in get_args(annotation) if choice != value]
    elif isinstance(value, bool):
        candidates = [not value]
    elif isinstance(value, int | float):
        candidates = [value + 1, value - 1, value * 2, value / 2]
    for candidate in candidates:
        try:
            return subject.again(**{name: candidate}).sha256()
        except (ValidationError, BenchmarkError):
            continue
    return None
