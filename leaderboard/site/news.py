"""What is new: the rows whose runs ended last, and what changed since the last release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from ..row import Row
from .documents import ROOT
from .markdown_page import render
from .shown import Shown

ROWS, LINES = 6, 6


class Newest(NamedTuple):
    """A row with the day on which its last run ended."""

    day: str
    board: Shown
    row: Row


def newest_rows(boards: Sequence[Shown], most: int = ROWS) -> list[Newest]:
    """Returns the rows of some boards whose runs ended last, the newest first; reference rows are nobody's news."""
    found = [
        (max(record.created for record in row.records), board, row)
        for board in boards
        for row in board.ranking.rows
        if row.role != "reference"
    ]
    ordered = sorted(found, key=lambda one: (one[0], one[2].name), reverse=True)
    return [Newest(created[:10], board, row) for created, board, row in ordered[:most]]


def latest_changes(root: Path = ROOT, most: int = LINES) -> list[Markup]:
    """Returns the first lines of what the change log says of the release to come; nothing where there is no such file."""
    path = root / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    section = re.search(r"^## [^\n]*unreleased[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    items = re.split(r"^- ", section.group(1), flags=re.MULTILINE)[1:] if section else []
    return [_inline(" ".join(item.split())) for item in items[:most]]


def _inline(text: str) -> Markup:
    """A line without its links, which lead elsewhere from here."""
    body = str(render(text, lambda link: None).body).strip()
    return Markup(body.removeprefix("<p>").removesuffix("</p>"))  # The renderer escapes what it shows.
