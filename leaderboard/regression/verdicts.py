"""What a comparison with a baseline found, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Verdict(StrEnum):
    """What was found of one metric, one row or all of them."""

    FINE = "fine"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NOT_JUDGED = "not judged"
    """Nobody asked for it to be decided; it changes no exit code."""


EXIT_CODES = {Verdict.FINE: 0, Verdict.REGRESSION: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_COMPARABLE: 3}


class RowName(NamedTuple):
    """A method on a task, each with what was set of it."""

    task: str
    task_settings: str
    method: str
    settings: str

    def __str__(self) -> str:
        task = f"{self.task} ({self.task_settings})" if self.task_settings else self.task
        return f"{task} · {self.method} ({self.settings})" if self.settings else f"{task} · {self.method}"


@dataclass(frozen=True)
class Finding:
    """What was found of one metric of one row.

    Attributes:
        row: The row.
        device: What it ran on; two devices with an arrow where baseline and current differ.
        what: A metric, ``runs``, ``counts`` or ``step_time``.
        verdict: What was found.
        sentence: The same for a reader.
        seeds: Pairs of runs that were compared.
        baseline: The metric's mean before.
        current: And now.
        loss: How much worse it got, in the margin's units; negative if it got better. Of ``step_time`` the relative rise.
        low: Lower end of the loss's interval.
        high: Upper end.
        margin: The loss that is too much.
        p_value: That the loss is no more than nothing, adjusted for all that was tested.
        detectable: The loss that would be caught 95 times in 100 with this noise and these seeds.
    """

    row: RowName
    device: str
    what: str
    verdict: Verdict
    sentence: str
    seeds: int = 0
    baseline: float | None = None
    current: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    p_value: float | None = None
    detectable: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns the finding as JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "row"}
        return {**self.row._asdict(), **fields, "verdict": self.verdict.value}


@dataclass(frozen=True)
class Verdicts:
    """Everything that a comparison with a baseline found."""

    findings: Sequence[Finding]
    notes: Sequence[str] = field(default=())
    """What a reader should know, one sentence each."""

    @property
    def verdict(self) -> Verdict:
        """A regression outweighs what is not comparable, that outweighs what is inconclusive, and that what is fine."""
        found = {finding.verdict for finding in self.findings}
        for verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE, Verdict.INCONCLUSIVE, Verdict.FINE):
            if verdict in found:
                return verdict
        return Verdict.NOT_COMPARABLE

    @property
    def exit_code(self) -> int:
        """0 fine, 1 regression, 2 inconclusive, 3 not comparable."""
        return EXIT_CODES[self.verdict]

    @property
    def sentence(self) -> str:
        """The verdict with the first reason for it and how many more there are."""
        reasons = [finding for finding in self.findings if finding.verdict is self.verdict]
        if not reasons:
            return "not comparable: there is nothing to compare."
        if self.verdict is Verdict.FINE:
            rows = len({finding.row for finding in self.findings})
            return f"fine: {rows} row{'s' * (rows != 1)}, {len(reasons)} checks, nothing got worse by its margin."
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return f"{self.verdict.value}: {reasons[0].row}: {reasons[0].sentence}{more}"

    def as_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return {
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "sentence": self.sentence,
            "notes": list(self.notes),
            "findings": [finding.as_json() for finding in self.findings],
        }
