"""Finds families of tasks by name: built-ins, entry points and plugin files. Nothing here needs PyTorch."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

from .errors import BenchmarkError
from .family import Family
from .plugin_files import guarded, loaded_file
from .task import Task

_PACKAGE = __package__.partition(".")[0]


class Families:
    """The families by name.

    A built-in's stands in ``family.py`` of its folder in ``tasks/``. A plugin's stands in its file, by itself or as its
    task's ``family``; a package's has an entry point in the group ``unlearnbench.families``, or comes with its task's.
    """

    def __init__(self) -> None:
        self._known: dict[str, Family] | None = None
        self._declared_in: dict[str, str] = {}
        self._points: dict[str, importlib.metadata.EntryPoint] = {}

    def built_in(self) -> list[Family]:
        """Returns the suite's own families, by name."""
        folders = sorted(path.parent.name for path in (Path(__file__).parents[1] / "tasks").glob("*/family.py"))
        declared = [importlib.import_module(f"{_PACKAGE}.tasks.{folder}.family").FAMILY for folder in folders]
        return sorted(declared, key=lambda family: family.name)

    def find(self, name: str) -> Family | None:
        """Returns the family of a name, or None if it is not known here.

        Raises:
            BenchmarkError: A package has it and cannot be loaded.
        """
        known = self._all()
        # Built-ins come first: no package can take the place of one.
        if name not in known and name in self._points:
            known[name] = _load_family(self._points[name])
        return known.get(name)

    def add(self, family: Family, where: str) -> None:
        """Registers a plugin's family.

        Args:
            family: The family.
            where: Who declares it, for the message.

        Raises:
            BenchmarkError: Another family has its name.
        """
        known = self._all()
        if self._declared_in.get(family.name) == where:
            # The file was edited since.
            known[family.name] = family
        elif known.setdefault(family.name, family) == family:
            self._declared_in.setdefault(family.name, where)
        else:
            raise BenchmarkError(
                f"The family '{family.name}' of {where} is declared differently elsewhere; choose another name, or share "
                "one declaration."
            )

    def add_file(self, path: Path) -> list[str]:
        """Registers the families that a plugin file declares by themselves, and returns their names.

        Raises:
            BenchmarkError: The file cannot be loaded, or another family has a name.
        """
        declared = [value for value in vars(loaded_file(path)).values() if isinstance(value, Family)]
        for family in declared:
            self.add(family, str(path))
        return [family.name for family in declared]

    def add_of(self, task: type[Task]) -> None:
        """Registers a task's family.

        Raises:
            BenchmarkError: It has none, or another family has its name.
        """
        family = getattr(task, "family", None)
        if not isinstance(family, Family):
            raise BenchmarkError(f"The task '{task.name}' needs a `family` that is a Family; see docs/protocol.md.")
        self.add(family, f"the task '{task.name}'")

    def _all(self) -> dict[str, Family]:
        if self._known is None:
            self._known = {family.name: family for family in self.built_in()}
            points = importlib.metadata.entry_points(group=f"{_PACKAGE}.families")
            self._points = {point.name: point for point in points}
        return self._known


def _load_family(point: importlib.metadata.EntryPoint) -> Family:
    family = guarded(point.load, f"The family '{point.name}'")
    if not isinstance(family, Family) or family.name != point.name:
        raise BenchmarkError(f"The family '{point.name}' should be a Family of that name, and {point.value} is none.")
    return family
