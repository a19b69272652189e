"""What the three verbs of a submission say on the terminal, and as plain data."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from ...benchmark.commands.consoles import say
from .layout import shown
from .pack import Submission
from .validate import Validation
from .verify import Verification

_MOST = 100
"""Sentences that are printed of a list; a hostile submission may deserve thousands."""


def print_submission(out: Console, err: Console, packed: Submission) -> None:
    """Prints what was packed and what comes next, or all that is missing."""
    _print_problems(err, packed.problems)
    for note in packed.notes:
        say(out, note)
    if packed.problems:
        return
    for name in packed.files:
        out.print(escape(f"{packed.folder}/{name}"))
    out.print(
        f"Packed {len(packed.files)} files. Next: unlearnbench validate {packed.folder}; then copy what is in "
        f"{packed.folder} into leaderboard/results of a clone and open a pull request.",
        markup=False,
    )


def print_validation(out: Console, err: Console, found: Validation) -> None:
    """Prints everything that is wrong, or that nothing is."""
    _print_problems(err, [str(problem) for problem in found.problems])
    fine = "nothing is wrong" if found.hashes else "there is nothing in it"
    count = len(found.problems)
    verdict = f"{count} problem{'s' * (count > 1)}" if count else fine
    out.print(f"{found.new} records and {len(found.hashes)} files were checked: {verdict}.")


def print_verification(out: Console, found: Verification) -> None:
    """Prints how many numbers agree, and each that does not."""
    record = found.record
    for item in found.comparisons:
        if item.verdict == "differs":
            values = f": {item.stored!r} in the record, {item.again!r} now" if item.stored != item.again else ""
            out.print(escape(shown(f"differs: {item.name}{values}")))
    verdicts = [item.verdict for item in found.comparisons]
    say(
        out,
        f"{record.task.name} {record.method.name} seed {record.seed}: {verdicts.count('same')} numbers are the same, "
        f"{verdicts.count('inside')} within their stored intervals, {verdicts.count('differs')} outside, "
        f"{verdicts.count('not judged')} without an interval; the new run was on {found.again.device.group}.",
    )
    verdict = "agrees" if found.agrees else "does not agree"
    out.print(f"The record {verdict}. The attestation is {found.attestation}", markup=False)


def submission_data(packed: Submission) -> dict[str, Any]:
    """Returns what was packed, or what is missing, as plain data."""
    return {
        "folder": str(packed.folder),
        "files": [] if packed.problems else packed.files,
        "problems": packed.problems,
        "notes": packed.notes,
    }


def validation_data(found: Validation) -> dict[str, Any]:
    """Returns what is wrong as plain data."""
    return {
        "new_records": found.new,
        "files": len(found.hashes),
        "problems": [str(problem) for problem in found.problems],
    }


def verification_data(found: Verification) -> dict[str, Any]:
    """Returns number by number what agrees, as plain data."""
    return {
        "agrees": found.agrees,
        "task": found.record.task.name,
        "method": found.record.method.name,
        "seed": found.record.seed,
        "run_id": found.record.run_id,
        "device": found.again.device.group,
        "numbers": [item._asdict() for item in found.comparisons],
        "attestation": str(found.attestation),
    }


def _print_problems(err: Console, problems: list[str]) -> None:
    for problem in problems[:_MOST]:
        say(err, f"[red]error:[/red] {escape(problem)}", markup=True)
    if len(problems) > _MOST:
        err.print(f"[red]error:[/red] and {len(problems) - _MOST:,} more.")
