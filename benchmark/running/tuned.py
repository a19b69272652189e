"""What searches found: one file of settings a task, as data. Nothing here needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import BenchmarkError
from ..records.files import about, write_atomically
from ..records.record import Finite, Name, Sha256

SHIPPED = Path(__file__).parents[2] / "tasks" / "settings"
"""The files that are part of the package."""
OWN = Path("settings")
"""The folder that ``tune`` writes to and ``run`` looks in first, in the working folder."""
MODES = ("tuned", "paper")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Tuned(_Part):
    """The settings that a run takes from a search."""

    settings: dict[str, Any]
    """Of the method, those that were searched or held fixed."""
    trials: int
    """Trials of the search."""
    source_sha256: Sha256
    """Of the method's file at the time."""


class Trial(_Part):
    """One setting that was tried on one request."""

    settings: dict[str, Any]
    """Of the method, those that were searched."""
    request: dict[str, Any]
    """What was forgotten."""
    seed: int
    """Of the run."""
    score: Finite
    """The board's own score of it; zero for a run that failed or cost more than is ranked."""
    harm: Finite | None = None
    """The largest share of a gate's margin that it used, from one on nothing scores; null where it could not be judged."""
    share: Finite | None = None
    """Its work as a share of retraining; null where the run did not end."""
    status: str = "ok"
    """How the run ended."""


class Found(_Part):
    """What a search found for one method on one task."""

    settings: dict[str, Any]
    """The best, of the method's searched fields, and what was held fixed."""
    trials: Annotated[int, Field(ge=1)]
    """Settings that were tried."""
    score: Finite
    """The best's mean over the requests that it was tried on."""
    paper_score: Finite
    """The same of the method's own defaults."""
    seconds: Finite
    """What the search took, evaluations included."""
    source_sha256: Sha256
    """Of the method's file."""
    history: list[Trial]
    """All that was tried, in order."""

    def tuned(self) -> Tuned:
        """Returns what a run takes of it."""
        return Tuned(settings=self.settings, trials=self.trials, source_sha256=self.source_sha256)


class SettingsFile(_Part):
    """The settings of one task."""

    task: Name
    """Its name."""
    methods: dict[Name, Found] = {}
    """What was found, by method."""


def settings_path(folder: Path, task: str) -> Path:
    """Returns the file of a task's settings in a folder."""
    return folder / f"{task}.json"


def read_settings(path: Path) -> SettingsFile:
    """Reads a file of settings.

    Raises:
        BenchmarkError: It is not there, cannot be read, or is no such file.
    """
    try:
        return SettingsFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BenchmarkError(
            f"There is no file {path} of settings; `unlearnbench tune` writes one, or say tuned or paper."
        ) from None
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror}; name a file that `tune` wrote.") from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "its beginning"
        raise BenchmarkError(
            f"{path} is no file of settings{about(path)}, at '{place}': {problem['msg']}; name one that `tune` wrote."
        ) from None


def keep_found(path: Path, task: str, method: str, found: Found) -> None:
    """Writes what a search found into a task's file, beside what is there of other methods."""
    known = read_settings(path) if path.is_file() else SettingsFile(task=task)
    methods = dict(sorted({**known.methods, method: found}.items()))
    data = known.model_copy(update={"methods": methods}).model_dump_json(indent=1)
    write_atomically(path, data.encode() + b"\n")


def found_settings(task: str, file: Path | None = None) -> dict[str, Found]:
    """Returns what searches found on a task, by method: in a file, else in the working folder's and then the package's.

    Raises:
        BenchmarkError: A file cannot be read, or is another task's.
    """
    if file is not None:
        known = read_settings(file)
        if known.task != task:
            raise BenchmarkError(
                f"{file} holds settings of '{known.task}', and not of '{task}'; name that task's file."
            )
        return known.methods
    paths = [path for folder in (SHIPPED, OWN) if (path := settings_path(folder, task)).is_file()]
    return {method: found for path in paths for method, found in read_settings(path).methods.items()}


def tuned_for(pairs: Iterable[tuple[str, str]], settings: str | Path) -> Mapping[tuple[str, str], Tuned]:
    """Returns the settings that a search found, for those pairs of a task and a method that have some.

    Args:
        pairs: What is to be run.
        settings: ``tuned``, ``paper`` for none, or a file of one task.

    Raises:
        BenchmarkError: See ``found_settings``.
    """
    if settings == "paper":
        return {}
    wanted = list(dict.fromkeys(pairs))
    file = None if settings == "tuned" else Path(settings)
    known = {task: found_settings(task, file) for task in dict.fromkeys(task for task, _ in wanted)}
    return {(task, method): known[task][method].tuned() for task, method in wanted if method in known[task]}
