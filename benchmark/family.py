"""What a family of tasks is: what is measured, how it is scored, and what a method may cost. Nothing here needs PyTorch.

A family is one declaration. The evaluation's report, the task's identity, the score, the guard, the terminal and the board
all read it, so that none of them has a case for any metric, and a family of a plugin is ranked like a built-in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

from .records.record import NAME_PATTERN

Direction = Literal["max", "min", "match", "info"]
_QUANTITY_NAME = r"[a-z][a-z0-9_]{0,63}"
"""What a record takes as a metric's name."""
_OWN_KEYS = ("score", "utility")
"""What a score has beside its components."""


class Margin(NamedTuple):
    """How much worse a number may get before the guard calls it worse."""

    value: float
    relative: bool = False
    """Whether it is a share of the baseline's value."""

    def __str__(self) -> str:
        return f"{self.value:.1%}" if self.relative else f"{self.value:g}"


@dataclass(frozen=True)
class Quantity:
    """Something that is measured; each measurement of it is a record's ``Metric``.

    Attributes:
        name: As in records, such as ``forget_accuracy``.
        direction: Whether more is better, less is better, or closer to the oracle; ``info`` enters no score.
        title: The heading of its column.
        hint: One sentence for the reader.
        short: Its heading where a table has little room, and the sign that it belongs there; empty to leave it out.
        less_favourable: Which of two judges' values is the one to show where there is room for one.
        headline: Whether ``run`` prints it.
        margin: How much worse it may get; None takes the gate's share, or a tenth.
        by_label: Whether there is one value a class, its label in the record.
        mean_of: The ``by_label`` quantity of which this is the mean over classes.
        worst_of: The ``by_label`` quantity of which this is the worst value, with that class as its label.
        variants: Whether names that go on behind an underscore are this quantity under other circumstances.
    """

    name: str
    direction: Direction
    title: str = ""
    hint: str = ""
    short: str = ""
    less_favourable: Literal["max", "min"] = "max"
    headline: bool = False
    margin: Margin | None = None
    by_label: bool = False
    mean_of: Quantity | None = None
    worst_of: Quantity | None = None
    variants: bool = False


@dataclass(frozen=True)
class Component:
    """A part of the score: how far a quantity has gone from the original's value (0) to the oracle's (1).

    Attributes:
        key: Short name, a column of the board.
        quantity: What is scored; several judges' values are scored one by one and averaged.
        kind: To ``reach`` the oracles' mean is full marks, and to go beyond it is no better and no worse. To be ``alike``
            costs on both sides, in units of the spread between the oracles: within two of them is full marks, as far as the
            original is none, and in between the logarithm decides. A ``match`` costs on both sides, in proportion; for a
            ``distance``, less than the oracle's own is fine. A ``goal`` does without an oracle and is reached at a fixed
            value, of which more or less of the quantity leads.
        meaning: One sentence for the reader.
        goal: The value at which a ``goal`` is reached.
    """

    key: str
    quantity: Quantity
    kind: Literal["reach", "alike", "match", "distance", "goal"]
    meaning: str
    goal: float = 0.0

    def __post_init__(self) -> None:
        """Refuses a goal that nothing leads to.

        Raises:
            ValueError: Neither more nor less of a goal's quantity is better.
        """
        if self.kind == "goal" and self.quantity.direction not in ("max", "min"):
            raise ValueError(f"a goal of '{self.quantity.name}' needs a quantity of which more or less is better")


