"""The contract of a method: small named checks on what a few watched runs of it showed.

Five runs in fresh processes: two with one seed, one with another, one that is killed half-way and one that is started again
in its folder. ``trial.py`` makes a run; each function here reads what was seen and says pass, fail or why not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import shortened
from .observation import Seen
from .report import Result, Verdict, none_of


class Evidence(NamedTuple):
    """What the runs showed."""

    first: Seen
    again: Seen
    """The same seed."""
    other: Seen
    """Another seed."""
    resumed: Seen
    """Started again after it was killed."""
    killed_half_way: bool
    """Or at its end, if it took no step and ran nothing through the model."""
    leftovers: bool
    """Whether a process outlived a run that ended by itself."""


class Check(NamedTuple):
    """One clause of the contract."""

    name: str
    why: str
    judge: Callable[[Evidence], Verdict]
    needs_the_end: bool = True
    """Whether it says nothing about a method that raised."""


def judge(evidence: Evidence) -> list[Result]:
    """Returns the outcome of every check."""
    results = []
    for check in CHECKS:
        ended = evidence.first.error is None or not check.needs_the_end
        verdict = check.judge(evidence) if ended else Verdict("skip", "it did not run to its end")
        results.append(Result(check.name, check.why, *verdict))
    return results


def _heard(evidence: Evidence, kind: str, sentence: str) -> Verdict:
    runs = (evidence.first, evidence.again, evidence.other, evidence.resumed)
    found = dict.fromkeys(heard.detail for seen in runs for heard in seen.heard if heard.kind == kind)
    return none_of(list(found), sentence)


def _runs(evidence: Evidence) -> Verdict:
    runs = {
        "": evidence.first,
        " the second time": evidence.again,
        " with another seed": evidence.other,
        " when started again": evidence.resumed,
    }
    for which, seen in runs.items():
        if seen.error is not None:
            return Verdict("fail", f"it ended early{which}: {seen.error}")
    return Verdict("pass", f"{evidence.first.seconds:.2f} s")


def _settings(evidence: Evidence) -> Verdict:
    fault = evidence.first.settings_fault
    return Verdict("fail", f"its settings do not come back from JSON: {fault}") if fault else Verdict("pass")


def _documented(evidence: Evidence) -> Verdict:
    names = evidence.first.undocumented
    return Verdict("note", f"say in a docstring below it what {shortened(names)} means") if names else Verdict("pass")


def _deterministic(evidence: Evidence) -> Verdict:
    if evidence.first.digest == evidence.again.digest:
        return Verdict("pass")
    return Verdict("fail", "two runs with one seed left different weights; draw random numbers from the problem")


def _seeded(evidence: Evidence) -> Verdict:
    if evidence.first.digest != evidence.other.digest:
        return Verdict("pass")
    return Verdict("note", "another seed gives the same weights: it draws nothing at random")


def _weights_changed(evidence: Evidence) -> Verdict:
    if evidence.first.role != "method":
        return Verdict("skip", f"a {evidence.first.role} may leave the weights alone")
    return Verdict("pass") if evidence.first.changed else Verdict("fail", "the weights are what they were")


def _finite(evidence: Evidence) -> Verdict:
    name = evidence.first.not_finite
    return Verdict("fail", f"the weight '{name}' is not finite") if name else Verdict("pass")


def _layout(evidence: Evidence) -> Verdict:
    fault = evidence.first.layout_fault
    return Verdict("fail", fault) if fault else Verdict("pass")


def _alone(evidence: Evidence) -> Verdict:
    left = evidence.first.left_behind
    if not left:
        return Verdict("pass")
    kept = "what it kept in place of or inside the network that it was handed is left behind and not judged"
    return Verdict("note", f"{kept}: {shortened(left)}")


def _budget(evidence: Evidence) -> Verdict:
    seen = evidence.first
    if seen.laps != 2 * seen.steps:
        return Verdict("fail", f"the meter says {seen.steps} steps, but {seen.laps // 2} were begun and ended")
    if seen.wanted_steps is not None and seen.steps != seen.wanted_steps:
        return Verdict("fail", f"'steps' is {seen.wanted_steps}, and the problem gave {seen.steps}")
    if seen.stray_optimizer_steps:
        return Verdict(
            "fail", f"{seen.stray_optimizer_steps} optimizer steps lie outside of the steps that the problem counts"
        )
    if seen.trained_outside:
        return Verdict("fail", "it goes on training between or after the steps that the problem counts")
    if seen.moved_outside:
        return Verdict("note", "weights move between or after the counted steps, without a gradient, as for an average")
    return Verdict("pass", f"{seen.steps} steps")


def _resume(evidence: Evidence) -> Verdict:
    if evidence.first.digest != evidence.again.digest:
        return Verdict("skip", "it is not deterministic")
    if evidence.first.digest == evidence.resumed.digest:
        return Verdict("pass")
    when = "half-way" if evidence.killed_half_way else "at its end"
    return Verdict("fail", f"killed {when} and started again, it left other weights than undisturbed")


def _oracle(evidence: Evidence) -> Verdict:
    if evidence.first.role != "method":
        return Verdict("skip", f"it is a {evidence.first.role}")
    return (
        Verdict("fail", "its weights are the oracle's, to the last bit")
        if evidence.first.is_oracle
        else Verdict("pass")
    )


def _processes(evidence: Evidence) -> Verdict:
    refused = _heard(evidence, "process", "it starts a process: {}")
    if refused.outcome == "fail":
        return refused
    left = sorted({*evidence.first.threads, *evidence.again.threads})
    if evidence.leftovers:
        left.append("a process")
    return none_of(left, "it leaves behind what goes on without it: {}")


def _needs(evidence: Evidence) -> Verdict:
    seen = evidence.first
    if seen.undeclared:
        return Verdict("fail", f"it uses {shortened(seen.undeclared)} without declaring it")
    if seen.unused:
        return Verdict("note", f"it declares {shortened(seen.unused)} and did not ask for it")
    return Verdict("pass")


CHECKS = (
    Check("runs", "It ends by itself, without an error.", _runs, False),
    Check("settings", "A record's settings must make the same method again.", _settings, False),
    Check("documented", "Who sets a setting must know what it does.", _documented, False),
    Check("needs", "What it uses it declares, so that pairs that do not fit are refused.", _needs, False),
    Check("deterministic", "The same seed gives the same weights, to the last bit.", _deterministic),
    Check("seeded", "Another seed gives another run, or spread means nothing.", _seeded),
    Check("resume", "A run that was killed and is started again ends like an undisturbed one.", _resume),
    Check("weights-changed", "Unlearning edits the model.", _weights_changed),
    Check("finite", "A weight that is not a number draws nothing.", _finite),
    Check("layout", "Names, shapes, types and device of the weights stay, so that judges can load them.", _layout),
    Check(
        "weights-alone", "The weights of the network that it was handed are judged, and nothing around them.", _alone
    ),
    Check("budget", "What is counted is what was done: weights move inside counted steps.", _budget),
    Check(
        "data-untouched",
        "The data are everybody's.",
        lambda evidence: none_of(evidence.first.touched, "it wrote to {}"),
        False,
    ),
    Check(
        "shared-models",
        "Only problem.model is its to edit.",
        lambda evidence: none_of(evidence.first.shared_models, "it wrote to {}"),
        False,
    ),
    Check("not-the-oracle", "Retraining's weights are not a result of unlearning.", _oracle),
    Check(
        "private",
        "It sees what the problem shows, and nothing of tasks, judges or the harness.",
        lambda evidence: none_of(evidence.first.reached_for, "it {}"),
        False,
    ),
    Check(
        "source",
        "The same, as far as the text of its file shows.",
        lambda evidence: none_of(evidence.first.source, "it {}"),
        False,
    ),
    Check(
        "files-read",
        "It reads neither the benchmark's files nor data of its own.",
        lambda evidence: _heard(evidence, "read", "it reads {}"),
        False,
    ),
    Check(
        "files-written",
        "It writes nowhere but to its working folder.",
        lambda evidence: _heard(evidence, "write", "it writes to {}"),
        False,
    ),
    Check(
        "network",
        "A run is the same without a network.",
        lambda evidence: _heard(evidence, "network", "it asks for the network: {}"),
        False,
    ),
    Check("processes", "Nothing goes on beside it or after it, where no clock runs.", _processes, False),
    Check(
        "shared-code",
        "The clock, random numbers and this package's code stay as they are.",
        lambda evidence: none_of(evidence.first.replaced, "it replaced {}"),
        False,
    ),
    Check(
        "process-state",
        "Seeds and settings of the process are the judges', too.",
        lambda evidence: none_of(evidence.first.process, "it changed {}"),
        False,
    ),
)
"""Every clause, in the order in which a report shows them."""
