"""What the contract's runs are asked for and what they show: plain data that cross from process to process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

HeardKind = Literal["network", "process", "write", "read"]


class Heard(NamedTuple):
    """One thing that a process did, or tried, beyond computing."""

    kind: HeardKind
    detail: str


class Subject(NamedTuple):
    """What to check, and on what."""

    file: Path | None
    name: str | None
    task: str | None = None
    settings: dict[str, Any] = {}
    plugins: tuple[Path, ...] = ()


class Trial(BaseModel):
    """What to run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: Path | None
    """The file that defines the method; without it, the method is found by its name."""
    name: str | None
    plugins: list[Path] = []
    task: str | None = None
    """A registered task instead of the toy problem."""
    settings: dict[str, Any] = {}
    seed: int = 0
    kill_at: int | None = None
    """See ``guard.Watch``."""
    folder: Path
    """The method's working folder, and the only one that it may write to."""
    report: Path
    """Where what was seen goes."""


class Seen(BaseModel):
    """What the run showed. Empty lists and None are good news."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    mistake: str | None = None
    """A user's mistake: nothing was run."""
    task: str | None = None
    """A task that stands where a method was looked for: nothing was run, and the task is to be checked."""
    name: str = ""
    role: str = "method"
    settings: dict[str, Any] = {}
    settings_fault: str | None = None
    undocumented: list[str] = []
    source: list[str] = []
    """What the source shows that a method should not do."""
    error: str | None = None
    seconds: float = 0.0
    digest: str = ""
    """Of the weights that the method left."""
    changed: bool = False
    is_oracle: bool = False
    not_finite: str | None = None
    layout_fault: str | None = None
    left_behind: list[str] = []
    """What was attached to the network that was handed out, or assigned in its place."""
    steps: int = 0
    laps: int = 0
    """Starts and ends of steps, counted beside the meter."""
    ticks: int = 0
    """Laps and passes through the model."""
    wanted_steps: int | None = None
    stray_optimizer_steps: int = 0
    moved_outside: bool = False
    """Whether weights moved after the first counted step and in none of them."""
    trained_outside: bool = False
    """Whether there were gradients, too, where they moved."""
    touched: list[str] = []
    """Data that was written to."""
    shared_models: list[str] = []
    """Models that were written to beside the one that is the method's to edit."""
    replaced: list[str] = []
    process: list[str] = []
    """Settings of the process that are not what they were."""
    reached_for: list[str] = []
    undeclared: list[str] = []
    unused: list[str] = []
    threads: list[str] = []
    heard: list[Heard] = []
