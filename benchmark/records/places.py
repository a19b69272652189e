"""Where files lie: the environment variables that a user can set, and the folders that follow from them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BenchmarkError

ASSETS = "UNLEARNBENCH_ASSETS"
"""The one folder that tasks' files are looked for and written in, shipped or not."""
DATA = "UNLEARNBENCH_DATA"
"""The folder that holds copies of data sets, each in a folder of its own."""
CACHE = "XDG_CACHE_HOME"
OFFLINE = "HF_HUB_OFFLINE"
VARIABLES = ("UNLEARNBENCH_", CACHE, "HF_H")
"""How the names of all that decide where files come from begin; Hugging Face's libraries read more of theirs."""

SHIPPED_RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"
"""The records of the full suite that ship with the package."""
SHIPPED = Path(__file__).parents[2] / "tasks" / "assets"
"""The tasks' files that are part of the package."""


def cache_folder() -> Path:
    """Returns the folder for what can be made or fetched again: ``unlearnbench`` below ``$XDG_CACHE_HOME``."""
    try:
        above = Path(os.environ.get(CACHE) or Path.home() / ".cache")
    except RuntimeError:
        # A user that the system does not know, as in a container that was given a number.
        above = Path(tempfile.gettempdir()) / f"cache-of-{os.getuid()}"
    return above / "unlearnbench"


def assets_folder() -> Path | None:
    """Returns the folder that ``$UNLEARNBENCH_ASSETS`` names, or None if it names none."""
    return _named(ASSETS)


def data_folder() -> Path | None:
    """Returns the folder that ``$UNLEARNBENCH_DATA`` names, or None if it names none."""
    return _named(DATA)


def data_copy(*names: str) -> Path | None:
    """Returns the first of some folders below ``$UNLEARNBENCH_DATA`` that is there, or None."""
    above = data_folder()
    return next((above / name for name in names if (above / name).is_dir()), None) if above else None


def is_offline() -> bool:
    """Returns whether nothing may be fetched, as Hugging Face's libraries read ``$HF_HUB_OFFLINE``."""
    return os.environ.get(OFFLINE, "").lower() in ("1", "true", "yes", "on")


def anywhere() -> dict[str, str]:
    """Returns the variables that name folders, such that they name the same ones to a process that works in another folder."""
    named = {name: os.environ.get(name) for name in (ASSETS, DATA, CACHE)}
    return {name: str(Path(folder).absolute()) for name, folder in named.items() if folder}


def named_folder(path: str | Path) -> Path:
    """Returns a folder, or a file, that a user names in Python: ``~`` is the user's own folder there, too.

    Raises:
        BenchmarkError: It has a name that cannot be written down.
    """
    found = Path(path)
    with contextlib.suppress(RuntimeError):
        found = found.expanduser()
    try:
        str(found).encode()
    except UnicodeEncodeError:
        shown = str(found).encode(errors="replace").decode()
        raise BenchmarkError(f"The name of {shown} is no text in UTF-8; rename it or name another.") from None
    return found


def named_folders(paths: str | Path | Iterable[str | Path] | None) -> list[Path]:
    """Returns one or several of them."""
    some = [paths] if isinstance(paths, str | Path) else paths or ()
    return [named_folder(path) for path in some]


@contextmanager
def assets_only_in(folder: str | Path | None) -> Iterator[None]:
    """Makes every task find and write its files below one folder; None leaves things as they are."""
    if folder is None:
        yield
        return
    before = os.environ.get(ASSETS)
    os.environ[ASSETS] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ASSETS]
        else:
            os.environ[ASSETS] = before


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def model_filename(record: str) -> str:
    """Returns the path of the weights that are kept beside a record, from the record's path."""
    return record.removesuffix(".json") + ".model.safetensors"
