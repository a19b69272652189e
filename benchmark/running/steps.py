"""How far a method is, told while it runs, without a message from its process: the clock would count what one takes."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import sharedctypes
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..measuring.counts import Meter

LOOK_SECONDS = 0.25
"""Between two looks at the count."""


class Step(NamedTuple):
    """How far a method is."""

    number: int
    """Steps that it began."""
    of: int | None
    """How many there will be, where that is known."""


TellStep = Callable[[Step], None]
"""Told how far a method is, some four times a second."""


class SharedCount:
    """Two numbers in memory that a method's process and its worker share: one writes them, the other looks."""

    def __init__(self) -> None:
        self._numbers = sharedctypes.RawArray("q", 2)
        self._seen = 0

    def write(self, meter: Meter) -> None:
        """Takes a meter's count over, in less than a microsecond."""
        self._numbers[0] = meter.steps
        self._numbers[1] = meter.planned or 0

    def news(self) -> Step | None:
        """Returns the count if it is another than at the last look."""
        number, of = self._numbers
        if number == self._seen:
            return None
        self._seen = number
        return Step(number, of if of >= number else None)
