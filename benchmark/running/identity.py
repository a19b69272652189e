"""What identifies a run, before and after it is made: a configured pair of a task and a method, a seed and a device."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from .. import origin, registry
from ..errors import BenchmarkError, NotApplicable, unknown_name
from ..measuring.provenance import collect_provenance
from ..method import Method
from ..records.files import canonical_sha256, file_sha256
from ..records.record import (
    MAX_NAME,
    NAME_PATTERN,
    WEIGHTS,
    Device,
    MethodInfo,
    Record,
    Status,
    TaskInfo,
    record_filename,
)
from ..task import Evaluation, Task
from .tuned import Tuned


class RunSpec(BaseModel):
    """One run as the runner hands it to a worker process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    method: str
    seed: int
    settings: dict[str, Any] = {}
    """What is set of the task and the method."""
    tuned: Tuned | None = None
    """The settings of the method that a search found, if they are those."""
    short: bool = False
    """Whether the evaluation is that of a search's trials."""
    most_work: float | None = None
    """Where the run ends that takes more, see ``Meter.work``."""
    weights: Path | None = None
    """Weights to evaluate instead of running anything; ``method`` is then what to call them."""
    keep_model: bool = False
    """Whether the weights stay beside the record."""
    device: str = "cpu"
    threads: int = 1
    plugins: list[Path] = []
    results: Path


