"""Loads somebody else's code: whatever it raises becomes one sentence."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from .errors import BenchmarkError, placed_line
from .origin import PLUGIN_PREFIX, imported_beside

_Loaded = TypeVar("_Loaded")
_SOURCE = "__unlearnbench_source__"
"""The name in a plugin's module of its source's hash."""


def guarded(load: Callable[[], _Loaded], what: str, *files: Path) -> _Loaded:
    """Returns what a call returns.

    Args:
        load: The call.
        what: What it loads, for the message.
        files: Whose line is named where the call ends early.

    Raises:
        BenchmarkError: It raises anything.
    """
    try:
        return load()
    # A plugin is somebody else's code: whatever it raises while loading is its author's to mend, in one sentence.
    except (Exception, SystemExit) as error:
        untyped = re.match(r"A non-annotated attribute was detected: `(\w+) = ", str(error))
        if untyped:
            name = untyped[1]
            raise BenchmarkError(
                f"{what} cannot be loaded: the setting '{name}' has no type; write it as `{name}: float = …`."
            ) from error
        raise BenchmarkError(f"{what} cannot be loaded: {placed_line(error, *files)}.") from error


def check_file(path: Path) -> None:
    """Raises if there is no plugin file.

    Raises:
        BenchmarkError: There is not.
    """
    if not path.is_file():
        raise BenchmarkError(f"There is no plugin file {path}.")


def loaded_file(path: Path) -> ModuleType:
    """Returns a plugin file as a module: the same one each time, until the file or what it imports beside it is edited.

    Raises:
        BenchmarkError: There is no such file, or it cannot be loaded.
    """
    check_file(path)
    return guarded(lambda: _load_file(path), f"The plugin file {path}", path)


def _load_file(path: Path) -> ModuleType:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"{PLUGIN_PREFIX}{digest}"
    beside = imported_beside(path)
    source = hashlib.sha256(b"\0".join(file.read_bytes() for file in (path, *beside))).hexdigest()
    loaded = sys.modules.get(name)
    # In a notebook the file may have been edited since.
    if loaded is not None and vars(loaded)[_SOURCE] == source:
        return loaded
    for stale in [key for key, one in sys.modules.items() if _file_of(one) in beside]:
        del sys.modules[stale]
    for file in (path, *beside):
        # Python takes compiled code for that of a file which was edited within the same second and kept its length.
        with contextlib.suppress(OSError):
            Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    vars(module)[_SOURCE] = source
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if beside and folder not in sys.path:
        # At the end: what is installed comes first, wherever the command was called from.
        sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Whatever ended it, half a module must not pass for the whole when it is asked for again.
        del sys.modules[name]
        raise
    return module


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None
