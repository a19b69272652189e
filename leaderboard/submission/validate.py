"""What continuous integration runs on a submission: every check, one sentence for each thing that is wrong.

Nothing that a submission brings is run or trusted, and a record that fails one check is not used for the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...benchmark import registry
from ...benchmark.records.record import Identity, Record, Status, utc_now
from ..attestations import Attestation, Statement, digest
from ..boards import BoardKey, Case, board_keys, case_of
from ..ranking import tracks_of
from .layout import METHODS, Contents, Fault, method_path, read_contents
from .plausible import implausible
from .recompute import drift
from .requirements import RowKey, incomplete
from .sources import Sources

_Key = tuple[str, str | None, int | None]
_Way = tuple[str, Identity]
_FEW_STEPS = 3
"""The times of fewer steps may be equal by chance."""


class Validation(NamedTuple):
    """What was found."""

    passed: dict[str, Record]
    """The new records that nothing is wrong with in themselves, by path."""
    recomputed: dict[str, Record]
    """The new records whose numbers follow from one another, whatever file their method has by now, by path."""
    hashes: dict[str, str]
    """Of every file's bytes, by path."""
    new: int
    """How many records were checked."""
    problems: list[Fault]


def validate(folder: Path, accepted: Path | None, *, whole: bool = False, own: Sequence[str] = ()) -> Validation:
    """Checks a submission.

    Args:
        folder: The submission; or, if ``whole``, the folder of all accepted records as it would be after it.
        accepted: The accepted records before it, if there are any.
        whole: Whether everything accepted must still be in the folder, and only what is new is checked.
        own: Methods whose accepted rows and file the submission may change or remove.

    Raises:
        BenchmarkError: A folder does not exist.
    """
    before = read_contents(accepted) if accepted is not None else Contents({}, {}, {}, {}, [])
    after = read_contents(folder, before.hashes if whole else {})
    standing = dict(_standing(before, after, whole, own))
    sources = Sources(after.sources if whole else {**before.sources, **after.sources})
    peers = _Peers(standing.values())
    problems = [*after.problems, *_edits(before, after, whole, own)]
    passed, recomputed = dict[str, Record](), dict[str, Record]()
    for path, record in after.records.items():
        # The later checks compute with what a record says, so that it must be sane first.
        insane = implausible(record, after.texts[path])
        wrong = insane or [*drift(record), *peers.problems(record)]
        found = insane or [*wrong, *sources.problems(record)]
        problems += [Fault(path, sentence) for sentence in found]
        if not wrong:
            recomputed[path] = record
        if not found:
            passed[path] = record
    problems += [*_files(after, standing.values()), *_duplicates(passed, standing)]
    broken = {tuple(fault.path.split("/")[:2]) for fault in problems if fault.path.count("/") == 2}
    lacking = incomplete(list(passed.values()), standing.values(), broken)
    problems += [Fault("", sentence) for sentence in lacking]
    return Validation(passed, recomputed, after.hashes, len(after.records), list(dict.fromkeys(problems)))


def attest(validation: Validation, suite_version: str) -> Attestation:
    """Returns of which records the numbers follow from one another."""
    return Attestation(
        kind="recomputed",
        created=utc_now(),
        suite_version=suite_version,
        statements=[
            Statement(run_id=record.run_id, sha256=digest(record), agrees=True, compared=len(record.metrics))
            for record in sorted(validation.recomputed.values(), key=lambda record: record.filename)
        ],
    )


def _standing(before: Contents, after: Contents, whole: bool, own: Sequence[str]) -> Iterator[tuple[str, Record]]:
    """Yields the accepted records that stand after the submission as they did before it."""
    for path, record in before.records.items():
        untouched = not whole and path not in after.hashes and record.method.name not in own
        if untouched or after.hashes.get(path) == before.hashes[path]:
            yield path, record


def _edits(before: Contents, after: Contents, whole: bool, own: Sequence[str]) -> Iterator[Fault]:
    for path, accepted in before.hashes.items():
        first, second, *_ = path.split("/")
        method = second.removesuffix(".py") if first == METHODS else second
        if method in own:
            continue
        if path in after.hashes:
            if after.hashes[path] != accepted:
                yield Fault(path, "is accepted already, and the submission changes it; put it back as it was.")
        elif whole:
            yield Fault(path, "is accepted already, and the submission removes it; put it back.")


def _files(after: Contents, standing: Iterable[Record]) -> Iterator[Fault]:
    used = {record.method.name for record in [*after.records.values(), *standing]}
    for method in after.sources:
        if registry.methods.is_builtin(method):
            yield Fault(method_path(method), "has the name of a method of the suite; rename it.")
        elif method not in used:
            yield Fault(method_path(method), "is the file of a method that no record is of; remove it.")


def _duplicates(passed: Mapping[str, Record], standing: Mapping[str, Record]) -> Iterator[Fault]:
    """A row has one run a request, seed and device, and no two take the same time to the nanosecond, step by step."""
    runs: dict[tuple[RowKey, str, Case], str] = {}
    times: dict[tuple[float, ...], str] = {}
    together = {**standing, **passed}
    keys: dict[str, BoardKey] = board_keys(together.values())
    for path, record in together.items():
        key = RowKey.of(record, keys), record.device.group, case_of(record)
        first = runs.setdefault(key, path)
        if first != path:
            new = path if path in passed else first
            yield Fault(new, f"is a second run of seed {record.seed} of {key[0].name}; one stays.")
        steps = tuple(record.cost.step_seconds) if record.cost is not None else ()
        if len(steps) >= _FEW_STEPS and times.setdefault(steps, path) != path:
            yield Fault(path, f"has the very times of {times[steps]}, step by step; it is a copy.")


class _Peers:
    """Compares records with the accepted ones of the same task: the same metrics, measured in the same way."""

    def __init__(self, accepted: Iterable[Record]) -> None:
        self._by_task: dict[str, dict[_Key, set[_Way]]] = {}
        for record in accepted:
            if record.status is Status.OK:
                known = self._by_task.setdefault(record.task.sha256, {})
                for key, way in _by_key(record).items():
                    known.setdefault(key, set()).add(way)

    def problems(self, record: Record) -> Iterator[str]:
        """Yields in what way a record was measured differently."""
        theirs = self._by_task.get(record.task.sha256)
        if theirs is None or record.status is not Status.OK:
            return
        mine = _by_key(record)
        lacking = theirs.keys() - mine.keys()
        if not record.is_run:
            # What is measured on the way to weights is not known of those that were made elsewhere, and is not scored.
            scored = {quantity.name for track in tracks_of(record.task) for quantity in track.scored}
            lacking = {key for key in lacking if key[0] in scored}
        if lacking:
            yield f"lacks the metric '{_first(lacking)}', unlike the accepted records of the task."
        if mine.keys() - theirs.keys():
            yield f"holds the metric '{_first(mine.keys() - theirs.keys())}', unlike the accepted records of the task."
        different = [key for key, way in mine.items() if key in theirs and way not in theirs[key]]
        if different:
            yield f"measured '{_first(different)}' in another way than the accepted records of the task."


def _first(keys: Iterable[_Key]) -> str:
    return min(" ".join(str(part) for part in key if part is not None) for key in keys)


def _by_key(record: Record) -> dict[_Key, _Way]:
    """How a record's metrics were measured; which class is the worst is an outcome and no part of it."""
    return {key: (metric.direction, metric.identity) for key, metric in record.metrics_by_key().items()}
