"""Geometry of the forest plot of paired differences, one SVG; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import write_atomically
from ..site.plots import Tick
from ..templating import make_environment
from .board_pairs import BoardPairs
from .pairs import Pair
from .tables import p_text, signed, span

PLOT_WIDTH, NAMES_WIDTH, NUMBERS_WIDTH, EDGE, GAP = 320, 150, 214, 16, 14
"""Of the names at least; the legend below the axis needs them."""
HEAD, LINE, ROW, AXIS = 52, 16, 44, 34
_CHARACTER = 7.4
"""A character's width in pixels at the plot's text size, averaged over a name, in a wide font's bold."""
_LONGEST = 56
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
_MOST_TICKS = 6


@dataclass(frozen=True)
class Figure:
    """An SVG picture that a notebook shows inline.

    Attributes:
        svg: The picture's source.
    """

    svg: str

    def save(self, path: str | Path) -> Path:
        """Writes the picture and returns where.

        Raises:
            BenchmarkError: The name does not end in ``.svg``, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise BenchmarkError(f"A plot is an SVG file, and '{path}' does not end in .svg; name it {path.stem}.svg.")
        write_atomically(path, self.svg.encode())
        return path

    def _repr_svg_(self) -> str:
        return self.svg


class Line(NamedTuple):
    """A pair on the plot."""

    y: float
    """The middle, in pixels."""
    first: str
    second: str
    winner: int
    """1 or 2 where the pair is separated, else 0."""
    x: float | None
    low: float
    high: float
    """Ends of the interval, in pixels."""
    numbers: str
    verdict: str
    title: str


class Section(NamedTuple):
    """A board on the plot."""

    top: float
    bottom: float
    title: str
    device: str
    lines: list[Line]


def forest_plot(boards: Sequence[BoardPairs]) -> Figure:
    """Draws each pair's difference of scores with its interval, board below board, on one scale."""
    names = [name for board in boards for pair in board.pairs for name in (pair.first, f"− {pair.second}")]
    left = EDGE + max(NAMES_WIDTH, min(_LONGEST, max(map(len, names))) * _CHARACTER) + GAP
    scale = _Scale(boards, left)
    width = left + PLOT_WIDTH + GAP + NUMBERS_WIDTH + EDGE
    sections, top = [], float(EDGE)
    for board in boards:
        section = _section(board, top, scale, width)
        sections.append(section)
        top = section.bottom + AXIS
    picture = (
        make_environment(Path(__file__).parent / "templates")
        .get_template("forest.svg.j2")
        .render(
            width=round(width),
            height=round(top + LINE + EDGE),
            edge=EDGE,
            numbers=left + PLOT_WIDTH + GAP,
            zero=scale.across(0.0),
            ticks=scale.ticks,
            sections=sections,
            title="Paired differences of scores: " + "; ".join(board.title for board in boards),
        )
    )
    return Figure(picture)


class _Scale:
    """From a difference to pixels, with room for every interval and for zero."""

    def __init__(self, boards: Sequence[BoardPairs], left: float) -> None:
        scores = [pair.score for board in boards for pair in board.pairs if pair.score is not None]
        ends = [end for score in scores for end in (score.value, *(score.interval or ()))]
        low, high = min(0.0, -0.02, *ends), max(0.0, 0.02, *ends)
        step = next((step for step in _STEPS if (high - low) / step <= _MOST_TICKS - 1), _STEPS[-1])
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        self._left: float = left
        self._low, self._span = first * step, (last - first) * step
        digits = 2 if round(step * 100) % 10 else 1
        self.ticks = [Tick(self.across(i * step), _tick_text(i * step, digits)) for i in range(first, last + 1)]

    def across(self, value: float) -> float:
        return self._left + float((value - self._low) / self._span) * PLOT_WIDTH


def _tick_text(value: float, digits: int) -> str:
    return "0" if abs(value) < 1e-9 else f"{value:+.{digits}f}".replace("-", "−")


def _section(board: BoardPairs, top: float, scale: _Scale, width: float) -> Section:
    room = int((width - 2 * EDGE) / _CHARACTER)
    lines = [_line(pair, top + HEAD + ROW * (index + 0.5), scale) for index, pair in enumerate(board.pairs)]
    bottom = top + HEAD + ROW * len(board.pairs)
    # The title is set larger than the rest.
    return Section(top, bottom, _cut(board.title, int(room * 0.8)), _cut(board.device, room), lines)


def _line(pair: Pair, y: float, scale: _Scale) -> Line:
    full = f"{pair.first} minus {pair.second}"
    names = (_cut(pair.first, _LONGEST), _cut(f"− {pair.second}", _LONGEST))
    if pair.score is None:
        return Line(y, *names, 0, None, 0.0, 0.0, "–", pair.verdict, f"{full}: {pair.verdict}")
    value = pair.score.value
    low, high = pair.score.interval or (value, value)
    if pair.better is not None:
        p_value = p_text(pair.p_holm)
        said = f"p {p_value.replace('<', '< ')}" if p_value.startswith("<") else f"p = {p_value}"
    else:
        said = "the same on every seed" if pair.needed is None else f"{pair.needed} would tell"
    winner = 0 if pair.better is None else 1 if value > 0 else 2
    numbers = f"{signed(pair.score)} ({span(pair.score.interval)})"
    title = f"{full}: {numbers}; {pair.verdict}"
    return Line(y, *names, winner, scale.across(value), scale.across(low), scale.across(high), numbers, said, title)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
