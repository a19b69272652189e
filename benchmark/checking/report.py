"""What a check says: outcomes, clause by clause."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

from ..errors import shortened

Outcome = Literal["pass", "fail", "skip", "note"]


class Verdict(NamedTuple):
    """A check's outcome. A note is worth knowing and fails nothing."""

    outcome: Outcome
    reason: str = ""


class Result(NamedTuple):
    """A check and what it found."""

    check: str
    why: str
    outcome: Outcome
    reason: str


class CheckReport(NamedTuple):
    """What a check found."""

    method: str | None
    """None where the task itself was checked."""
    task: str
    """A task's name, or ``toy``."""
    settings: dict[str, Any]
    """The settings that it ran with; a method's ``steps`` is lowered where it is left to the default."""
    seconds: float
    results: list[Result]

    @property
    def failures(self) -> list[str]:
        """The checks that failed, each with its reason."""
        return [f"{result.check}: {result.reason}" for result in self.results if result.outcome == "fail"]

    def to_json(self) -> str:
        """Returns the report as JSON."""
        shown = {**self._asdict(), "results": [result._asdict() for result in self.results], "failures": self.failures}
        return json.dumps(shown, indent=1)


def none_of(found: list[str], sentence: str) -> Verdict:
    """Returns a failure that names what was found, if anything was."""
    return Verdict("fail", sentence.format(shortened(found))) if found else Verdict("pass")
