"""Suites: which methods run on which tasks with which seeds, as TOML files."""

from __future__ import annotations

import json
import tomllib
from numbers import Real
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import registry
from ..errors import BenchmarkError, unknown_name
from .tuned import Tuned, tuned_for

_BUILT_IN = Path(__file__).parents[1] / "suites"


class Request(NamedTuple):
    """One method on one task with some seeds, as a user asks for it."""

    task: str
    method: str
    seeds: list[int]
    settings: dict[str, Any]
    """``--set`` pairs, of the task and of the method alike."""
    by_name: bool = True
    """Whether the method was named, and not found by ``*``: a broken plugin that nobody asked for stops nothing."""
    weights: Path | None = None
    """Weights to evaluate instead of running anything; ``method`` is then what to call them."""
    tuned: Tuned | None = None
    """What a search found for the method on the task; taken where nothing of the method is set."""
    short: bool = False
    """Whether the evaluation is that of a search's trials."""
    most_work: float | None = None
    """Where a run ends that takes more, see ``Meter.work``."""
    requests: Literal["one", "all"] = "one"
    """Whether what the settings say is to be forgotten, or each of the task's standard requests in turn."""


class Block(BaseModel):
    """Every task of a block runs with every method and every seed."""

    model_config = ConfigDict(extra="forbid")

    tasks: list[str]
    methods: list[str]
    """``["*"]`` stands for all registered methods."""
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    settings: dict[str, dict[str, Any]] = {}
    """Settings by the name of a task or a method."""
    requests: Literal["one", "all"] = "one"
    """See ``Request``."""


class Suite(BaseModel):
    """A suite."""

    model_config = ConfigDict(extra="forbid")

    description: str
    runs: list[Block]

    def requests(self) -> list[Request]:
        """Returns what to run, reference rows first so that every score can be computed early.

        Raises:
            BenchmarkError: Settings are given for a task or a method that is not run.
        """
        found = []
        for block in self.runs:
            methods = registry.methods.names() if block.methods == ["*"] else block.methods
            for name in block.settings:
                if name not in (*block.tasks, *methods):
                    raise unknown_name("task or method of this suite", name, (*block.tasks, *methods))
            for task in block.tasks:
                for method in sorted(methods, key=lambda name: name not in ("original", "oracle")):
                    settings = {**block.settings.get(task, {}), **block.settings.get(method, {})}
                    by_name = block.methods != ["*"]
                    found.append(Request(task, method, block.seeds, settings, by_name, requests=block.requests))
        return found


def suite_names() -> list[str]:
    """Returns the names of the built-in suites."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Reads a built-in suite or a TOML file.

    Raises:
        BenchmarkError: There is neither, or the file is not a suite.
    """
    path = _BUILT_IN / f"{name}.toml" if name in suite_names() else Path(name)
    if not path.is_file():
        raise unknown_name("suite", name, suite_names())
    try:
        found = Suite.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} is not a TOML file: {error}.") from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise BenchmarkError(f"{path} is not a suite at '{place}': {problem['msg']}.") from None
    if not found.requests():
        raise BenchmarkError(f"The suite {path} has nothing to run; add [[runs]] with tasks, methods and seeds.")
    return found


def plain(request: Request) -> Request:
    """Returns a request as JSON has it, so that what a notebook gives names the same run as what a command line does.

    Raises:
        BenchmarkError: A seed is not a whole number from 0, or a setting is nothing that JSON has.
    """
    settings = {key: _plain_value(key, value) for key, value in request.settings.items()}
    return request._replace(seeds=[_plain_seed(seed) for seed in request.seeds], settings=settings)


def with_tuned(requests: list[Request], settings_from: str | Path) -> list[Request]:
    """Returns requests with what searches found for their methods, which plans take where nothing of a method is set.

    Raises:
        BenchmarkError: See ``tuned.found_settings``.
    """
    searched = [request.weights is None and not request.short for request in requests]
    pairs = [(request.task, request.method) for request, is_one in zip(requests, searched, strict=True) if is_one]
    found = tuned_for(pairs, settings_from)
    return [
        request._replace(tuned=found.get((request.task, request.method))) if is_one else request
        for request, is_one in zip(requests, searched, strict=True)
    ]


def _plain_seed(seed: Any) -> int:
    is_number = isinstance(seed, Real) and not isinstance(seed, bool)
    if not is_number or seed % 1 != 0 or seed < 0:
        raise BenchmarkError(f"{seed!r} is no seed; give whole numbers from 0.")
    return int(seed)


def _plain_value(key: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, default=_as_python))
    except (TypeError, ValueError, AttributeError):
        raise BenchmarkError(f"The setting '{key}' cannot be {value!r}: settings are what JSON has.") from None


def _as_python(value: Any) -> Any:
    """A path as a text, NumPy's and PyTorch's numbers and arrays as Python's."""
    return str(value) if isinstance(value, PurePath) else value.tolist()
