"""Where a method or a task comes from: its file, its package, the hash of its source."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_PACKAGE = __package__.partition(".")[0]
PLUGIN_PREFIX = f"{_PACKAGE}_plugin_"
"""What the modules of plugin files are called, before a hash of the file's path."""


class Source(NamedTuple):
    """Where a registered class comes from."""

    path: Path
    """The file that defines it."""
    distribution: str
    """The package and version, or ``file``."""


def is_builtin(cls: type) -> bool:
    """Returns whether a class is part of the suite itself."""
    return cls.__module__.startswith(f"{_PACKAGE}.")


def source(cls: type) -> Source:
    """Returns where a registered class comes from."""
    path = Path(inspect.getfile(cls))
    root = cls.__module__.partition(".")[0]
    if root.startswith(PLUGIN_PREFIX):
        return Source(path, "file")
    if root == _PACKAGE:
        return Source(path, f"{root} {importlib.metadata.version(root)}")
    if root not in _distributions():
        # Installed since, as in a notebook that runs on.
        _distributions.cache_clear()
    name = _distributions().get(root, [root])[0]
    try:
        return Source(path, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return Source(path, f"{name} (not installed)")


def plugin_files(*classes: type) -> list[Path]:
    """Returns the files that a command needs with ``--plugin`` to know some classes, each file once."""
    files = [Path(inspect.getfile(cls)) for cls in classes if cls.__module__.startswith(PLUGIN_PREFIX)]
    return list(dict.fromkeys(files))


def imported_beside(file: Path) -> list[Path]:
    """Returns the files in a plugin file's folder that it imports, at any remove, as far as its text shows.

    What the standard library or an installed package is called is none of them.
    """
    folder, found, todo = file.resolve().parent, set[Path](), [file.resolve()]
    while todo:
        for name in _imported_names(todo.pop()):
            for beside in _beside(folder, name):
                if beside not in found:
                    found.add(beside)
                    todo.append(beside)
    return sorted(found - {file.resolve()})


def _imported_names(file: Path) -> set[str]:
    """The first parts of what a file imports; nothing if it is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    nodes = list(ast.walk(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


def _beside(folder: Path, name: str) -> list[Path]:
    """The files of a module in a folder, if it is not found elsewhere."""
    package = folder / name
    files = [folder / f"{name}.py"] if not (package / "__init__.py").is_file() else sorted(package.rglob("*.py"))
    if name in sys.stdlib_module_names or not files[0].is_file():
        return []
    elsewhere = importlib.machinery.PathFinder.find_spec(
        name, [path for path in sys.path if Path(path).resolve() != folder]
    )
    return [] if elsewhere else [path.resolve() for path in files]


def source_sha256(cls: type, base: type, *, suite: bool = True) -> str:
    """Returns the hash of the files that define a class and what it extends, and of what plugins' files import beside them.

    Args:
        cls: The class.
        base: Where it ends: this class and what it extends are left out.
        suite: Whether files of the suite count.
    """
    classes = [found for found in cls.__mro__ if issubclass(found, base) and found is not base]
    files = {Path(inspect.getfile(found)) for found in classes if suite or not is_builtin(found)}
    files |= {other for file in plugin_files(*classes) for other in imported_beside(file)}
    digest = hashlib.sha256()
    # By name before path, so that it does not depend on where packages lie.
    for file in sorted(files, key=lambda path: (path.name, path)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Looks through every installed package, which takes a third of a second, so once is enough."""
    return importlib.metadata.packages_distributions()
