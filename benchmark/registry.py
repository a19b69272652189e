"""Finds methods, tasks and families: built-ins, entry points and plugin files take the same path.

Names are known without importing anything: a built-in's name is its file's, an entry point's is its own. What a name
stands for is loaded when it is asked for, so one broken plugin never hides the others.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from .errors import BenchmarkError, first_line, unknown_name
from .family import Family
from .method import Method
from .needs import Need
from .origin import PLUGIN_PREFIX
from .records.record import NAME_PATTERN
from .task import Task

_PACKAGE = __package__.partition(".")[0]

Plugin = TypeVar("Plugin", bound=Method | Task)
_Loaded = TypeVar("_Loaded")


class Registry(Generic[Plugin]):
    """The registered classes of one kind.

    Args:
        base: What the plugins subclass.
        kind: What to call one in a message.
        folder: The package below the root that holds the built-ins, one a file; also the entry-point group.
    """

    def __init__(self, base: type[Plugin], kind: str, folder: str) -> None:
        self._base = base
        self._kind = kind
        self._package = f"{_PACKAGE}.{folder}"
        self._loaded: dict[str, type[Plugin]] = {}
        self._loaders: dict[str, Callable[[], ModuleType | type[Plugin]]] | None = None
        self._folder = Path(__file__).parents[1] / folder

    def names(self) -> list[str]:
        """Returns the registered names, sorted, without loading what they stand for."""
        return sorted({*self._lazy(), *self._loaded})

    def is_builtin(self, name: str) -> bool:
        """Returns whether a name is that of a part of the suite itself, without loading anything."""
        return name in self._builtins

    def check(self, name: str) -> None:
        """Raises if nothing is registered under a name, without loading anything.

        Raises:
            BenchmarkError: Nothing is; the message says what is close.
        """
        if name not in self._loaded and name not in self._lazy():
            unknown = unknown_name(self._kind, name, self.names())
            raise BenchmarkError(f"{unknown} One in a file of your own is found with --plugin FILE.")

    def get(self, name: str) -> type[Plugin]:
        """Returns the class that a name stands for.

        Raises:
            BenchmarkError: Nothing is registered under it (the message says what is close), or it cannot be loaded.
        """
        self.check(name)
        if name in self._loaded:
            return self._loaded[name]
        loaded = self._guarded(self._lazy()[name], f"The {self._kind} '{name}'")
        found = self._classes(loaded) if isinstance(loaded, ModuleType) else [loaded]
        named = [cls for cls in found if cls.name == name]
        if len(named) != 1:
            raise BenchmarkError(
                f"The {self._kind} '{name}' should be one class with name = '{name}', but its file defines "
                f"{', '.join(repr(cls.name) for cls in found) or 'none'}."
            )
        self._loaded[name] = named[0]
        return named[0]

    def add_file(self, path: Path) -> list[str]:
        """Registers all that a plugin file defines and returns the names.

        Raises:
            BenchmarkError: The file does not exist, raises, defines nothing of this kind, or a name is taken.
        """
        if not path.is_file():
            raise BenchmarkError(f"There is no plugin file {path}.")
        module = self._guarded(lambda: _load_file(path), f"The plugin file {path}")
        classes = self._classes(module)
        for cls in classes:
            if not re.fullmatch(NAME_PATTERN, str(cls.name)):
                raise BenchmarkError(
                    f"The {self._kind} name '{cls.name}' of {path} is not valid; use lower-case letters, digits and hyphens."
                )
            other = self._loaded.get(cls.name)
            if (other is not None and inspect.getfile(other) != inspect.getfile(cls)) or cls.name in self._lazy():
                raise BenchmarkError(f"The {self._kind} name '{cls.name}' of {path} is taken; choose another.")
            self._loaded[cls.name] = cls
        return [cls.name for cls in classes]

    def _lazy(self) -> dict[str, Callable[[], ModuleType | type[Plugin]]]:
        if self._loaders is None:
            # Built-ins come second and win: no package can take the place of one.
            self._loaders = {point.name: point.load for point in importlib.metadata.entry_points(group=self._package)}
            for name, module in self._builtins.items():
                self._loaders[name] = partial(importlib.import_module, f"{self._package}.{module}")
        return self._loaders

    @functools.cached_property
    def _builtins(self) -> dict[str, str]:
        return {path.stem.replace("_", "-"): path.stem for path in self._folder.glob("[a-z]*.py")}

    def _classes(self, module: ModuleType) -> list[type[Plugin]]:
        return [
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls)
            and issubclass(cls, self._base)
            and not inspect.isabstract(cls)
            and cls.__module__ == module.__name__
            and hasattr(cls, "name")
        ]

    def _guarded(self, load: Callable[[], _Loaded], what: str) -> _Loaded:
        try:
            return load()
        # A plugin is somebody else's code: whatever it raises while loading is its author's to mend, in one sentence.
        except (Exception, SystemExit) as error:
            raise BenchmarkError(f"{what} cannot be loaded: {first_line(error)}.") from error


class Families:
    """The families by name: a built-in's stands in ``family.py`` of its folder in ``tasks/``, a plugin's in its tasks."""

    def __init__(self) -> None:
        self._found: dict[str, Family] | None = None

    def find(self, name: str) -> Family | None:
        """Returns the family of a name, or None if no task that is known here is of it.

        Raises:
            BenchmarkError: A package's family cannot be loaded.
        """
        return self._all().get(name)

    def names(self) -> list[str]:
        """Returns the names of all families."""
        return sorted(self._all())

    def add(self, family: Family) -> None:
        """Registers a plugin's family.

        Raises:
            BenchmarkError: Another family has its name.
        """
        if self._all().setdefault(family.name, family) != family:
            raise BenchmarkError(f"The family name '{family.name}' is taken by another declaration; choose another.")

    def _all(self) -> dict[str, Family]:
        if self._found is None:
            declared = [
                importlib.import_module(f"{_PACKAGE}.tasks.{path.parent.name}.family").FAMILY
                for path in sorted((Path(__file__).parents[1] / "tasks").glob("*/family.py"))
            ]
            # Built-ins come last and win: no package can take the place of one.
            points = importlib.metadata.entry_points(group=f"{_PACKAGE}.families")
            self._found = {family.name: family for family in (*map(_load_family, points), *declared)}
        return self._found


def _load_family(point: importlib.metadata.EntryPoint) -> Family:
    try:
        family = point.load()
    # A plugin is somebody else's code: whatever it raises while loading is its author's to mend, in one sentence.
    except (Exception, SystemExit) as error:
        raise BenchmarkError(f"The family '{point.name}' cannot be loaded: {first_line(error)}.") from error
    if not isinstance(family, Family):
        raise BenchmarkError(f"The family '{point.name}' of {point.value} is no Family.")
    return family


methods: Registry[Method] = Registry(Method, "method", "methods")
tasks: Registry[Task] = Registry(Task, "task", "tasks")
families = Families()


def add_plugin(path: Path) -> list[str]:
    """Registers the methods and tasks of a plugin file and returns their names.

    Raises:
        BenchmarkError: The file cannot be loaded or defines neither.
    """
    added = tasks.add_file(path)
    for name in added:
        families.add(tasks.get(name).family)
    names = methods.add_file(path) + added
    if not names:
        raise BenchmarkError(f"The plugin file {path} defines no Method and no Task with a `name`.")
    return names


def asks_for_oracle(method: type[Method]) -> bool:
    """Returns whether a method is the privileged row that stands for retraining."""
    return Need.ORACLE in method.needs


def _load_file(path: Path) -> ModuleType:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"{PLUGIN_PREFIX}{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Whatever ended it, half a module must not pass for the whole when it is asked for again.
        del sys.modules[name]
        raise
    return module
