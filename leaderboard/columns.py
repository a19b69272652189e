"""The columns of a board, each once: the site, the terminal, the page of results and the data files read this list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto

from ..benchmark.family import Quantity
from .ranking import Ranking, Row
from .text import COST_UNKNOWN, byte_size, from_to, judges, number, seconds, words

Value = str | int | float | None


class Where(Flag):
    """Where a column is shown."""

    SITE = auto()
    """The site's ranked tables."""
    HEAD = auto()
    """The head of a row's own page."""
    TERMINAL = auto()
    PAGE = auto()
    """``docs/results.md``."""
    DATA = auto()
    """``board.csv`` and ``board.json``."""
    TABLES = SITE | TERMINAL | PAGE


@dataclass(frozen=True)
class Column:
    """A column of a board.

    Attributes:
        key: Its name in the data files.
        title: Its heading.
        value: What a row has in it, as data; tables are sorted by it.
        text: The same for a reader.
        where: Where it is shown.
        hint: One sentence for the reader.
        share: Whether its values lie between 0 and 1, where more is better, so that the site shades them.
        names: Whether it holds names, which may wrap.
    """

    key: str
    title: str
    value: Callable[[Row], Value]
    text: Callable[[Row], str]
    where: Where
    hint: str = ""
    share: bool = False
    names: bool = False


def columns_of(board: Ranking, where: Where) -> list[Column]:
    """Returns the columns of a board that are shown somewhere, in order; what no row of it was measured by has none."""
    parts = [_component(part.key, part.meaning) for part in board.track.components]
    if parts:
        parts.append(
            _component("utility", "One minus the largest share of a gate's margin, beyond its noise, that is used up")
        )
    known = [quantity for quantity in board.track.columns if any(row.metric(quantity.name) for row in board.rows)]
    measured = [column for quantity in known for column in _measured(quantity)]
    return [column for column in (*_FIRST, *parts, *measured, *_LAST) if column.where & where]


def _data(key: str, value: Callable[[Row], Value]) -> Column:
    return Column(key, words(key), value, lambda row: str(value(row)), Where.DATA)


def _component(key: str, meaning: str) -> Column:
    def value(row: Row) -> float | None:
        return row.component(key) if row.score is not None else None

    return Column(
        key, key.capitalize(), value, lambda row: number(value(row), 2), Where.SITE | Where.DATA, meaning, True
    )


def _measured(quantity: Quantity) -> list[Column]:
    """All judges' values; where there is little room, the less favourable of them."""
    name, title = quantity.name, quantity.title or words(quantity.name)

    def first(row: Row) -> float | None:
        return next(iter(row.metric(name)), None)

    def worse(row: Row) -> list[float]:
        pick = max if quantity.less_favourable == "max" else min
        return [pick(values)] if (values := row.metric(name)) else []

    found = [
        Column(name, title, first, lambda row: judges(row.metric(name)), Where.SITE | Where.PAGE, quantity.hint),
        _data(name, lambda row: " / ".join(f"{value:.6g}" for value in row.metric(name))),
    ]
    if quantity.short:
        found.append(Column(name, quantity.short, first, lambda row: judges(worse(row)), Where.TERMINAL))
    return found


def _count(key: str, title: str, hint: str) -> Column:
    def value(row: Row) -> int | None:
        return max((getattr(run.record.cost, key) for run in row.runs if run.record.cost is not None), default=None)

    def text(row: Row) -> str:
        largest = value(row)
        return "–" if largest is None else f"{largest:,}"

    return Column(key, title, value, text, Where.PAGE, hint)


def _rank(row: Row) -> str:
    return str(row.rank or ("ref" if row.role == "reference" else "–"))


def _seeds(row: Row) -> str:
    return f"{len(row.runs)} +{len(row.failures)} failed" if row.failures else str(len(row.runs))


def _gates(row: Row) -> str:
    return "; ".join(gate.split()[0] for gate in row.failed_gates) or "–"


_FIRST = (
    Column(
        "rank",
        "Rank",
        lambda row: row.rank,
        _rank,
        Where.TABLES | Where.HEAD | Where.DATA,
        "Methods that a paired test with Holm's correction does not separate share a rank",
    ),
    Column("method", "Method", lambda row: row.method, lambda row: row.name, Where.TABLES | Where.DATA, names=True),
    _data("settings", lambda row: row.config),
    _data("role", lambda row: row.role),
    Column(
        "score",
        "Score",
        lambda row: row.score,
        lambda row: number(row.score),
        Where.TABLES | Where.HEAD | Where.DATA,
        "Geometric mean of the components times the utility, mean over seeds",
        share=True,
    ),
    Column(
        "ci_low",
        "95 %",
        lambda row: row.interval.low if row.interval else None,
        lambda row: from_to(row.interval),
        Where.TABLES | Where.HEAD | Where.DATA,
        "Interval of the score over seeds",
    ),
    _data("ci_high", lambda row: row.interval.high if row.interval else None),
)
_LAST = (
    _count("steps", "Steps", "Steps that the method took"),
    _count("forward_passes", "Forwards", "Calls of the model, its frozen copies included"),
    _count("backward_passes", "Backwards", "Gradients that flowed into the model's outputs"),
    Column(
        "unlearn_seconds",
        "Time",
        lambda row: row.unlearn_seconds,
        lambda row: COST_UNKNOWN if row.cost_unknown else seconds(row.unlearn_seconds),
        Where.TABLES | Where.HEAD | Where.DATA,
        "Median time of everything that touches forget or retain data",
    ),
    Column(
        "peak_bytes",
        "Memory",
        lambda row: row.peak_bytes,
        lambda row: byte_size(row.peak_bytes),
        Where.SITE | Where.HEAD | Where.PAGE | Where.DATA,
        "Largest size while unlearning: of the GPU's allocator, or of the process",
    ),
    Column(
        "seeds", "Seeds", lambda row: len(row.runs), _seeds, Where.SITE | Where.TERMINAL | Where.DATA, "One run each"
    ),
    _data("failed_runs", lambda row: len(row.failures)),
    Column(
        "gates_failed",
        "Gates failed",
        lambda row: "; ".join(row.failed_gates),
        _gates,
        Where.PAGE | Where.DATA,
        "Limits on utility that were broken in one run at least",
    ),
)
