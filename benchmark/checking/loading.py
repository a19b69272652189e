"""Loads a trial's plugins and its method, and keeps apart what each file reached for.

Whoever writes a task may use all of the suite; whoever writes a method may not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .. import origin, registry
from ..errors import BenchmarkError
from ..method import Method
from ..running.identity import Configured, make_method
from ..task import Task
from . import fingerprint
from .audit import Ear
from .observation import Heard, Trial

FEW_STEPS = 6
"""What the setting ``steps`` is lowered to, so that a check takes seconds."""
_PACKAGE = __package__.partition(".")[0]
CLOSED = (f"{_PACKAGE}.tasks", f"{_PACKAGE}.leaderboard")
"""What methods have no business with."""

_Found = TypeVar("_Found")


class TaskInstead(Exception):
    """Where a method was looked for there is a task. Its argument is the task's name."""


class Loaded(NamedTuple):
    """A method, and what its file reached for while it was loaded."""

    method: Method
    task: Task | None
    """What it is tried on; None for the toy."""
    imports: list[str]
    """Modules that methods have no business with; none is held against a file that defines a task, too."""
    heard: list[Heard]
    beside_task: bool
    """Whether its file defines a task, too."""


class Loader:
    """Loads what a trial needs.

    Args:
        trial: What is run.
        ear: Listens while anything is loaded.
    """

    def __init__(self, trial: Trial, ear: Ear) -> None:
        self._trial = trial
        self._ear = ear
        self._by_file: dict[Path, tuple[list[str], list[Heard]]] = {}

    def load(self) -> Loaded:
        """Loads the plugins and the method.

        Raises:
            BenchmarkError: A file cannot be loaded, or the method cannot be found or configured.
            TaskInstead: The file or the name is that of a task.
        """
        trial = self._trial
        for path in dict.fromkeys([*trial.plugins, *([trial.file] if trial.file else [])]):
            _, imports, heard = self._listened(partial(self._add, path))
            self._by_file[path] = imports, heard
        if trial.task is not None:
            # What a task imports is not its methods' doing.
            registry.tasks.get(trial.task)
        (method, task), imports, heard = self._listened(self._configured)
        path = origin.source(type(method)).path
        if path not in self._by_file:
            return Loaded(method, task, imports, heard, False)
        imports, heard = self._by_file[path]
        beside_task = bool(registry.tasks.add_file(path))
        return Loaded(method, task, [] if beside_task else imports, heard, beside_task)

    def _add(self, path: Path) -> None:
        if path == self._trial.file and not registry.methods.add_file(path):
            for task in registry.tasks.add_file(path):
                raise TaskInstead(task)
            raise _not_one(path, [])
        registry.add_plugin(path)

    def _listened(self, load: Callable[[], _Found]) -> tuple[_Found, list[str], list[Heard]]:
        modules, before = set(sys.modules), len(self._ear.heard)
        self._ear.listening = "load"
        try:
            found = load()
        finally:
            self._ear.listening = "off"
        heard = self._ear.heard[before:]
        del self._ear.heard[before:]
        return found, fingerprint.new_modules(modules, CLOSED), heard

    def _configured(self) -> tuple[Method, Task | None]:
        name, settings = self._trial.name or self._only_method(), self._trial.settings
        if name in registry.tasks.names() and name not in registry.methods.names():
            raise TaskInstead(name)
        fields = registry.methods.get(name).model_fields
        default = fields["steps"].default if "steps" in fields else None
        if isinstance(default, int) and default > FEW_STEPS and "steps" not in settings:
            try:
                return self._made(name, {"steps": FEW_STEPS, **settings})
            except BenchmarkError:
                # Another setting may ask for more steps than these.
                return self._made(name, settings)
        return self._made(name, settings)

    def _made(self, name: str, settings: dict[str, Any]) -> tuple[Method, Task | None]:
        if self._trial.task is None:
            return make_method(name, settings), None
        pair = Configured.of(self._trial.task, name, settings)
        return pair.method, pair.task

    def _only_method(self) -> str:
        file = self._trial.file
        assert file is not None
        names = registry.methods.add_file(file)
        if len(names) != 1:
            raise _not_one(file, names)
        return names[0]


def _not_one(file: Path, names: list[str]) -> BenchmarkError:
    if not names:
        return BenchmarkError(
            f"The file {file} should define a method or a task to check and defines none{registry.lacking_in(file)}."
        )
    return BenchmarkError(
        f"The file {file} should define one method to check and defines {', '.join(names)}; "
        f"for one of several: unlearnbench check NAME --plugin {file.name}."
    )
