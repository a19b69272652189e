"""What an inspection of a task is asked for and what it shows: plain data that cross from process to process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Inspection(BaseModel):
    """What to look at."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: Path | None
    """The file that defines the task; without it, the task is found by its name."""
    name: str | None
    plugins: list[Path] = []
    settings: dict[str, Any] = {}
    whole: bool
    """Whether to look at everything, or only at what must be the same in every process."""
    report: Path
    """Where what was seen goes."""


class Number(BaseModel):
    """A metric of an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """Its name, judge and label."""
    value: float | None
    low: float | None
    high: float | None


class SeenTask(BaseModel):
    """What the inspection showed. Empty lists and None are good news."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    mistake: str | None = None
    """A user's mistake: nothing was looked at."""
    name: str = ""
    settings: dict[str, Any] = {}
    undocumented: list[str] = []
    raised: dict[str, str] = {}
    """Checks that could not be made, and what was raised."""
    faults: dict[str, list[str]] = {}
    """What is wrong, check by check."""
    sha256: str = ""
    draws: dict[str, str] = {}
    """The hash of what a problem draws, by seed and by whose problem it is."""
    numbers: dict[str, list[Number]] = {}
    """What evaluations measured, by model and seed."""
    scored: list[str] = []
    """Keys of what scores beside an oracle are made of."""
    oracle: bool = False
    """Whether reference rows may see one."""
