"""How much a method's score hangs on each of its settings: what a search tried, from the file that it left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.errors import BenchmarkError
from ...benchmark.running.tuned import SHIPPED, Found, read_settings, settings_path

WIDTH, HEIGHT = 260, 170
LEFT, RIGHT, TOP, BOTTOM = 36, 12, 10, 36
_DECADE = 10.0
"""Values of a setting that span more than this are laid out by their logarithm."""


class Dot(NamedTuple):
    """A trial."""

    x: float
    y: float
    best: bool
    """Whether it has the settings that were found."""
    title: str


class Panel(NamedTuple):
    """The score against one setting."""

    setting: str
    dots: list[Dot]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


class Search(NamedTuple):
    """What was tried for a method on a task."""

    found: Found
    panels: list[Panel]


def search_of(task: str, method: str, folder: Path = SHIPPED) -> Search | None:
    """Returns what a search tried, or None where there was none.

    Args:
        task: Its name.
        method: Its name.
        folder: Where the tasks' files of settings are.
    """
    try:
        found = read_settings(settings_path(folder, task)).methods.get(method)
    except BenchmarkError:
        return None
    if found is None:
        return None
    names = sorted({name for trial in found.history for name in trial.settings})
    return Search(found, [_panel(name, found) for name in names])


def _panel(name: str, found: Found) -> Panel:
    trials = [trial for trial in found.history if name in trial.settings]
    values = [trial.settings[name] for trial in trials]
    places, ticks = _places(values)
    dots = [
        Dot(
            x,
            _up(trial.score),
            trial.settings == found.settings,
            f"{name} = {_text(trial.settings[name])}: score {trial.score:.3f}, {_request(trial.request)}seed {trial.seed}",
        )
        for x, trial in zip(places, trials, strict=True)
    ]
    return Panel(name, dots, ticks, [(_up(share), f"{share:g}") for share in (0, 0.5, 1)])


def _request(request: dict[str, Any]) -> str:
    return "".join(f"{key} {value}, " for key, value in sorted(request.items()))


def _up(score: float) -> float:
    return TOP + (1 - score) * (HEIGHT - TOP - BOTTOM)


def _places(values: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where values stand from left to right, and the marks: by size where they are numbers, else one place a value."""
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        kinds = sorted({_text(value) for value in values})
        at = {kind: _across((index + 0.5) / len(kinds)) for index, kind in enumerate(kinds)}
        return [at[_text(value)] for value in values], [(at[kind], kind) for kind in kinds]
    low, high = min(values), max(values)
    if low > 0 and high / low > _DECADE:
        share = [math.log(value / low) / math.log(high / low) for value in values]
        middle = math.sqrt(low * high)
    else:
        share = [(value - low) / (high - low) if high > low else 0.5 for value in values]
        middle = (low + high) / 2
    ends = [(0.0, low), (0.5, middle), (1.0, high)] if high > low else [(0.5, low)]
    return [_across(one) for one in share], [(_across(at), f"{value:.3g}") for at, value in ends]


def _across(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
