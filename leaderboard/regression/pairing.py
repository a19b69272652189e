"""Which runs of a baseline belong to which runs of now, and what cannot be compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...benchmark.records.record import Record, Status
from ..boards import settings_text
from ..rows import config_text, latest
from .verdicts import Finding, RowName, Verdict


class PairedRow(NamedTuple):
    """The runs of one row, before and now, by seed.

    Quality is paired whatever the device was; ``same_device`` says whether cost may be.
    """

    row: RowName
    baseline: dict[int, Record]
    current: dict[int, Record]

    @property
    def devices(self) -> tuple[str, str]:
        """Where the runs were made, before and now."""
        return next(iter(self.baseline.values())).device.group, next(iter(self.current.values())).device.group

    @property
    def same_device(self) -> bool:
        """Whether time may be compared."""
        return len(set(self.devices)) == 1

    @property
    def device(self) -> str:
        """The device, or both."""
        return " → ".join(dict.fromkeys(self.devices))

    @property
    def shared(self) -> list[int]:
        """Seeds that were run on both sides, however they ended."""
        return sorted(self.baseline.keys() & self.current.keys())

    @property
    def finished(self) -> list[tuple[Record, Record]]:
        """Runs that ended well on both sides, seed by seed."""
        pairs = [(self.baseline[seed], self.current[seed]) for seed in self.shared]
        return [(a, b) for a, b in pairs if a.status is Status.OK and b.status is Status.OK]

    def finding(self, what: str, verdict: Verdict, sentence: str) -> Finding:
        """Returns a finding without numbers."""
        return Finding(self.row, self.device, what, verdict, sentence, len(self.finished))


class Paired(NamedTuple):
    """All pairs, and what stays without a partner."""

    pairs: list[PairedRow]
    findings: list[Finding]
    notes: list[str]


def pair_runs(baseline: Iterable[Record], current: Iterable[Record], partial: bool = False) -> Paired:
    """Pairs runs of the same task, method, settings and seed; where a device is in both, runs of that device alone.

    Args:
        baseline: How it was.
        current: How it is.
        partial: Whether rows that were not run now are left out instead of found lacking.
    """
    before, now = _by_row(baseline), _by_row(current)
    made = Paired([], [], [])
    for row in sorted(before.keys() | now.keys()):
        if row not in now and partial:
            continue
        if row not in now:
            made.findings.append(_alone(row, before[row], "it is in the baseline and was not run now."))
        elif row not in before:
            made.notes.append(f"{row} is not in the baseline and is not checked.")
        else:
            _pair_row(row, before[row], now[row], made)
    return made


def run_findings(pair: PairedRow) -> list[Finding]:
    """Returns what is to be said of runs that did not end well or have no partner."""
    if not pair.shared:
        return [pair.finding("runs", Verdict.NOT_COMPARABLE, "baseline and current share no seed.")]
    found = []
    for seed in pair.shared:
        old, new = pair.baseline[seed], pair.current[seed]
        if old.status is Status.OK and new.status is not Status.OK:
            sentence = (
                f"seed {seed} ended well in the baseline and now as {new.status.value}: {new.reason or 'no reason'}"
            )
            found.append(pair.finding("runs", Verdict.REGRESSION, sentence))
    if not found and not pair.finished:
        found.append(pair.finding("runs", Verdict.NOT_COMPARABLE, "no seed ended well in the baseline."))
    return found


def _pair_row(row: RowName, before: Sequence[Record], now: Sequence[Record], made: Paired) -> None:
    hashes = sorted({record.task.sha256 for record in before} & {record.task.sha256 for record in now})
    if not hashes:
        made.findings.append(
            _alone(
                row,
                before,
                "the task's hash differs: another file that defines it, configuration, data, assets or protocol.",
            )
        )
    for sha256 in hashes:
        old, new = (_by_device([r for r in side if r.task.sha256 == sha256]) for side in (before, now))
        for device in sorted(old.keys() & new.keys()):
            made.pairs.append(PairedRow(row, old[device], new[device]))
        if not old.keys() & new.keys():
            made.pairs.append(PairedRow(row, _most_runs(old), _most_runs(new)))


def _by_row(records: Iterable[Record]) -> dict[RowName, list[Record]]:
    rows: dict[RowName, list[Record]] = defaultdict(list)
    for record in latest(records):
        task = settings_text(record.task.config_passed)
        rows[RowName(record.task.name, task, record.method.name, config_text(record))].append(record)
    return rows


def _by_device(records: Iterable[Record]) -> dict[str, dict[int, Record]]:
    devices: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in records:
        devices[record.device.group][record.seed] = record
    return devices


def _most_runs(devices: dict[str, dict[int, Record]]) -> dict[int, Record]:
    (device, _), *_ = Counter({name: len(runs) for name, runs in sorted(devices.items())}).most_common(1)
    return devices[device]


def _alone(row: RowName, records: Sequence[Record], sentence: str) -> Finding:
    return Finding(row, records[0].device.group, "runs", Verdict.NOT_COMPARABLE, sentence)
