"""A comparison as tables: on the terminal, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape as escape_html
from typing import Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...benchmark.commands.consoles import say
from ...benchmark.metrics.intervals import Interval
from ..boards import cases_text
from ..markdown import code, markdown_table, plain
from ..ranks import SIGNIFICANCE
from ..text import COST_UNKNOWN, number, seconds
from ..work import percent
from .board_pairs import BoardPairs, Entry
from .pairs import POWER, Difference, Pair, TimeRatio

FOOTNOTE = (
    "Differences are the first method minus the second, paired over shared requests and seeds. Intervals are bootstrapped, "
    "each for its own number. p is of a paired t-test, after Holm's correction over the pairs of the board in this table; a "
    f"pair is told apart below {100 * SIGNIFICANCE:.0f} %. So many seeds as named would tell it apart {100 * POWER:.0f} % of "
    "the time if its difference and spread are what they seem here. Time is the ratio of the times of unlearning, on equal "
    "devices alone."
)
_ANY_WIDTH = 10_000
"""Characters; rich measures no table as wider than it is told the terminal is."""


class PairColumn(NamedTuple):
    """A column of a table of pairs."""

    title: str
    cell: Callable[[Pair], str]
    named: bool = False
    """Whether it holds names, which may wrap."""
    part: bool = False
    """Whether it is a component of the score."""


def _columns(board: BoardPairs) -> list[PairColumn]:
    parts = dict.fromkeys(part.name for pair in board.pairs for part in pair.parts if part.kind == "component")
    return [
        PairColumn("first", lambda pair: pair.first, named=True),
        PairColumn("second", lambda pair: pair.second, named=True),
        PairColumn("score", lambda pair: signed(pair.score)),
        PairColumn("95 %", lambda pair: span(pair.score.interval if pair.score else None)),
        PairColumn("p (Holm)", lambda pair: p_text(pair.p_holm)),
        PairColumn("runs", lambda pair: str(len(pair.cases))),
        PairColumn("verdict", lambda pair: pair.verdict, named=True),
        *(PairColumn(name, _part(name), part=True) for name in parts),
        PairColumn("time", lambda pair: ratio(pair.time)),
    ]


def _part(name: str) -> Callable[[Pair], str]:
    return lambda pair: signed(_found(pair, name))


def _found(pair: Pair, name: str) -> Difference | None:
    return next((part for part in pair.parts if part.kind == "component" and part.name == name), None)


def signed(difference: Difference | None, digits: int = 3) -> str:
    """Returns a difference with its sign; a dash for none."""
    return "–" if difference is None else _with_sign(difference.value, digits)


def span(interval: Interval | None, digits: int = 3) -> str:
    """Returns an interval of differences with signs; a dash for none."""
    return "–" if interval is None else f"{_with_sign(interval.low, digits)} to {_with_sign(interval.high, digits)}"


def _with_sign(value: float, digits: int) -> str:
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def p_text(p_value: float | None) -> str:
    """Returns a p-value; the smallest are not spelled out."""
    if p_value is None:
        return "–"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def ratio(time: TimeRatio | None) -> str:
    """Returns a ratio of times; a dash for none."""
    if time is None:
        return "–"
    return f"×{time.value:.2f}" if 0.01 <= time.value < 1000 else f"×{time.value:.1e}"


def print_tables(console: Console, boards: Sequence[BoardPairs]) -> None:
    """Prints a table a board; a narrow terminal gets none of the score's components, and verdicts below the names."""
    for board in boards:
        say(console, f"{board.title} · {board.device}", style="bold")
        columns = _columns(board)
        tables = [
            _table(board, columns),
            _table(board, [column for column in columns if not column.part]),
            _table(board, _NARROW),
        ]
        whole = console.options.update(max_width=_ANY_WIDTH)
        fitting = (table for table in tables if console.measure(table, options=whole).maximum <= console.width)
        console.print(next(fitting, tables[-1]))
        for note in board.notes:
            say(console, note)
    say(console, FOOTNOTE, style="dim")


def _names_and_verdict(pair: Pair) -> str:
    return "\n  ".join([f"{pair.first} – {pair.second}", *pair.verdict.replace("; ", ";\n").splitlines()])


