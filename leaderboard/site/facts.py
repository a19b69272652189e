"""What the suite's own methods and tasks say of themselves, kept as data beside this file, since their classes need PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("facts.json")


class MethodFacts(NamedTuple):
    """A method of the suite."""

    does: str
    """What it does, in two sentences."""
    update: str
    """One step, as a formula."""
    paper: str
    rebuilt: bool
    """Whether it was written from descriptions."""
    settings: Mapping[str, Any]
    """Its defaults, which are the paper's."""
    settings_source: str
    deviations: list[str]
    pitfalls: str


class TaskFacts(NamedTuple):
    """A task of the suite."""

    asks: str
    tier: str
    lacks: Mapping[str, str]
    """What a method needs that the task does not have, by method; of those alone that do not fit."""

    @property
    def size(self) -> str:
        """What a reader has to know of its size before believing anything."""
        return {
            "embedded": "Small: pictures of 8 × 8 pixels, a network of minutes on a laptop",
            "mid": "Medium: a data set to fetch, and minutes of a CPU core a run",
            "paper": "At the scale of papers",
        }.get(self.tier, "")


@cache
def _read() -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def method_facts(name: str) -> MethodFacts | None:
    """Returns what a method says of itself, or None of one from elsewhere."""
    found = _read()["methods"].get(name)
    return None if found is None else MethodFacts(**found)


def task_facts(name: str) -> TaskFacts | None:
    """Returns what a task says of itself, or None of one from elsewhere."""
    found = _read()["tasks"].get(name)
    return None if found is None else TaskFacts(**found)


def not_applicable(task: str, method: str) -> str | None:
    """Returns what a method needs that a task does not have; None where it fits or nothing is known."""
    found = task_facts(task)
    return None if found is None else found.lacks.get(method)
