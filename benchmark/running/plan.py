"""What is to be run: requests turned into runs that are identified before they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import origin, registry
from ..errors import BenchmarkError, NotApplicable
from ..method import Method
from ..records.files import file_sha256
from ..records.places import model_filename
from ..records.record import Device, MethodInfo, Record, Status, TaskInfo, record_filename
from ..records.store import find_record
from ..task import Task
from .forks import LIBRARIES
from .identity import (
    Configured,
    RunSpec,
    check_files,
    make_task,
    method_info,
    passed,
    run_id,
    task_info,
    weights_info,
)
from .requests import Request
from .steps import Step
from .tuned import Tuned


class Plan(NamedTuple):
    """A run that is still to be made, or is finished."""

    spec: RunSpec
    task: TaskInfo
    method: MethodInfo
    run_id: str
    device: Device
    seconds: float
    """What its task lets a run take, if the user sets nothing else."""
    any_device: bool = False
    """Whether another machine makes the run, whose device is not known before."""
    modules: tuple[str, ...] = ()
    """What the run imports of the suite and its libraries."""

    @property
    def filename(self) -> str:
        """The record's path inside the results folder; of a run on another machine, a name for it that no record has."""
        return record_filename(self.task.name, self.method.name, self.spec.seed, self.run_id)

    @property
    def title(self) -> str:
        """What to call the run in a message."""
        asked = {key: value for key, value in (self.task.request or {}).items() if key in self.task.config_passed}
        words = [self.task.name, self.method.name, *(f"{key}={value}" for key, value in asked.items())]
        return f"{' '.join(words)} seed {self.spec.seed}"

    def find(self, results: Path) -> Record | None:
        """Returns the run's record, or None while there is none to be read or the weights that are asked for are not there."""
        if self.any_device:
            folder = Path(self.filename).parent
            names = [str(folder / path.name) for path in (results / folder).glob(f"seed{self.spec.seed}-*.json")]
        else:
            names = [self.filename]
        found = [record for name in names if (record := find_record(results, name)) and self._is_of(record)]
        whole = [record for record in found if not self.spec.keep_model or _has_model(record, results)]
        return max(whole, key=lambda record: record.created, default=None)

    def _is_of(self, record: Record) -> bool:
        """Whether a record is this run's; one of another machine, on any device of the kind that was asked for."""
        if not self.any_device:
            return record.run_id == self.run_id
        return (
            record.task.sha256 == self.task.sha256
            and record.method.source_sha256 == self.method.source_sha256
            and record.method.config == self.method.config
            and record.seed == self.spec.seed
            and record.device.threads == self.spec.threads
            and self.spec.device in ("auto", record.device.kind)
        )


def _has_model(record: Record, results: Path) -> bool:
    """Whether the weights that a run left are beside its record; one that failed has left none."""
    if record.weights is None:
        return record.status is not Status.OK
    file = results / model_filename(record.filename)
    return file.is_file() and file_sha256(file) == record.weights.sha256


class Event(NamedTuple):
    """Something to tell the user."""

    plan: Plan
    phase: str
    """``start``, what goes on, ``kept`` for a run that was finished before or by another runner, or ``end``."""
    record: Record | None = None
    log: str = ""
    """The end of a failed run's log."""
    step: Step | None = None
    """How far the method is, told now and then while it unlearns."""


Tell = Callable[[Event], None]
"""Whoever is told what happens."""


class Refused(NamedTuple):
    """A pair that does not fit, with the sentence that says why."""

    task: str
    method: str
    reason: str


class Placement(NamedTuple):
    """What runs run on, and where their records go."""

    results: Path
    device: str = "auto"
    threads: int = 1
    plugins: tuple[Path, ...] = ()
    any_device: bool = False
    """Whether other machines make the runs."""
    keep_model: bool = False
    """Whether the weights stay beside each record."""


class _Made(NamedTuple):
    """What a request is for, resolved."""

    task: Task
    method: MethodInfo
    settings: dict[str, Any]
    modules: tuple[str, ...]
    tuned: Tuned | None = None