@dataclass(frozen=True)
class Gate:
    """A limit on what a method may cost in utility.

    Attributes:
        quantity: What is limited, every judge's value of it; more or less of it has to be better.
        margin: How far it may fall behind the worse of original and oracle, or behind the original alone on a track
            without an oracle.
        relative: Whether the margin and the noise are shares of that reference.
        noise: How far sampling alone takes it in two evaluations out of a hundred; that far behind costs nothing.
    """

    quantity: Quantity
    margin: float
    relative: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what has no better side, and a margin that noise alone uses up.

        Raises:
            ValueError: Neither more nor less of the quantity is better, or the margin is no wider than the noise.
        """
        if self.quantity.direction not in ("max", "min"):
            raise ValueError(f"a gate on '{self.quantity.name}' needs a quantity of which more or less is better")
        if not 0 <= self.noise < self.margin:
            raise ValueError(f"a gate on '{self.quantity.name}' needs a margin that is wider than its noise")

    def describe(self, oracle: bool = True) -> str:
        """Returns the gate as one line; without an oracle it is measured from the original."""
        sign, compare = ("-", "at least") if self.quantity.direction == "max" else ("+", "at most")
        amount = f"{self.margin:.0%} of it" if self.relative else f"{self.margin:g}"
        free = f"{self.noise:.0%}" if self.relative else f"{self.noise:g}"
        reference = "the worse of original and oracle" if oracle else "the original"
        limit = f"{self.quantity.name} {compare} {reference} {sign} {amount}"
        return f"{limit} ({free} is noise)" if self.noise else limit


@dataclass(frozen=True)
class Track:
    """One scoring of a family. Tracks are never merged.

    The score of a run is the geometric mean of its components times its utility. A component counts as a hundredth at
    least, so that one of them alone never decides. Utility is one minus the largest share of a gate's margin, beyond its
    noise, that the run uses up.

    Attributes:
        components: What the score is made of.
        gates: What utility is made of.
        columns: The quantities that the board shows, in order.
        destination: The ``by_label`` quantity that tells what the samples show.
        name: What the score asks, where a family is asked more than one thing.
    """

    components: tuple[Component, ...]
    gates: tuple[Gate, ...]
    columns: tuple[Quantity, ...] = ()
    destination: Quantity | None = None
    name: str = ""

    @property
    def oracle(self) -> bool:
        """Whether scores are relative to an oracle."""
        return any(part.kind != "goal" for part in self.components)

    @property
    def scored(self) -> tuple[Quantity, ...]:
        """What the score reads, each quantity once."""
        parts = [part.quantity for part in self.components] + [gate.quantity for gate in self.gates]
        return tuple(dict.fromkeys(parts))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All that the track reads, each quantity once."""
        destination = [self.destination] if self.destination else []
        return tuple(dict.fromkeys([*self.scored, *self.columns, *destination]))

    def problems(self) -> Iterator[str]:
        """Yields why nothing could be scored by it."""
        if not self.components:
            yield "has a track without a component"
        shown = [quantity.name for quantity in self.columns]
        for key in _twice([*(part.key for part in self.components), *shown, *_OWN_KEYS]):
            yield f"has two columns '{key}'"


@dataclass(frozen=True)
class Family:
    """A family of tasks.

    Attributes:
        name: As in records, such as ``class-forgetting``.
        quantities: All that its evaluations measure.
        tracks: How runs are scored; none, and its boards have no scores.
    """

    name: str
    quantities: tuple[Quantity, ...]
    tracks: tuple[Track, ...] = ()

    def __post_init__(self) -> None:
        """Refuses a declaration that contradicts itself, or of which a record would not hold a name.

        Raises:
            ValueError: A name is not valid or stands for two things, or something is read that is not declared.
        """
        problem = next(chain(self._names(), self._read(), *(track.problems() for track in self.tracks)), None)
        if problem is not None:
            raise ValueError(f"the family '{self.name}' {problem}")

    def _names(self) -> Iterator[str]:
        if not re.fullmatch(NAME_PATTERN, self.name):
            yield "needs a name of lower-case letters, digits and hyphens"
        for quantity in self.quantities:
            if not re.fullmatch(_QUANTITY_NAME, quantity.name):
                yield f"has a quantity '{quantity.name}', whose name should be lower-case letters, digits and underscores"
        for name in _twice([quantity.name for quantity in self.quantities]):
            yield f"declares the quantity '{name}' twice"
        for name in _twice([track.name for track in self.tracks]):
            yield f"has two tracks named '{name}'"

    def _read(self) -> Iterator[str]:
        of_classes = [of for quantity in self.quantities for of in (quantity.mean_of, quantity.worst_of) if of]
        of_classes += [track.destination for track in self.tracks if track.destination]
        for quantity in (*(quantity for track in self.tracks for quantity in track.quantities), *of_classes):
            if quantity not in self.quantities:
                yield f"reads '{quantity.name}' without declaring it"
        for quantity in of_classes:
            if not quantity.by_label:
                yield f"reads '{quantity.name}' class by class, and it has no value a class"

    def quantity(self, name: str) -> Quantity:
        """Returns what a metric of a record measures.

        Raises:
            KeyError: The family declares no such quantity.
        """
        found = self.find(name)
        if found is None:
            raise KeyError(f"the family '{self.name}' declares no quantity '{name}'")
        return found

    def find(self, name: str) -> Quantity | None:
        """Returns what a metric of a record measures, or None if the family does not declare it, as of an older release."""
        for quantity in self.quantities:
            if quantity.name == name:
                return quantity
        varied = [
            quantity for quantity in self.quantities if quantity.variants and name.startswith(f"{quantity.name}_")
        ]
        return max(varied, key=lambda quantity: len(quantity.name), default=None)


def _twice(names: Sequence[str]) -> list[str]:
    """The names that occur more than once."""
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
