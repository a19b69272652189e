"""The contract of a task: small named checks on what an inspection of it showed, in two processes.

``task_inspection.py`` looks at a task; each function here reads what was seen and says pass, fail or why not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..errors import shortened
from .report import Result, Verdict, none_of
from .task_observation import Number, SeenTask


class TaskEvidence(NamedTuple):
    """What two inspections showed."""

    first: SeenTask
    again: SeenTask
    """In another process, as far as it must show the same."""


class TaskCheck(NamedTuple):
    """One clause of the contract."""

    name: str
    why: str
    judge: Callable[[TaskEvidence], Verdict]
    after: str = ""
    """The check that shows what this one reads."""


def judge_task(evidence: TaskEvidence) -> list[Result]:
    """Returns the outcome of every check."""
    results = []
    for check in TASK_CHECKS:
        if raised := _raised(evidence, check.name):
            verdict = Verdict("fail", raised)
        elif check.after and _raised(evidence, check.after):
            verdict = Verdict("skip", f"see '{check.after}'")
        else:
            verdict = check.judge(evidence)
        results.append(Result(check.name, check.why, *verdict))
    return results


def _raised(evidence: TaskEvidence, check: str) -> str | None:
    return evidence.first.raised.get(check) or evidence.again.raised.get(check)


def _faultless(name: str, sentence: str, evidence: TaskEvidence) -> Verdict:
    return none_of(evidence.first.faults.get(name, []), sentence)


def _documented(evidence: TaskEvidence) -> Verdict:
    names = evidence.first.undocumented
    return Verdict("note", f"say in a docstring below it what {shortened(names)} means") if names else Verdict("pass")


def _identity(evidence: TaskEvidence) -> Verdict:
    if evidence.first.sha256 != evidence.again.sha256:
        return Verdict("fail", "another process gives it another hash; let none of it depend on time, chance or order")
    return _faultless("identity", "{}", evidence)


def _deterministic(evidence: TaskEvidence) -> Verdict:
    draws = evidence.first.draws
    if draws["seed 0"] != draws["seed 0 again"]:
        return Verdict("fail", "two problems with one seed draw other batches; draw from the problem's generator")
    if draws["seed 0"] != evidence.again.draws["seed 0"]:
        return Verdict("fail", "a problem of the same seed draws other batches in another process")
    return Verdict("pass")


def _seeded(evidence: TaskEvidence) -> Verdict:
    draws = evidence.first.draws
    if draws["seed 0"] == draws["seed 1"]:
        return Verdict("fail", "two problems with different seeds draw the same batches")
    return Verdict("pass")


def _repeatable(evidence: TaskEvidence) -> Verdict:
    first, again = evidence.first.numbers, evidence.again.numbers
    for numbers, where in ((first["original again"], "a second time"), (again["original"], "in another process")):
        changed = _different(first["original"], numbers)
        if changed:
            return Verdict("fail", f"the same model, judged {where}, has other numbers: {shortened(changed)}")
    return Verdict("pass", f"{len(first['original'])} numbers")


def _noise(evidence: TaskEvidence) -> Verdict:
    numbers = evidence.first.numbers
    if _different(numbers["original"], numbers["original, seed 1"]):
        return Verdict("pass")
    return Verdict("fail", "every number is the same with another seed; let the noise of samples follow from the seed")


def _tells(evidence: TaskEvidence) -> Verdict:
    seen = evidence.first
    if not seen.oracle:
        return Verdict("skip", "it has no oracle")
    original, oracle = seen.numbers["original"], seen.numbers["oracle"]
    if not _different(original, oracle):
        return Verdict("fail", "the oracle has the original's numbers, so that nothing tells a model that forgot")
    theirs = {number.key: number for number in oracle}
    apart = [one.key for one in original if one.key in seen.scored and _apart(one, theirs.get(one.key))]
    if not apart:
        return Verdict("note", "on these few samples no scored number tells the oracle from the original for certain")
    return Verdict("pass", f"by {shortened(apart)}")


def _different(some: list[Number], others: list[Number]) -> list[str]:
    """The keys under which two evaluations hold other values, or that only one has."""
    one, other = ({number.key: number.value for number in numbers} for numbers in (some, others))
    return [key for key in {**one, **other} if key not in one or key not in other or one[key] != other[key]]


def _apart(one: Number, other: Number | None) -> bool:
    if other is None or one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.high < other.low or other.high < one.low


def _clause(name: str, why: str, sentence: str, after: str = "") -> TaskCheck:
    return TaskCheck(name, why, partial(_faultless, name, sentence), after)


TASK_CHECKS = (
    _clause("described", "Who reads the board must know what is forgotten, and what it takes to run.", "{}"),
    _clause("settings", "A record's settings must make the same task again.", "its settings do not come back: {}"),
    TaskCheck("documented", "Who sets a setting must know what it does.", _documented),
    _clause("frozen", "A task stays what its record says.", "{} can be set afterwards"),
    _clause("missing", "Who lacks something is told in a sentence how to get it.", "{}"),
    TaskCheck("identity", "A task is known by its hash, the same everywhere.", _identity),
    _clause("counted", "Numbers under other settings are another task's.", "its hash does not see {}"),
    TaskCheck("deterministic", "The same seed draws the same batches, to the last bit.", _deterministic),
    TaskCheck("seeded", "Another seed gives another run, or spread means nothing.", _seeded, "deterministic"),
    _clause("loss", "Methods climb and descend the loss, sample by sample.", "{}"),
    _clause("offers", "What a task offers it has, and it refuses what it has not.", "{}"),
    _clause("undeclared", "A method sees what it declared, and nothing else.", "without being declared, {}"),
    _clause("warm-up", "Before the clock runs nothing may be learned or drawn.", "{}"),
    _clause("weights", "What a method leaves is its weights, judged in a fresh network.", "{}"),
    TaskCheck("repeatable", "The same model, judged again, has the same numbers.", _repeatable),
    TaskCheck("noise", "Another seed samples other noise, or seeds add nothing.", _noise, "repeatable"),
    _clause("numbers", "A number carries its interval, and what it was measured with.", "{}", "repeatable"),
    _clause("judging", "Judging a model leaves it as it is.", "{}", "repeatable"),
    TaskCheck("tells", "What cannot tell retraining from doing nothing measures nothing.", _tells, "repeatable"),
    _clause("cost", "Cost is shown as a share of retraining.", "{}"),
)
"""Every clause, in the order in which a report shows them."""
