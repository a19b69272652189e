"""Writes the first file of a new method, which works as it stands, and its test."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from .. import registry
from ..errors import BenchmarkError, unknown_name
from ..records.files import write_atomically
from ..records.record import NAME_PATTERN

KINDS = ("method",)
_TEMPLATES = Path(__file__).parents[1] / "templates"
_IMPORTED = ("Adam", "Method", "Need", "Problem")


def write_new(kind: str, name: str, folder: Path) -> tuple[Path, Path]:
    """Writes a method's file and its test into a folder and returns their paths.

    Args:
        kind: ``method``.
        name: What the method is to be registered under.
        folder: Made if it is not there.

    Raises:
        BenchmarkError: The kind is unknown, the name is not valid or taken, or a file is there already.
    """
    if kind not in KINDS:
        raise unknown_name("thing to write", kind, KINDS)
    if not re.fullmatch(NAME_PATTERN, name):
        raise BenchmarkError(
            f"The method name '{name}' is not valid; use lower-case letters, digits and hyphens, such as my-idea."
        )
    if name in registry.methods.names():
        raise BenchmarkError(f"The method name '{name}' is taken; choose another.")
    stem = re.sub(r"[.-]", "_", name)
    method, test = folder / f"{stem}.py", folder / f"test_{stem}.py"
    for path in (method, test):
        if path.exists():
            raise BenchmarkError(f"The file {path} is there already; choose another name or folder.")
    if _is_module(stem):
        raise BenchmarkError(f"A file {method.name} would hide the Python module '{stem}'; choose another name.")
    filled = {"@NAME@": name, "@CLASS@": _class_name(stem), "@FILE@": method.name, "@TEST@": test.name}
    for path, template in ((method, "method.py.txt"), (test, "test.py.txt")):
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        for blank, value in filled.items():
            text = text.replace(blank, value)
        write_atomically(path, text.encode())
    return method, test


def _is_module(stem: str) -> bool:
    """Whether a file of this name would be imported in place of another, which does not lie beside it."""
    if stem in sys.stdlib_module_names:
        return True
    found = importlib.util.find_spec(stem)
    return found is not None and found.origin is not None and Path(found.origin).parent != Path.cwd()


def _class_name(stem: str) -> str:
    name = "".join(part.capitalize() for part in stem.split("_"))
    if name[:1].isdigit():
        name = f"M{name}"
    return f"{name}Method" if keyword.iskeyword(name) or name in _IMPORTED else name