def plan(requests: Iterable[Request], where: Placement) -> tuple[list[Plan], list[Refused]]:
    """Lists the runs that are asked for, and the pairs that do not fit.

    Raises:
        BenchmarkError: A name or a setting is unknown, or a task lacks its files.
    """
    chosen, shown = _device(where)
    described: dict[str, TaskInfo] = {}
    plans: dict[str, Plan] = {}
    refused = []
    for request in (each for asked in requests for each in _each(asked)):
        if not request.by_name:
            try:
                registry.methods.get(request.method)
            except BenchmarkError as error:
                refused.append(Refused(request.task, request.method, str(error)))
                continue
        try:
            made = _made(request)
        except NotApplicable as error:
            refused.append(Refused(request.task, request.method, str(error)))
            continue
        key = f"{request.task} {passed(made.task)} {request.short}"
        if key not in described:
            # A task's hash reads all its files, so once is enough.
            check_files(made.task)
            described[key] = task_info(made.task)
        task, method = described[key], made.method
        for seed in request.seeds:
            spec = RunSpec(
                task=request.task,
                method=request.method,
                seed=seed,
                settings=made.settings,
                tuned=made.tuned,
                short=request.short,
                most_work=request.most_work,
                weights=request.weights,
                keep_model=where.keep_model and request.weights is None,
                device=chosen,
                threads=where.threads,
                plugins=[path.resolve() for path in where.plugins],
                results=where.results.absolute(),
            )
            identity = run_id(task, method, seed, shown)
            plans.setdefault(
                identity,
                Plan(
                    spec,
                    task,
                    method,
                    identity,
                    shown,
                    seconds=made.task.run_seconds,
                    any_device=where.any_device,
                    modules=made.modules,
                ),
            )
    return list(plans.values()), refused


def _each(request: Request) -> list[Request]:
    """A request as it is, or one for each of the task's standard requests.

    Raises:
        BenchmarkError: It says itself what is to be forgotten, or the task cannot be loaded.
    """
    if request.requests == "one":
        return [request]
    task = registry.tasks.get(request.task)
    if said := sorted(task.request_settings & request.settings.keys()):
        raise BenchmarkError(
            f"All requests of '{request.task}' are asked for, and '{said[0]}' names one of them; leave one of the two out."
        )
    each = [request.settings | values for values in task.standard_requests]
    return [request._replace(settings=settings, requests="one") for settings in each]


def _made(request: Request) -> _Made:
    """Resolves a request.

    Raises:
        NotApplicable: The task and the method do not fit.
        BenchmarkError: See ``plan``.
    """
    if request.weights is not None:
        task = make_task(request.task, request.settings, short=request.short)
        return _Made(task, weights_info(request.method, request.weights), passed(task), _modules(task))
    pair = Configured.of(request.task, request.method, request.settings, short=request.short)
    tuned = None if passed(pair.method) else request.tuned
    if tuned is not None:
        pair = Configured.of(request.task, request.method, request.settings | tuned.settings, short=request.short)
    pair.check()
    return _Made(pair.task, method_info(pair.method, tuned), pair.settings, _modules(*pair), tuned)


def _device(where: Placement) -> tuple[str, Device]:
    """Returns what workers are asked to run on, and what records will show; a stand-in if other machines make the runs."""
    from ..measuring.device import check_device, describe_device, resolve_device

    if where.any_device:
        check_device(where.device)
        return where.device, Device(kind="cuda" if where.device == "cuda" else "cpu", name="any", threads=where.threads)
    device = resolve_device(where.device)
    return device.type, describe_device(device, where.threads)


def _modules(*configured: Task | Method) -> tuple[str, ...]:
    """What a server may import before it forks: nothing that a plugin brings or names."""
    classes = [cls for one in configured for cls in reversed(type(one).__mro__)]
    own = [cls for cls in classes if issubclass(cls, Task | Method) and origin.is_builtin(cls)]
    libraries = [name for cls in own for name in vars(cls).get("libraries", ())]
    return tuple(dict.fromkeys([*LIBRARIES, *libraries, *(cls.__module__ for cls in own)]))
