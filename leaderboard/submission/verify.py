"""Says whether a run that was made again agrees with its record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ...benchmark import registry
from ...benchmark.errors import BenchmarkError
from ...benchmark.records.record import FILE, Metric, Record, Status, utc_now
from ...benchmark.running.identity import Configured, check_files, make_task, method_info, weights_info
from ..attestations import Attestation, Statement, digest
from ..work import COUNTS

Verdict = Literal["same", "inside", "not judged", "differs"]


class Agreement(NamedTuple):
    """One number of the record beside the same number of the new run."""

    name: str
    stored: float | None
    again: float | None
    verdict: Verdict
    """``inside``: not equal, and within the stored interval. ``not judged``: it has no interval, on another device."""


class Verification(NamedTuple):
    """A record, the run made again, and what came of the comparison."""

    record: Record
    again: Record
    comparisons: list[Agreement]
    attestation: Path

    @property
    def agrees(self) -> bool:
        """Whether every number that can be judged agrees."""
        return all(item.verdict != "differs" for item in self.comparisons)


def check_same_sources(record: Record, weights: Path | None = None) -> None:
    """Raises if the task, the method or the weights are others than the record's, so that a run of them would say nothing.

    Args:
        record: The record.
        weights: The file of weights that were made elsewhere.

    Raises:
        BenchmarkError: They are, or a name is not registered, or the weights are lacking.
    """
    if record.is_run != (weights is None):
        raise BenchmarkError(
            "The record is of a run, which leaves its weights anew; leave --weights out."
            if record.is_run
            else "The record is of weights that were made elsewhere; give their file with --weights FILE."
        )
    task, name = record.task.name, record.method.name
    unknown = [f"task '{task}'"] if task not in registry.tasks.names() else []
    unknown += [f"method '{name}'"] if record.is_run and name not in registry.methods.names() else []
    if unknown:
        be, their = ("is", "its file") if len(unknown) == 1 else ("are", "the files of both")
        raise BenchmarkError(
            f"The {' and the '.join(unknown)} {be} not part of the suite; give {their} with --plugin FILE."
        )
    if weights is None:
        pair = Configured.of(task, name, record.settings)
        made, method = pair.task, method_info(pair.method)
        instead = f"with another version of the method '{name}'; give that file with --plugin."
    else:
        made, method = make_task(task, record.settings), weights_info(name, weights)
        instead = (
            f"of other weights than those in {weights}; give the file with the SHA-256 {record.method.source_sha256}."
        )
    if (method.source_sha256, method.config) != (record.method.source_sha256, record.method.config):
        raise BenchmarkError(f"The record was made {instead}")
    check_files(made)
    if made.sha256() != record.task.sha256:
        way_out = "; give that file with --plugin" if record.task.distribution == FILE else " than this release's"
        raise BenchmarkError(f"The record was made on another version of the task '{task}'{way_out}.")


def compare(record: Record, again: Record) -> list[Agreement]:
    """Compares every metric and every count of a record with those of the run made again."""
    if record.status is not again.status:
        return [Agreement(f"status {record.status.value}, now {again.status.value}", None, None, "differs")]
    if record.status is not Status.OK:
        return [Agreement(f"status {record.status.value}", None, None, "same")]
    same_machine = (record.device, record.provenance.packages) == (again.device, again.provenance.packages)
    return [*_metrics(record, again, same_machine), *_counts(record, again)]


def attestation_path(folder: Path, record: Record) -> Path:
    """Returns where the attestation of a record made again goes."""
    return folder / f"{record.task.name}-{record.method.name}-seed{record.seed}-{record.run_id[:12]}.json"


def attest(record: Record, again: Record, comparisons: list[Agreement]) -> Attestation:
    """Returns what the comparison says of the record."""
    judged = [item for item in comparisons if item.verdict != "not judged"]
    differs = [item.name[:200] for item in comparisons if item.verdict == "differs"]
    statement = Statement(
        run_id=record.run_id, sha256=digest(record), agrees=not differs, compared=len(judged), differs=differs[:20]
    )
    return Attestation(
        kind="rerun",
        created=utc_now(),
        suite_version=again.provenance.suite_version,
        device=again.device.group,
        statements=[statement],
    )


def _metrics(record: Record, again: Record, same_machine: bool) -> Iterator[Agreement]:
    new = again.metrics_by_key()
    for key, metric in record.metrics_by_key().items():
        name = " ".join(str(part) for part in key if part is not None)
        other = new.get(key)
        value = other.value if other is not None else None
        yield Agreement(name, metric.value, value, _verdict(metric, other, same_machine))


def _verdict(stored: Metric, again: Metric | None, same_machine: bool) -> Verdict:
    if again is None:
        return "differs"
    if stored.value == again.value:
        return "same"
    if stored.value is None or again.value is None or stored.ci_low is None or stored.ci_high is None:
        # Where nothing says how far a number may lie, only the same machine has to find it again.
        return "differs" if same_machine else "not judged"
    slack = 1e-9 * max(1.0, abs(stored.value))
    inside = stored.ci_low - slack <= again.value <= stored.ci_high + slack
    return "inside" if inside and math.isfinite(again.value) else "differs"


def _counts(record: Record, again: Record) -> Iterator[Agreement]:
    # Records of earlier releases did not count all of it.
    counted = [name for name in COUNTS if name != "backward_samples" or getattr(record.cost, name, None) is not None]
    for name in counted if record.is_run else ():
        stored, now = (getattr(run.cost, name, None) for run in (record, again))
        yield Agreement(name.replace("_", " "), stored, now, "same" if stored == now else "differs")