_NARROW = (
    PairColumn("pair, and verdict", _names_and_verdict, named=True),
    PairColumn("score", lambda pair: signed(pair.score, 2)),
    PairColumn("95 %", lambda pair: span(pair.score.interval if pair.score else None, 2)),
    PairColumn("p", lambda pair: p_text(pair.p_holm)),
    PairColumn("runs", lambda pair: str(len(pair.cases))),
    PairColumn("time", lambda pair: ratio(pair.time)),
)
"""What 80 characters hold."""


def _table(board: BoardPairs, columns: Sequence[PairColumn]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "left" if column.named else "right"
        table.add_column(column.title, justify=justify, no_wrap=not column.named, overflow="fold")
    for pair in board.pairs:
        table.add_row(*(escape(column.cell(pair)) for column in columns))
    return table


def markdown(boards: Sequence[BoardPairs]) -> str:
    """Returns a section a board: who takes part, the pairs, and all other numbers folded away."""
    return "\n".join([*(line for board in boards for line in _markdown(board)), FOOTNOTE, ""])


def _markdown(board: BoardPairs) -> list[str]:
    columns = _columns(board)
    pairs = [[_cell(column, pair) for column in columns] for pair in board.pairs]
    return [
        f"### {plain(board.title)}",
        "",
        f"{plain(board.device)}, task `{board.task_sha256[:10]}`",
        "",
        markdown_table(*_rows_table(board)),
        "",
        markdown_table([column.title for column in columns], pairs),
        "",
        *(line for note in board.notes for line in (f"> {plain(note)}", "")),
        "<details><summary>Every number</summary>",
        "",
        markdown_table(*_all_numbers(board)),
        "",
        "</details>",
        "",
    ]


def _cell(column: PairColumn, pair: Pair) -> str:
    if column.title == "verdict" and pair.better:
        return f"**{plain(pair.verdict)}**"
    return code(column.cell(pair)) if column.title in ("first", "second") else plain(column.cell(pair))


def _rows_table(board: BoardPairs) -> tuple[list[str], list[list[str]]]:
    several = len(board.devices) > 1
    rows = [
        [
            code(row.name),
            _rank(row),
            number(row.score),
            "–" if row.interval is None else f"{row.interval.low:.2f} to {row.interval.high:.2f}",
            plain(cases_text(row.cases)) + (f" ({row.failed_runs} failed)" if row.failed_runs else ""),
            "–" if row.retraining is None else percent(row.retraining),
            COST_UNKNOWN if row.cost_unknown else seconds(row.unlearn_seconds),
            *([plain("; ".join(row.devices))] if several else []),
        ]
        for row in board.rows
    ]
    titles = ["method", "rank", "score", "95 %", "seeds", "of retraining", "time", *(["device"] if several else [])]
    return titles, rows


def _rank(row: Entry) -> str:
    if row.rank_range is None:
        return "not ranked" if row.role == "method" else row.role
    first, last = row.rank_range
    return str(first) if first == last else f"{first} ({first}–{last})"


def _all_numbers(board: BoardPairs) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            code(pair.first),
            code(pair.second),
            part.name,
            f"{part.first:.4g}",
            f"{part.second:.4g}",
            _short(part.value),
            "–" if part.interval is None else f"{_short(part.interval.low)} to {_short(part.interval.high)}",
        ]
        for pair in board.pairs
        for part in ([pair.score] if pair.score else []) + pair.parts
    ]
    return ["first", "second", "number", "first's", "second's", "difference", "95 %"], rows


def _short(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def html(boards: Sequence[BoardPairs]) -> str:
    """Returns the pairs' tables as a piece of HTML, for a notebook."""
    parts = []
    for board in boards:
        columns = _columns(board)
        head = "".join(f"<th>{escape_html(column.title)}</th>" for column in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape_html(column.cell(pair))}</td>" for column in columns) + "</tr>"
            for pair in board.pairs
        )
        notes = "".join(f"<p>{escape_html(note)}</p>" for note in board.notes)
        title = f"<h4>{escape_html(board.title)} · {escape_html(board.device)}</h4>"
        parts.append(f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}")
    return f"<div>{''.join(parts)}<p><small>{FOOTNOTE}</small></p></div>"
