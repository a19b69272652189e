"""How far a run is and how long it will take: from its own pace, and from what earlier runs of its task took."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from ..records.record import Record
from ..records.store import find_record

if TYPE_CHECKING:
    from ..running.plan import Event, Plan

MOST_READ = 4
"""Records of one method that are read: a word on the pace is not worth a wait."""
MOST_METHODS = 4
"""Other methods of a task whose records are read for what its evaluation takes."""
LOAD, UNLEARN, EVALUATE = "load", "unlearn", "evaluate"
PHASES = ("start", LOAD, UNLEARN, EVALUATE)
"""Of a run that is made here; what else is said of one is that others make it."""


PATIENCE = 1.5
"""How many times its usual length a phase may take before its end is anybody's guess."""


class Usual(NamedTuple):
    """What earlier runs took, in seconds; None where no record tells."""

    before: float | None = None
    """Loading and warm-up."""
    unlearn: float | None = None
    evaluate: float | None = None
    steps: int | None = None
    step: float | None = None
    """One step of the method, whatever its settings."""


def usual(item: Plan, folders: Sequence[Path]) -> Usual:
    """Returns what a run may be expected to take.

    Args:
        item: The run.
        folders: Records of earlier runs; what the first of them tells counts.
    """
    found = Usual()
    for folder in folders:
        told = _told(item, folder)._asdict()
        found = found._replace(**{name: told[name] for name, known in found._asdict().items() if known is None})
        if None not in found:
            break
    return found


def _told(item: Plan, folder: Path) -> Usual:
    """What one folder's records tell: of the task what its evaluation takes, of the method with these settings the rest."""
    task = folder / item.task.name
    own = [record for record in _records(folder, task / item.method.name) if _alike(record, item)]
    same = [record for record in own if record.method.config == item.method.config]
    # Of any method: the evaluation knows none.
    judged = own or [record for record in _of_others(folder, task) if _alike(record, item)]
    return Usual(
        before=_median(_seconds(record, LOAD, "warmup") for record in own or judged),
        unlearn=_median(_seconds(record, UNLEARN) for record in same),
        evaluate=_median(_seconds(record, EVALUATE) for record in judged),
        steps=next((record.cost.steps for record in same if record.cost), None),
        step=_median(_step(record) for record in own if record.method.name == item.method.name),
    )


def _of_others(folder: Path, task: Path) -> list[Record]:
    methods = sorted(path for path in task.iterdir() if path.is_dir()) if task.is_dir() else []
    return [record for method in methods[:MOST_METHODS] for record in _records(folder, method, 1)]


def _records(folder: Path, method: Path, most: int = MOST_READ) -> list[Record]:
    """The newest records of a method; what is none is passed over."""
    paths = [path for path in method.glob("seed*.json") if path.is_file()]
    newest = sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:most]
    read = (find_record(folder, str(path.relative_to(folder))) for path in newest)
    return [record for record in read if record is not None and record.cost is not None]


def _alike(record: Record, item: Plan) -> bool:
    """Whether a record is of a run that takes about as long: on the same kind of device, and of a task of the same size."""
    sizes = [{k: v for k, v in task.config.items() if not k.startswith("forget")} for task in (record.task, item.task)]
    return sizes[0] == sizes[1] and record.device.kind == item.device.kind


def _seconds(record: Record, *names: str) -> float | None:
    phases = record.cost.phases if record.cost is not None else []
    took = [sum(phase.seconds) for phase in phases if phase.name in names and phase.clock == "host"]
    return sum(took) if took else None


def _step(record: Record) -> float | None:
    took = _seconds(record, UNLEARN)
    return took / record.cost.steps if took and record.cost is not None and record.cost.steps else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


class Course:
    """One run from its start on.

    Args:
        expected: What it may be expected to take.
        clock: Seconds that only grow.
    """

    def __init__(self, expected: Usual, clock: Callable[[], float] = monotonic) -> None:
        self._expected = expected
        self._clock = clock
        self._start = self._since = clock()
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None
        self._of: int | None = None
        self._pace: float | None = None
        self.phase = "start"

    def follow(self, event: Event) -> None:
        """Takes note of what happens to the run."""
        if event.step is None:
            self.phase, self._since = event.phase, self._clock()
            if event.phase == LOAD:
                # Also of a run that is made again, since nobody knew how it had ended.
                self._first = self._last = self._pace = None
            return
        self._last = event.step.number, self._clock()
        self._first = self._first or self._last
        if self._first[0] < self._last[0]:
            self._pace = (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])
        self._of = event.step.of or self._expected.steps

    @property
    def is_here(self) -> bool:
        """Whether the run goes on here, and not on a cluster or with another runner."""
        return self.phase in PHASES

    @property
    def text(self) -> str:
        """Where the run is, such as ``unlearn 12/50``."""
        if self.phase != UNLEARN or self._last is None:
            return self.phase
        return f"{self.phase} {self._last[0]}/{self._of}" if self._of else f"{self.phase} {self._last[0]}"

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def in_phase(self) -> float:
        """Seconds since the phase began."""
        return self._clock() - self._since

    @property
    def left(self) -> float | None:
        """Seconds until the end, or None where nothing tells."""
        if not self.is_here:
            return None
        to_come = [self._phase_left()]
        if self.phase != EVALUATE:
            to_come.append(self._evaluate)
        if self.phase not in (EVALUATE, UNLEARN):
            to_come.append(self._expected.unlearn)
        known = [seconds for seconds in to_come if seconds is not None]
        return sum(known) if len(known) == len(to_come) else None

    @property
    def share(self) -> float | None:
        """How much of the run is done; of a run of unknown length, how many of the method's steps."""
        left = self.left
        if left is not None:
            return self.elapsed / max(1e-9, self.elapsed + left)
        if self.phase == UNLEARN and self._last is not None and self._of:
            return min(1.0, self._last[0] / self._of)
        return None

    def _phase_left(self) -> float | None:
        if self.phase == UNLEARN and self._pace and self._last is not None and self._of:
            number, at = self._last
            return max(0.0, (self._of - number) * self._pace - (self._clock() - at))
        known = {EVALUATE: self._evaluate, UNLEARN: self._expected.unlearn}
        usual = known.get(self.phase, self._expected.before)
        # What takes far longer than it used to tells that nothing is known of it.
        return None if usual is None or self.in_phase > PATIENCE * usual + 1 else max(0.0, usual - self.in_phase)

    @property
    def _evaluate(self) -> float | None:
        """What the evaluation will take, if this machine is as much slower there as it was in the method's steps."""
        usual, step = self._expected.evaluate, self._expected.step
        return usual if usual is None or not step or not self._pace else usual * self._pace / step


def span(seconds: float | None) -> str:
    """Returns a span of time such as ``1:05`` for a minute and five seconds; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
