"""The columns of a board, each once: the site, the terminal, the page of results and the data files read this list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto

from ..benchmark.family import Quantity
from .ranking import Ranking
from .row import MOST_OF_RETRAINING, Row
from .text import COST_UNKNOWN, byte_size, from_to, judges, number, seconds, words
from .work import percent

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
        prose: Whether it holds words, which may wrap, too.
    """

    key: str
    title: str
    value: Callable[[Row], Value]
    text: Callable[[Row], str]
    where: Where
    hint: str = ""
    share: bool = False
    names: bool = False
    prose: bool = False


def columns_of(board: Ranking, where: Where) -> list[Column]:
    """Returns the columns of a board that are shown somewhere, in order; what no row of it was measured by has none."""
    parts = [_component(part.key, part.meaning) for part in board.track.components]
    if parts:
        parts.append(
            _component("utility", "One minus the largest share of a gate's margin, beyond its noise, that is used up")
        )
    known = [quantity for quantity in board.track.columns if any(row.metric(quantity.name) for row in board.rows)]
    measured = [column for quantity in known for column in _measured(quantity)]
    shown = [column for column in (*_FIRST, *parts, *measured, *_LAST) if column.where & where]
    # Where all rows share a device, the page says it once.
    several = len(board.devices) > 1 or where not in (Where.SITE, Where.PAGE)
    return [column for column in shown if several or column.key != _DEVICES.key]


def _data(key: str, value: Callable[[Row], Value], hint: str = "") -> Column:
    return Column(key, words(key), value, lambda row: str(value(row)), Where.DATA, hint)


def _component(key: str, meaning: str) -> Column:
    def value(row: Row) -> float | None:
        return row.component(key)

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


def rank_text(row: Row) -> str:
    """Returns a row's rank with the ranks that the data allow, as every board shows it."""
    if row.rank is None or row.last_rank is None:
        return "ref" if row.role == "reference" else "–"
    # Of fewer requests than others' the data allow little, and one rank out of it would say too much.
    one = row.rank == row.last_rank or row.lacking
    return ranks_between(row) if one else f"{row.rank} ({ranks_between(row)})"


def ranks_between(row: Row) -> str:
    """Returns the ranks alone that the data allow."""
    return str(row.rank) if row.rank == row.last_rank else f"{row.rank}–{row.last_rank}"


def _seeds_of(row: Row) -> dict[str, int]:
    """How many seeds each request was run with."""
    return {request: sum(case.request == request for case in row.cases) for request in row.requests}


def _runs(row: Row) -> str:
    """Requests times seeds, with what is missing and what failed."""
    seeds = sorted(set(_seeds_of(row).values()))
    each = "–".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    return f"{row.share_of_requests} × {each}" + (f", {len(row.failures)} failed" if row.failures else "")


def _devices(row: Row) -> str:
    return "; ".join(row.devices)


def _time(row: Row) -> str:
    """In reference steps where those were timed; seconds mean nothing without the device, which stands beside them."""
    if row.cost_unknown:
        return COST_UNKNOWN
    if row.time_in_steps is not None:
        return f"{row.time_in_steps:,.0f} train steps"
    return seconds(row.unlearn_seconds)


def _retraining(row: Row) -> str:
    return COST_UNKNOWN if row.cost_unknown else "–" if row.retraining is None else str(row.retraining)


def _gates(row: Row) -> str:
    return "; ".join(gate.split()[0] for gate in row.failed_gates) or "–"


_DEVICES = Column(
    "devices",
    "Device",
    _devices,
    _devices,
    Where.SITE | Where.HEAD | Where.PAGE | Where.DATA,
    "Where it ran: seconds and memory are compared within one device alone",
    prose=True,
)
_FIRST = (
    Column(
        "rank",
        "Rank",
        lambda row: row.rank,
        rank_text,
        Where.TABLES | Where.HEAD | Where.DATA,
        "One more than the rows that are better beyond doubt; in brackets the ranks that the data allow",
    ),
    Column("method", "Method", lambda row: row.method, lambda row: row.name, Where.TABLES | Where.DATA, names=True),
    Column(
        "settings_from",
        "Settings",
        lambda row: row.settings,
        lambda row: row.settings,
        Where.SITE | Where.PAGE | Where.HEAD | Where.DATA,
        "Tuned by the same number of trials for every method, the paper's own, or set by hand",
        prose=True,
    ),
    _data("settings", lambda row: row.config, "What was set of the method, where it is not the defaults"),
    _data("role", lambda row: row.role, "Method, reference row or cheat"),
    _data("own", lambda row: int(row.own), "1 of rows that do not ship with the suite"),
    Column(
        "score",
        "Score",
        lambda row: row.score,
        lambda row: number(row.score),
        Where.TABLES | Where.HEAD | Where.DATA,
        "Geometric mean of the components times the utility, mean over requests and seeds",
        share=True,
    ),
    Column(
        "ci_low",
        "95 %",
        lambda row: row.interval.low if row.interval else None,
        lambda row: from_to(row.interval),
        Where.TABLES | Where.HEAD | Where.DATA,
        "Interval of the score over requests and seeds",
    ),
    _data("ci_high", lambda row: row.interval.high if row.interval else None, "The upper end of the score's interval"),
)
_LAST = (
    _count("steps", "Steps", "Steps that the method took"),
    _count("forward_passes", "Forwards", "Calls of the model, its frozen copies included"),
    _count("backward_passes", "Backwards", "Gradients that flowed into the model's outputs"),
    Column(
        "retraining",
        "Retraining",
        lambda row: row.retraining.value if row.retraining else None,
        _retraining,
        Where.TABLES | Where.HEAD | Where.DATA,
        f"Samples through the network, backwards twice, as a share of retraining; above {percent(MOST_OF_RETRAINING)} no rank",
    ),
    _data(
        "retraining_about",
        lambda row: int(row.retraining is not None and row.retraining.about),
        "1 where the record lacks the samples that pass backwards: an estimate",
    ),
    Column(
        "unlearn_seconds",
        "Time",
        lambda row: row.unlearn_seconds,
        _time,
        Where.TABLES | Where.HEAD | Where.DATA,
        "Median time of all that touches forget or retain data, in training steps of the same machine where those were timed",
    ),
    _data(
        "time_in_steps",
        lambda row: row.time_in_steps,
        "The time in training steps that the same process timed",
    ),
    Column(
        "peak_bytes",
        "Memory",
        lambda row: row.peak_bytes,
        lambda row: byte_size(row.peak_bytes),
        Where.SITE | Where.HEAD | Where.PAGE | Where.DATA,
        "Largest size while unlearning: of the GPU's allocator, or of the process",
    ),
    _DEVICES,
    Column(
        "runs", "Runs", lambda row: len(row.cases), _runs, Where.TABLES | Where.HEAD | Where.DATA, "Requests × seeds"
    ),
    _data("requests", lambda row: "; ".join(row.requests), "What was to be forgotten, each in turn"),
    _data(
        "requests_lacking", lambda row: "; ".join(row.lacking), "Requests that other rows of the board were run with"
    ),
    _data("failed_runs", lambda row: len(row.failures), "Runs that failed, which count 0"),
    Column(
        "gates_failed",
        "Gates failed",
        lambda row: "; ".join(row.failed_gates),
        _gates,
        Where.PAGE | Where.DATA,
        "Limits on utility that were broken in one run at least",
    ),
)
