"""How far a search is, and what it found, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ...benchmark.command_line import command
from ...benchmark.running.tuned import OWN
from ..boards import settings_text
from .search import Outcome, Told


def print_told(console: Console, told: Told) -> None:
    """Prints how many trials are made, and the best score so far."""
    console.print(f"{told.done} of {told.total} trials, best score {told.best:.3f}", markup=False)


def print_outcome(console: Console, outcome: Outcome, task: str, method: str, plugins: Sequence[Path]) -> None:
    """Prints the best settings, what they are better than, and the command that runs them."""
    found = outcome.found
    best = settings_text(found.settings) or "the method's own defaults"
    against = f", {found.paper_score:.3f} by default" if found.settings else ""
    console.print(f"Best of {found.trials} trials: {best}", markup=False)
    console.print(f"Score {found.score:.3f}{against}; the search took {found.seconds:.0f} s.", markup=False)
    named = [] if outcome.file.parent == OWN else ["--settings", str(outcome.file)]
    again = command("run", task, method, "--requests", "all", *named, seeds=[0, 1], plugins=plugins)
    before = outcome.before
    if before is not None and before.settings != found.settings:
        then = settings_text(before.settings) or "the method's own defaults"
        console.print(f"It takes the place of an earlier search, which found {then}: {before.score:.3f}.", markup=False)
    console.print(f"Kept in {outcome.file}. To run it: {again}", markup=False)
