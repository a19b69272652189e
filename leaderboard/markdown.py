"""Markdown as every page, report and notebook of the suite writes it: tables, and text that stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"([\\`*_\[\]|~#])")
_CONTROL = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table whose cells are Markdown already, see ``plain`` and ``code``; no line ends the last one."""
    lines = [_line(titles), "|" + "---|" * len(titles), *map(_line, rows)]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Returns a text on one line, with nothing in it that Markdown, HTML or a forge would take for more than text."""
    one_line = html.escape(" ".join(printable(text).split()), quote=False)
    return _MARKS.sub(r"\\\1", one_line).replace("@", "@\u200b")


def code(text: str) -> str:
    """Returns a text on one line as code, which may stand in a table."""
    return f"`{' '.join(printable(text).split()).replace('`', chr(39)).replace('|', '/')}`"


def printable(text: str) -> str:
    """Returns a text without control characters and others that XML cannot hold either."""
    return _CONTROL.sub("�", text)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
