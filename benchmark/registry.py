"""Finds methods, tasks and families: built-ins, entry points and plugin files take the same path.

Names are known without importing anything: a built-in's name is its file's, an entry point's is its own. What a name
stands for is loaded when it is asked for, so one broken plugin never hides the others.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from .errors import BenchmarkError, unknown_name
from .families import Families
from .family import Family
from .method import Method
from .needs import Need
from .plugin_files import guarded, loaded_file
from .records.places import named_folders
from .records.record import NAME_PATTERN, TaskInfo
from .task import Task

_PACKAGE = __package__.partition(".")[0]

Plugin = TypeVar("Plugin", bound=Method | Task)


class Registry(Generic[Plugin]):
    """The registered classes of one kind.

    Args:
        base: What the plugins subclass.
        kind: What to call one in a message.
        folder: The package below the root that holds the built-ins, one a file; also the entry-point group.
        accept: Called with each class that is registered; raises what is wrong with it.
    """

    def __init__(
        self, base: type[Plugin], kind: str, folder: str, accept: Callable[[type[Plugin]], None] = lambda cls: None
    ) -> None:
        self._base = base
        self._kind = kind
        self._accept = accept
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
        loaded = guarded(self._lazy()[name], f"The {self._kind} '{name}'")
        found = self._classes(loaded) if isinstance(loaded, ModuleType) else [loaded]
        named = [cls for cls in found if cls.name == name]
        if len(named) != 1:
            raise BenchmarkError(
                f"The {self._kind} '{name}' should be one class with name = '{name}', but its file defines "
                f"{', '.join(repr(cls.name) for cls in found) or 'none'}."
            )
        self._accept(named[0])
        self._loaded[name] = named[0]
        return named[0]

    def add_file(self, path: Path, beside: Iterable[Path] = ()) -> list[str]:
        """Registers all that a plugin file defines and returns the names.

        Args:
            path: The file.
            beside: The files that are named with it, which may not define the same names. Of a file that was named earlier
                in this process this one takes the place.

        Raises:
            BenchmarkError: The file does not exist, raises, defines nothing of this kind, or a name is taken.
        """
        others = {str(file.resolve()) for file in beside} - {str(path.resolve())}
        classes = self._classes(loaded_file(path))
        for cls in classes:
            if not re.fullmatch(NAME_PATTERN, str(cls.name)):
                raise BenchmarkError(
                    f"The {self._kind} name '{cls.name}' of {path} is not valid; use lower-case letters, digits and hyphens."
                )
            other = self._loaded.get(cls.name)
            if (
                other is not None and str(Path(inspect.getfile(other)).resolve()) in others
            ) or cls.name in self._lazy():
                raise BenchmarkError(f"The {self._kind} name '{cls.name}' of {path} is taken; choose another.")
            self._accept(cls)
            self._loaded[cls.name] = cls
        return [cls.name for cls in classes]

    def faults(self, path: Path) -> list[str]:
        """Returns what the classes of a plugin file lack to be registered."""
        found = []
        for cls in self._own(loaded_file(path)):
            lacking = [*sorted(cls.__abstractmethods__), *(["name"] * (not hasattr(cls, "name")))]
            if lacking:
                found.append(f"its class {cls.__name__} lacks {' and '.join(f'`{name}`' for name in lacking)}")
        return found

    def built_in_modules(self, names: Iterable[str]) -> list[str]:
        """Returns the modules of the built-ins among some names, without loading anything."""
        modules = self._builtins
        return [modules[name] for name in dict.fromkeys(names) if name in modules]

    def _lazy(self) -> dict[str, Callable[[], ModuleType | type[Plugin]]]:
        if self._loaders is None:
            # Built-ins come second and win: no package can take the place of one.
            self._loaders = {point.name: point.load for point in importlib.metadata.entry_points(group=self._package)}
            for name, module in self._builtins.items():
                self._loaders[name] = partial(importlib.import_module, module)
        return self._loaders

    @functools.cached_property
    def _builtins(self) -> dict[str, str]:
        """The modules of the built-ins by name."""
        return {path.stem.replace("_", "-"): f"{self._package}.{path.stem}" for path in self._folder.glob("[a-z]*.py")}

    def _classes(self, module: ModuleType) -> list[type[Plugin]]:
        return [cls for cls in self._own(module) if not inspect.isabstract(cls) and hasattr(cls, "name")]

    def _own(self, module: ModuleType) -> list[type[Plugin]]:
        """A module's own classes of this kind, whole or not."""
        return [
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls) and issubclass(cls, self._base) and cls.__module__ == module.__name__
        ]


families = Families()
methods: Registry[Method] = Registry(Method, "method", "methods")
tasks: Registry[Task] = Registry(Task, "task", "tasks", families.add_of)


def family_of(task: TaskInfo) -> Family | None:
    """Returns the family of a record's task, or None if it is not known here, as that of a plugin file that was not named."""
    # What is broken in somebody's package is no reason to show nothing of the records.
    with contextlib.suppress(BenchmarkError):
        found = families.find(task.family)
        if found is None and task.name in tasks.names():
            # An installed package's task brings its family with it.
            tasks.get(task.name)
            found = families.find(task.family)
        return found
    return None


def add_plugin(path: Path, beside: Iterable[Path] = ()) -> list[str]:
    """Registers the methods, tasks and families of a plugin file, and returns the names of its methods and tasks.

    Args:
        path: The file.
        beside: See ``Registry.add_file``.

    Raises:
        BenchmarkError: The file cannot be loaded or defines none of them.
    """
    declared = families.add_file(path)
    names = methods.add_file(path, beside) + tasks.add_file(path, beside)
    if not names and not declared:
        raise BenchmarkError(
            f"The plugin file {path} defines no Method and no Task that is whole, with a `name`, and no "
            f"Family{lacking_in(path)}."
        )
    return names


def lacking_in(path: Path) -> str:
    """Returns what the classes of a plugin file lack to be methods or tasks, as the end of a sentence."""
    faults = [*methods.faults(path), *tasks.faults(path)]
    return f": {'; '.join(faults)}" if faults else ""


def defines_only_methods(path: Path) -> bool:
    """Returns whether a plugin file that is registered brings nothing that tasks are made of."""
    return not (families.add_file(path) or tasks.add_file(path))


def add_plugins(paths: str | Path | Iterable[str | Path]) -> None:
    """Registers all that some plugin files define, of which no two may define the same name.

    Raises:
        BenchmarkError: See ``add_plugin``.
    """
    files = named_folders(paths)
    for path in files:
        add_plugin(path, files)


def asks_for_oracle(method: type[Method]) -> bool:
    """Returns whether a method is the privileged row that stands for retraining."""
    return Need.ORACLE in method.needs
