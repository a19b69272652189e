"""The picture that stands beside a link to the site: its name, what it is about, and the best rows of a board."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ..ranking import Ranking
from ..row import Row
from ..text import number

WIDTH, HEIGHT = 1200, 630
"""What services that show such pictures ask for."""
BARS = 5
_CLAIM = "Which methods make a generative model forget?"
_PAGE, _INK, _SOFT, _BAR, _BRAND, _TROUGH = "#161719", "#eceae6", "#a5a19a", "#2f7cc4", "#8fbcf0", "#2a2d31"
_SCALE = 2
"""Drawn larger and made smaller, so that edges are smooth."""
_LEFT, _BARS_LEFT, _BARS_RIGHT, _TOP, _PITCH, _THICK = 72, 400, 1040, 306, 52, 26


class _Pen(NamedTuple):
    """Draws in the picture's own units."""

    draw: ImageDraw.ImageDraw

    def text(self, x: float, y: float, text: str, size: int, colour: str, anchor: str = "lm") -> None:
        self.draw.text((x * _SCALE, y * _SCALE), text, colour, ImageFont.load_default(size * _SCALE), anchor=anchor)

    def width(self, text: str, size: int) -> float:
        return ImageFont.load_default(size * _SCALE).getlength(text) / _SCALE

    def bar(self, left: float, top: float, right: float, bottom: float, colour: str, radius: float = 0) -> None:
        box = [side * _SCALE for side in (left, top, max(right, left + 2 * radius), bottom)]
        self.draw.rounded_rectangle(box, radius * _SCALE, colour)


def preview(rankings: Sequence[Ranking]) -> bytes:
    """Returns the picture as PNG, the same bytes for the same boards."""
    image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAGE)
    pen = _Pen(ImageDraw.Draw(image))
    pen.text(_LEFT, 92, "unlearnbench", 34, _BRAND)
    pen.text(_LEFT, 162, _CLAIM, 46, _INK)
    found = best_board(rankings)
    if found is not None:
        board, rows = found
        _bars(pen, board, rows)
    pen.text(_LEFT, 590, "Weights alone are judged, beside models that were retrained without the data.", 21, _SOFT)
    buffer = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).quantize(64, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def best_board(rankings: Sequence[Ranking]) -> tuple[Ranking, list[Row]] | None:
    """Returns the board with the most methods that have a rank, the first of several, with its best rows."""
    methods = [
        (board, [row for row in board.rows if row.rank is not None and row.role == "method"]) for board in rankings
    ]
    board, rows = max(methods, key=lambda pair: len(pair[1]), default=(None, []))
    return (board, rows[:BARS]) if board is not None and rows else None


def _bars(pen: _Pen, board: Ranking, rows: Sequence[Row]) -> None:
    span = _BARS_RIGHT - _BARS_LEFT
    pen.text(_LEFT, 236, board.title, 26, _SOFT)
    pen.text(_BARS_RIGHT, 264, "1 = as if retrained", 20, _SOFT, "rm")
    bottom = _TOP + _PITCH * len(rows) - (_PITCH - _THICK) / 2
    pen.bar(_BARS_RIGHT, _TOP - 26, _BARS_RIGHT + 2, bottom, _SOFT)
    for index, row in enumerate(rows):
        middle = _TOP + _PITCH * index + _THICK / 2 - 6
        top = middle - _THICK / 2
        pen.text(_LEFT, middle, _fitting(pen, row.name), 26, _INK)
        pen.bar(_BARS_LEFT, top, _BARS_RIGHT, top + _THICK, _TROUGH, 5)
        right = _BARS_LEFT + span * (row.score or 0.0)
        pen.bar(_BARS_LEFT, top, right, top + _THICK, _BAR, 5)
        if row.interval is not None:
            low, high = (_BARS_LEFT + span * end for end in row.interval)
            pen.bar(low, middle - 1.5, high, middle + 1.5, _INK)
            for end in (low, high):
                pen.bar(end - 1.5, middle - 6, end + 1.5, middle + 6, _INK)
        pen.text(WIDTH - _LEFT, middle, number(row.score, 2), 26, _INK, "rm")


def _fitting(pen: _Pen, name: str) -> str:
    """A name that ends before the bars begin."""
    room = _BARS_LEFT - _LEFT - 20
    if pen.width(name, 26) <= room:
        return name
    return next(short for end in range(len(name), 0, -1) if pen.width(short := f"{name[:end]}…", 26) <= room)
