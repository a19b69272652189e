"""How a method declares what a search may set of it: beside the type of a field, whose default stays the paper's value."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel


@dataclass(frozen=True)
class LogRange:
    """Values between two ends, by their logarithm: of a rate, a weight, a count."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuses ends that no logarithm lies between.

        Raises:
            ValueError: They are not positive or not in order.
        """
        if not 0 < self.low < self.high:
            raise ValueError(f"a LogRange needs 0 < low < high, and not {self.low} and {self.high}")


@dataclass(frozen=True)
class Range:
    """Values between two ends, all alike."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuses ends that nothing lies between.

        Raises:
            ValueError: They are not in order.
        """
        if not self.low < self.high:
            raise ValueError(f"a Range needs low < high, and not {self.low} and {self.high}")


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Refuses what leaves no choice.

        Raises:
            ValueError: There are fewer than two values.
        """
        if len(self.values) < 2:
            raise ValueError("a Choice needs two values at least")


Dimension = LogRange | Range | Choice

Rate = Annotated[float, LogRange(1e-5, 1e-2)]
"""Adam's learning rate: the same range for every method, so that no search has an easier one."""
Steps = Annotated[int, LogRange(10, 300)]
"""Steps: the same range for every method."""


def search_space(method: type[BaseModel]) -> dict[str, Dimension]:
    """Returns what a method's fields declare, by name."""
    found = {}
    for name, field in method.model_fields.items():
        declared = [part for part in field.metadata if isinstance(part, Dimension)]
        if declared:
            found[name] = declared[-1]
    return found


def is_whole(method: type[BaseModel], name: str) -> bool:
    """Returns whether a field holds whole numbers."""
    kind = method.model_fields[name].annotation
    return kind is int or int in typing.get_args(kind)
