"""What speaks for the score and against it, read from the data of the documentation: for who wants to disbelieve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .documents import ROOT

TRICKS = 8
"""Tricks that the page names, the best ones."""


class Telling(NamedTuple):
    """How well a track's score tells models that hold what was to be forgotten from models that do not."""

    task: str
    track: str
    auc: float
    low: float
    high: float
    hold: int
    """Models that hold it."""
    free: int
    """Models that do not."""


class Trick(NamedTuple):
    """Something that was tried to score without forgetting."""

    name: str
    task: str
    score: float


class Moved(NamedTuple):
    """How far scores moved when the same weights were judged again."""

    task: str
    weights: int
    median: float
    most: float
    which: str


class Doubts(NamedTuple):
    """All of it; what has no file is empty."""

    telling: list[Telling]
    tricks: list[Trick]
    tried: int
    """Tricks on weights, of which ``tricks`` holds the best."""
    harmless: int
    """Tricks on the harness that scored what the original scores."""
    refused: int
    """Those that ended without a score."""
    looks: list[Moved]


def doubts(root: Path = ROOT) -> Doubts:
    """Reads what the documentation's data say of the score itself."""
    attacks = _data(root, "attacks")
    tricks = [
        Trick(name.partition("/")[2] or name, name.partition("/")[0], found["score"])
        for name, found in attacks.get("weights", {}).items()
        if found.get("score") is not None
    ]
    ordered = sorted(tricks, key=lambda trick: (-trick.score, trick.name))
    outcomes = [found.get("outcome") for found in attacks.get("harness", {}).values()]
    harmless = outcomes.count("as the original")
    return Doubts(
        [
            _telling(task, name, track)
            for task, found in _data(root, "meta-evaluation").items()
            for name, track in found["tracks"].items()
        ],
        ordered[:TRICKS],
        len(tricks),
        harmless,
        len(outcomes) - harmless,
        [_moved(task, looks) for task, looks in _data(root, "second-looks").items() if looks],
    )


def _data(root: Path, name: str) -> dict[str, Any]:
    path = root / "docs" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _telling(task: str, name: str, track: Mapping[str, Any]) -> Telling:
    hold = sum(bool(model["holds"]) for model in track["models"])
    score = track["telling"]["score"]
    return Telling(task, name, score["auc"], score["low"], score["high"], hold, len(track["models"]) - hold)


def _moved(task: str, looks: Mapping[str, list[float]]) -> Moved:
    moves = sorted((abs(second - first), name) for name, (first, second) in looks.items())
    return Moved(task, len(moves), moves[len(moves) // 2][0], *moves[-1])