class Configured(NamedTuple):
    """A task and a method with their settings: what a run is of. Both know what was set of them."""

    task: Task
    method: Method

    @classmethod
    def of(cls, task: str, method: str, settings: dict[str, Any], *, short: bool = False) -> Configured:
        """Returns a pair by its names, with settings of either; a short one as in the trials of a search.

        Raises:
            BenchmarkError: A name, a setting or a value is unknown, or both have a setting of the same name.
        """
        task_fields = registry.tasks.get(task).model_fields
        method_fields = registry.methods.get(method).model_fields
        for key in settings:
            if key in task_fields and key in method_fields:
                raise BenchmarkError(f"Both the task '{task}' and the method '{method}' have a setting '{key}'.")
            if key not in task_fields and key not in method_fields:
                raise unknown_name(
                    f"setting of the task '{task}' or the method '{method}'", key, {*task_fields, *method_fields}
                )
        return cls(
            make_task(task, {key: value for key, value in settings.items() if key in task_fields}, short=short),
            make_method(method, {key: value for key, value in settings.items() if key in method_fields}),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What was set of the task and the method."""
        return {**passed(self.task), **passed(self.method)}

    def check(self) -> None:
        """Raises unless the two fit.

        Raises:
            NotApplicable: They do not, or the method is the oracle, and its weights are not at hand.
            BenchmarkError: The method asks for the oracle without being a built-in reference row.
        """
        refusal = self.task.refusal(type(self.method))
        if refusal is not None:
            raise NotApplicable(refusal)
        check_oracle(self.method)
        if registry.asks_for_oracle(type(self.method)) and (missing := self.task.missing_oracles()):
            raise NotApplicable(missing[0])


def make_task(name: str, config: dict[str, Any], *, short: bool = False) -> Task:
    """Returns the named task with a configuration; a short one as in the trials of a search.

    Raises:
        BenchmarkError: There is no such task, setting or value.
    """
    task: Task = _configured(registry.tasks.get(name), config, f"task '{name}'")
    return task.short() if short else task


def make_method(name: str, config: dict[str, Any]) -> Method:
    """Returns the named method with a configuration.

    Raises:
        BenchmarkError: There is no such method, setting or value.
    """
    method: Method = _configured(registry.methods.get(name), config, f"method '{name}'")
    return method


def passed(configured: Task | Method) -> dict[str, Any]:
    """Returns what was set of a task or a method, as JSON has it."""
    return configured.model_dump(mode="json", include=configured.model_fields_set)


def check_oracle(method: Method) -> None:
    """Raises if a method asks for what only the row may see that stands for retraining.

    Raises:
        BenchmarkError: It asks for the oracle without being a built-in reference row.
    """
    if registry.asks_for_oracle(type(method)) and not origin.is_builtin(type(method)):
        raise BenchmarkError(
            f"The method '{method.name}' needs the oracle, which only built-in reference rows may see."
        )


def check_files(task: Task) -> None:
    """Raises if a task cannot run yet.

    Raises:
        BenchmarkError: It lacks its files; the message says how to get them.
    """
    for sentence in task.missing():
        raise BenchmarkError(sentence)


def task_info(task: Task) -> TaskInfo:
    """Returns the task as a record shows it."""
    return TaskInfo(
        name=task.name,
        family=task.family.name,
        version=task.version,
        sha256=task.sha256(),
        source_sha256=task.source_sha256(),
        distribution=origin.source(type(task)).distribution,
        config=task.model_dump(mode="json"),
        config_passed=passed(task),
        request=task.request_of() or None,
        shared_sha256=task.shared_sha256(),
    )


def method_info(method: Method, tuned: Tuned | None = None) -> MethodInfo:
    """Returns the method as a record shows it.

    Args:
        method: With its settings.
        tuned: What a search found, if the settings are those.
    """
    source: Literal["tuned", "paper", "set"] = "tuned" if tuned else "set" if method.model_fields_set else "paper"
    return MethodInfo(
        name=method.name,
        role=method.role,
        source_sha256=origin.source_sha256(type(method), Method),
        distribution=origin.source(type(method)).distribution,
        config=method.model_dump(mode="json"),
        config_passed=passed(method),
        settings_from=source,
        trials=tuned.trials if tuned else None,
    )


def weights_name(file: Path) -> str:
    """Returns what weights are called if nobody says: METHOD-kept if a run left them, else the file's name made valid."""
    kept = re.fullmatch(r"seed\d+-[0-9a-f]{12}\.model", file.stem)
    plain = f"{file.absolute().parent.name}-kept" if kept else file.stem
    return re.sub(r"[^a-z0-9.]+", "-", plain.lower()).strip("-.")[:MAX_NAME].rstrip("-.")


def weights_info(name: str, file: Path) -> MethodInfo:
    """Returns weights that were made elsewhere as a record shows what made them.

    Raises:
        BenchmarkError: There is no such file, or the name is not valid or a registered method's.
    """
    if not file.is_file():
        raise BenchmarkError(f"There is no file {file} of weights; name one that safetensors wrote.")
    if not re.fullmatch(NAME_PATTERN, name):
        raise BenchmarkError(
            f"'{name}' cannot name weights; give them with --name one of lower-case letters, digits, dots and hyphens."
        )
    if name in registry.methods.names():
        raise BenchmarkError(f"'{name}' is a registered method; give the weights another name with --name.")
    try:
        digest = file_sha256(file)
    except OSError as error:
        raise BenchmarkError(f"{file} cannot be read: {error.strerror}; name a file that safetensors wrote.") from None
    return MethodInfo(
        name=name,
        role="method",
        source_sha256=digest,
        distribution=WEIGHTS,
        config={},
        config_passed={},
    )


class RunIdentity(NamedTuple):
    """All that decides a run's outcome, or an evaluation's of weights that were made elsewhere."""

    task: TaskInfo
    method: MethodInfo
    seed: int
    device: Device

    @property
    def run_id(self) -> str:
        """The hash of all of it."""
        return run_id(*self)

    @property
    def filename(self) -> str:
        """Its record's path inside a results folder."""
        return record_filename(self.task.name, self.method.name, self.seed, self.run_id)

    def record(self, created: str, found: Evaluation | None = None, **more: Any) -> Record:
        """Returns the record of it.

        Args:
            created: When it ended.
            found: What the judges found, if it came to that.
            **more: Further fields of a record; unless they say otherwise it ended well, and at a cost that is not known.
        """
        metrics, gallery = found or Evaluation([], None)
        parts = {**self._asdict(), "run_id": self.run_id, "created": created, "metrics": metrics, "gallery": gallery}
        rest = {"status": Status.OK, "cost": None, "provenance": collect_provenance()}
        return Record.model_validate({**parts, **rest, **more})


def run_id(task: TaskInfo, method: MethodInfo, seed: int, device: Device) -> str:
    """Returns the hash of all that decides a run's outcome."""
    return canonical_sha256(
        {
            # The version of this list, which later schemas of the record leave alone.
            "schema_version": 1,
            "task": task.sha256,
            "method": [method.name, method.source_sha256, method.config],
            "seed": seed,
            "device": device.group,
        }
    )


def _configured(cls: type[Any], config: dict[str, Any], what: str) -> Any:
    for key, value in config.items():
        if isinstance(value, bool) and key in cls.model_fields and not _takes_bool(cls.model_fields[key].annotation):
            # To pydantic a truth value is a number, too.
            raise BenchmarkError(f"The setting '{key}' of the {what} cannot be {value!r}: it is no truth value.")
    try:
        return cls(**config)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise unknown_name(f"setting of the {what}", key, cls.model_fields) from None
        what_is_wrong = problem["msg"].removeprefix("Value error, ").rstrip(".")
        if not key:
            raise BenchmarkError(f"The settings of the {what} are not valid: {what_is_wrong}.") from None
        raise BenchmarkError(
            f"The setting '{key}' of the {what} cannot be {problem['input']!r}: {what_is_wrong}."
        ) from None


def _takes_bool(annotation: Any) -> bool:
    """Whether a field of a type can hold a truth value."""
    return annotation in (bool, Any, object) or any(
        part is bool or part is True or part is False or _takes_bool(part) for part in typing.get_args(annotation)
    )
