"""Where the command line writes, and its exit codes: results on standard output, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

USER_ERROR = 2
RUNS_FAILED = 1
INTERRUPTED = 130

out = Console(highlight=False, soft_wrap=True)
# A file that colours are forced into gets no bars all the same.
err = Console(stderr=True, highlight=False, soft_wrap=True, force_interactive=None if sys.stderr.isatty() else False)


def say(console: Console, text: str, *, markup: bool = False, style: str | None = None) -> None:
    """Prints a sentence: a terminal gets lines that break between words, another program gets one line.

    Args:
        console: Where to print.
        text: The sentence.
        markup: Whether it holds rich's marks.
        style: Of all of it.
    """
    console.print(text, markup=markup, style=style, soft_wrap=not console.is_terminal)


def print_pairs(console: Console, pairs: Sequence[tuple[str, str]]) -> None:
    """Prints a list of names with what is to be said of each, marked up: two columns, or for a program a line each."""
    if not console.is_terminal:
        for pair in pairs:
            console.print("  ".join(pair))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for pair in pairs:
        table.add_row(*pair)
    console.print(table, soft_wrap=False)


def print_json(value: Any) -> None:
    """Prints plain data for another program; paths become texts."""
    sys.stdout.write(json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")
