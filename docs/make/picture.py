"""The README's picture: ``python -m unlearnbench.docs.make.picture`` makes ``docs/forgetting.png`` of the committed records."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ...benchmark.records.record import Gallery
from ...benchmark.records.store import load_records
from ...leaderboard.ranking import Ranking, rank_all
from ...leaderboard.row import Row
from ...leaderboard.site.pictures import Sheet, exhibit
from .results import RESULTS

OUT = Path(__file__).parents[1] / "forgetting.png"
TASK = "digits-ddpm"
_ZOOM, _GAP, _PITCH = 5, 24, 62
_LEFT, _TOP, _RIGHT, _SCORE = 210, 44, 16, 90
_PAGE, _INK, _SOFT = "#ffffff", "#1b1c1e", "#5c5f66"
_WORDS = {"original": "before", "oracle": "retrained without it"}
"""What a reader who knows nothing yet would call the reference rows."""


class _Strip(NamedTuple):
    """What one model drew."""

    label: str
    score: str
    forgotten: Image.Image
    others: Image.Image


def picture(board: Ranking) -> Image.Image:
    """Returns samples of original, best method, best cheat and oracle from the same noise, each with its score.

    Args:
        board: A ranking whose runs keep galleries.

    Raises:
        ValueError: No run of the board keeps one.
    """
    leaders = [row for row in board.rows if row.rank is not None and row.role == "method"][:1]
    cheats = [row for row in board.rows if row.role == "cheat"]
    shown = exhibit(board, leaders, cheats)
    if shown is None:
        raise ValueError(f"No run of {board.title} keeps pictures of its samples.")
    # The question first, the answer last.
    last = sorted(shown.sheets, key=lambda sheet: sheet.record.method.name == "oracle")
    return _drawn([_strip(sheet, board) for sheet in last], last[0].record.gallery)


def _strip(sheet: Sheet, board: Ranking) -> _Strip:
    gallery, method = sheet.record.gallery, sheet.record.method
    assert gallery is not None
    tiles = Image.open(io.BytesIO(base64.b64decode(gallery.png_base64))).convert("L")
    side = gallery.tile
    forgotten = tiles.crop((0, 0, gallery.columns * side, side))
    classes = [index for index, name in enumerate(gallery.rows) if name.isdigit()]
    others = Image.new("L", (len(classes) * side, side))
    for place, index in enumerate(classes):
        others.paste(tiles.crop((0, index * side, side, (index + 1) * side)), (place * side, 0))
    row = _row_of(sheet, board.rows)
    score = "–" if row.score is None else f"{row.score:.2f}"
    return _Strip(_WORDS.get(method.name, method.name), score, forgotten, others)


def _row_of(sheet: Sheet, rows: Sequence[Row]) -> Row:
    return next(row for row in rows if any(record.run_id == sheet.record.run_id for record in row.records))


def _drawn(strips: Sequence[_Strip], gallery: Gallery | None) -> Image.Image:
    assert gallery is not None
    first, second = (strips[0].forgotten.width * _ZOOM, strips[0].others.width * _ZOOM)
    width = _LEFT + first + _GAP + second + _SCORE + _RIGHT
    image = Image.new("RGB", (width, _TOP + _PITCH * len(strips)), _PAGE)
    draw = ImageDraw.Draw(image)
    name = gallery.rows[0].removesuffix(" (forgotten)")
    draw.text((_LEFT, 20), f"asked for a {name}, which is to be forgotten", _SOFT, _font(16), anchor="lm")
    draw.text((_LEFT + first + _GAP, 20), "asked for each other digit", _SOFT, _font(16), anchor="lm")
    draw.text((width - _RIGHT, 20), "score", _SOFT, _font(16), anchor="rm")
    for index, strip in enumerate(strips):
        top = _TOP + _PITCH * index
        middle = top + gallery.tile * _ZOOM / 2
        draw.text((_RIGHT, middle), strip.label, _INK, _font(18), anchor="lm")
        for left, tiles in ((_LEFT, strip.forgotten), (_LEFT + first + _GAP, strip.others)):
            size = (tiles.width * _ZOOM, tiles.height * _ZOOM)
            image.paste(tiles.resize(size, Image.Resampling.NEAREST), (left, top))
        draw.text((width - _RIGHT, middle), strip.score, _INK, _font(20), anchor="rm")
    return image


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def main() -> None:
    """Writes the picture."""
    board = next(board for board in rank_all(load_records([RESULTS]).records) if board.task == TASK)
    picture(board).quantize(32, dither=Image.Dither.NONE).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
