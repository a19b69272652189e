"""What identifies a run, before and after it is made."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .. import registry
from ..errors import BenchmarkError, NotApplicable, unknown_name
from ..method import Method
from ..records.files import canonical_sha256
from ..records.record import Device, MethodInfo, TaskInfo
from ..task import Task


class RunSpec(BaseModel):
    """One run as the runner hands it to a worker process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    method: str
    seed: int
    task_config: dict[str, Any] = {}
    """What the user set of the task."""
    method_config: dict[str, Any] = {}
    """What the user set of the method."""
    device: str = "cpu"
    threads: int = 1
    plugins: list[Path] = []
    results: Path


def make_task(name: str, config: dict[str, Any]) -> Task:
    """Returns the named task with a configuration.

    Raises:
        BenchmarkError: There is no such task, setting or value.
    """
    task: Task = _configured(registry.tasks.get(name), config, f"task '{name}'")
    return task


def make_method(name: str, config: dict[str, Any]) -> Method:
    """Returns the named method with a configuration.

    Raises:
        BenchmarkError: There is no such method, setting or value.
    """
    method: Method = _configured(registry.methods.get(name), config, f"method '{name}'")
    return method


def split_settings(task: str, method: str, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sorts ``--set`` pairs into the task's and the method's.

    Raises:
        BenchmarkError: Neither has the setting, or both have.
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
    of_task = {key: value for key, value in settings.items() if key in task_fields}
    return of_task, {key: value for key, value in settings.items() if key in method_fields}


def check_applicable(task: Task, method: Method) -> None:
    """Raises if a method and a task do not fit.

    Raises:
        NotApplicable: They do not.
        BenchmarkError: The method asks for the oracle without being a built-in reference row.
    """
    refusal = task.refusal(type(method))
    if refusal is not None:
        raise NotApplicable(refusal)
    if registry.asks_for_oracle(type(method)) and not registry.is_builtin(type(method)):
        raise BenchmarkError(
            f"The method '{method.name}' needs the oracle, which only built-in reference rows may see."
        )


def task_info(task: Task, passed: dict[str, Any]) -> TaskInfo:
    """Returns the task as a record shows it."""
    return TaskInfo(
        name=task.name,
        family=task.family.name,
        version=task.version,
        sha256=task.sha256(),
        config=task.model_dump(mode="json"),
        config_passed=passed,
    )


def method_info(method: Method, passed: dict[str, Any]) -> MethodInfo:
    """Returns the method as a record shows it."""
    return MethodInfo(
        name=method.name,
        role=method.role,
        source_sha256=_source_sha256(type(method)),
        distribution=registry.source(type(method)).distribution,
        config=method.model_dump(mode="json"),
        config_passed=passed,
    )


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


def _source_sha256(cls: type[Method]) -> str:
    """The hash of the files that define a method and the methods that it extends."""
    files = {inspect.getfile(base) for base in cls.__mro__ if issubclass(base, Method) and base is not Method}
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()
