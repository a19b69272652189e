"""Writes the first file of a new method or task, which works as it stands, and its test."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import registry
from ..command_line import command
from ..errors import BenchmarkError, unknown_name
from ..records.files import write_atomically
from ..records.record import NAME_PATTERN
from .picture_folder import look

_TEMPLATES = Path(__file__).parents[1] / "templates"


class Written(NamedTuple):
    """What was written."""

    file: Path
    test: Path
    next: list[str]
    """The commands that come after."""


class _Kind(NamedTuple):
    registered: registry.Registry[Any]
    example: str
    imported: tuple[str, ...]
    """Names that the template imports."""
    blanks: Callable[[str], Mapping[str, str]]
    """What else the template has blanks for, by the name."""
    next: Callable[[str, Path], list[str]]
    """The commands that come after, by name and file."""


def _after_task(name: str, file: Path) -> list[str]:
    rehearsal = {"rehearsal": True}
    return [
        command("prepare", name, settings=rehearsal, plugins=[file]),
        command("check", str(file), settings=rehearsal),
    ]


KINDS = {
    "method": _Kind(
        registry.methods,
        "my-idea",
        ("Adam", "Method", "Need", "Problem"),
        lambda name: {},
        lambda name, file: [command("check", str(file))],
    ),
    "task": _Kind(
        registry.tasks,
        "my-pictures",
        ("DataSet", "Sampler", "SmallClassForgetting", "TrainingRecipe"),
        lambda name: look(name).blanks(),
        _after_task,
    ),
}


def write_new(kind: str, name: str, folder: Path) -> Written:
    """Writes a file and its test into a folder.

    Args:
        kind: ``method`` or ``task``.
        name: What the method or task is to be registered under.
        folder: Made if it is not there.

    Raises:
        BenchmarkError: The kind is unknown, the name is not valid or taken, or a file is there already.
    """
    if kind not in KINDS:
        raise unknown_name("thing to write", kind, KINDS)
    registered, example, imported, blanks, following = KINDS[kind]
    if not re.fullmatch(NAME_PATTERN, name):
        raise BenchmarkError(
            f"The {kind} name '{name}' is not valid; use lower-case letters, digits and hyphens, such as {example}."
        )
    if name in registered.names():
        raise BenchmarkError(f"The {kind} name '{name}' is taken; choose another.")
    stem = re.sub(r"[.-]", "_", name)
    file, test = folder / f"{stem}.py", folder / f"test_{stem}.py"
    for path in (file, test):
        if path.exists():
            raise BenchmarkError(f"The file {path} is there already; choose another name or folder.")
    if _is_module(stem):
        raise BenchmarkError(f"A file {file.name} would hide the Python module '{stem}'; choose another name.")
    filled = {"NAME": name, "CLASS": _class_name(stem, kind, imported), "FILE": file.name, "TEST": test.name}
    for path, template in ((file, f"{kind}.py.txt"), (test, f"{kind}_test.py.txt")):
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        for blank, value in {**blanks(name), **filled}.items():
            text = text.replace(f"@{blank}@", value)
        write_atomically(path, text.encode())
    return Written(file, test, following(name, file))


def _is_module(stem: str) -> bool:
    """Whether a file of this name would be imported in place of another, which does not lie beside it."""
    if stem in sys.stdlib_module_names:
        return True
    found = importlib.util.find_spec(stem)
    return found is not None and found.origin is not None and Path(found.origin).parent != Path.cwd()


def _class_name(stem: str, kind: str, imported: tuple[str, ...]) -> str:
    name = "".join(part.capitalize() for part in stem.split("_"))
    if name[:1].isdigit():
        name = f"{kind[0].upper()}{name}"
    return f"{name}{kind.capitalize()}" if keyword.iskeyword(name) or name in imported else name
