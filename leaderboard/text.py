"""Numbers as the board shows them."""

from __future__ import annotations

from collections.abc import Sequence

from ..benchmark.metrics.intervals import Interval


def number(value: float | None, digits: int = 3) -> str:
    """Returns a number as the site shows it; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """Returns a duration as the site shows it."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if value < 10 else f"{value:,.0f} s"


COST_UNKNOWN = "cost unknown"
"""In place of the time of weights that were made elsewhere."""


def byte_size(value: int | None) -> str:
    """Returns a size as the site shows it."""
    return "–" if value is None else f"{value / 2**20:,.0f} MiB"


def judges(values: Sequence[float]) -> str:
    """Returns a metric's values, one a judge; a dash for none."""
    return " / ".join(number(value, 1 if value >= 10 else 3) for value in values) or "–"


def from_to(interval: Interval | None) -> str:
    """Returns an interval of scores; a dash for none."""
    return "–" if interval is None else f"{interval.low:.2f}–{interval.high:.2f}"


def words(name: str) -> str:
    """Returns a metric's name in words."""
    return name.replace("_", " ")


def level(value: float | None) -> int:
    """Returns a value in [0, 1] in tenths, for shading."""
    return 0 if value is None else round(10 * min(1.0, max(0.0, value)))
