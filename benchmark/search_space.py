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

    def at(self, share: float) -> float:
        """Returns the value at a share of the way from end to end, by the logarithm."""
        return float(self.low * (self.high / self.low) ** share)


@dataclass(frozen=True)
class StepRange(LogRange):
    """Steps, from few to as many as the task's search tries: the same for every method."""


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
MOST_STEPS = 300
Steps = Annotated[int, StepRange(10, MOST_STEPS)]
"""Steps: the same range for every method on a task."""


def search_space(method: type[BaseModel], most_steps: int = MOST_STEPS) -> dict[str, Dimension]:
    """Returns what a method's fields declare, by name.

    Args:
        method: Its class.
        most_steps: The task's ``most_steps``.
    """
    found = {}
    for name, field in method.model_fields.items():
        declared = [part for part in field.metadata if isinstance(part, Dimension)]
        if declared:
            part = declared[-1]
            found[name] = StepRange(part.low, most_steps) if isinstance(part, StepRange) else part
    return found


def is_whole(method: type[BaseModel], name: str) -> bool:
    """Returns whether a field holds whole numbers."""
    kind = method.model_fields[name].annotation
    return kind is int or int in typing.get_args(kind)
