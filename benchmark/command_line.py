"""Commands as a user types them: settings as words and back, and the commands that messages propose."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import BenchmarkError

PROGRAM = "unlearnbench"
MOST_SEEDS = 10_000
"""In one command."""


def command(
    *words: str,
    seeds: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] = (),
) -> str:
    """Returns a whole command, quoted for a shell.

    Args:
        *words: The verb, and what it is about.
        seeds: One run each.
        settings: What is set of the task and the method.
        plugins: The files that they come from.
    """
    said = ["--seeds", ",".join(map(str, seeds))] if seeds else []
    files = [word for path in plugins for word in ("--plugin", _short(Path(path)))]
    return shlex.join([PROGRAM, *words, *said, *to_words(settings or {}), *files])


def _short(path: Path) -> str:
    """A file below the working folder, as a user there would name it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def to_words(settings: Mapping[str, Any]) -> list[str]:
    """Returns settings as ``--set`` and ``key=value`` in turns, by name; ``from_pairs`` reads the pairs."""
    pairs = (f"{key}={_value_text(value)}" for key, value in sorted(settings.items()))
    return [word for pair in pairs for word in ("--set", pair)]


def from_pairs(pairs: Iterable[str], form: str = "--set key=value") -> dict[str, Any]:
    """Reads ``key=value`` pairs; values are JSON where they can be, else text.

    Args:
        pairs: As typed.
        form: What one looks like, for the message.

    Raises:
        BenchmarkError: A pair has no equals sign.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BenchmarkError(f"'{pair}' is no setting; write {form}.")
        settings[key] = _value(text)
    return settings


def parse_seeds(text: str) -> list[int]:
    """Reads ``0,1,2``, ``0-2``, and both together.

    Raises:
        BenchmarkError: It is not a list of whole numbers from 0, or of ranges of them.
    """
    parts = [re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", part, re.ASCII) for part in text.split(",")]
    ranges = [range(int(found[1]), int(found[2] or found[1]) + 1) for found in parts if found]
    if len(ranges) < len(parts) or not all(ranges) or sum(map(len, ranges)) > MOST_SEEDS:
        ranges = []
    seeds = [seed for part in ranges for seed in part]
    if not seeds or len(set(seeds)) != len(seeds):
        raise BenchmarkError(
            f"'{text}' is no list of seeds; give different whole numbers from 0, such as --seeds 0,1,2 or --seeds 0-4."
        )
    return seeds


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    # Not only what is no JSON: a number of a thousand digits or a thousand brackets are a text, too.
    except (ValueError, RecursionError):
        return text


def _value_text(value: Any) -> str:
    """A text stands as it is where it cannot be taken for JSON, and where it is a line that can be seen and typed."""
    plain = isinstance(value, str) and value.isprintable() and _value(value) is value
    return value if plain else json.dumps(value)
