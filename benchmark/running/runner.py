"""Sees a list of runs through: skips what is finished, shares the rest with other runners, and loses nothing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from ..errors import NoRecord
from ..records.files import check_writable
from ..records.record import Record, Status
from .claims import Claim, sweep
from .executors import Executor
from .plan import Event, Plan, Tell

LOOK_SECONDS = 0.5
"""Between two looks at runs that other runners have claimed."""
ELSEWHERE = "another runner makes it"
"""The phase of such a run."""


class Stopped(KeyboardInterrupt):
    """The user stopped the runner; its text says what still goes on elsewhere."""


@dataclass
class _Todo:
    """A run that has no record yet, and what was there when this runner began."""

    index: int
    item: Plan
    before: Record | None
    told: bool = False


class Runner:
    """Makes runs, several at a time. Others may work on the same folder: each run is made by one of them.

    Args:
        results: Where records go.
        executor: Makes the runs.
        retry_failed: Whether to make failed runs again.
        on_event: Told what happens; called from several threads, one at a time.
    """

    def __init__(
        self,
        results: Path,
        *,
        executor: Executor,
        retry_failed: bool = False,
        on_event: Tell,
    ) -> None:
        self._results = results
        self._executor = executor
        self._retry_failed = retry_failed
        self._on_event = on_event
        self._lock = threading.Lock()
        self._todo: deque[_Todo] = deque()
        self._running: dict[Future[Record], tuple[_Todo, Claim]] = {}
        self._records: dict[int, Record] = {}
        self._lost: list[str] = []

    def run(self, plans: Iterable[Plan]) -> list[Record]:
        """Makes every run that is not finished and returns all records, in the order of the plans.

        Raises:
            BenchmarkError: A run could not leave its record; the others are kept.
            KeyboardInterrupt: The user stopped it; finished runs are kept.
        """
        check_writable(self._results)
        self._todo.extend(_Todo(index, item, item.find(self._results)) for index, item in enumerate(plans))
        try:
            while self._todo or self._running:
                self._start()
                self._collect()
        except KeyboardInterrupt:
            raise Stopped(self._executor.stop()) from None
        except BaseException:
            # A full disk, say: nothing may go on without anyone to account for it.
            self._executor.stop()
            raise
        finally:
            self._executor.close()
            for _, claim in self._running.values():
                claim.release()
        if self._lost:
            more = f" The same happened to {len(self._lost) - 1} more." if len(self._lost) > 1 else ""
            raise NoRecord(self._lost[0] + more)
        return [self._records[index] for index in sorted(self._records)]

    def _start(self) -> None:
        """Starts as many runs as the executor takes, passing over those that are finished or claimed."""
        for _ in range(len(self._todo)):
            if len(self._running) >= self._executor.capacity:
                break
            todo = self._todo.popleft()
            path = self._results / todo.item.filename
            if self._keep(todo):
                sweep(path)
                continue
            claim = Claim.take(path)
            if claim is None:
                self._pass_over(todo)
            # Another runner may have finished it between the two looks.
            elif self._keep(todo):
                claim.release()
            else:
                self._running[self._executor.submit(todo.item, claim, self._tell)] = todo, claim

    def _collect(self) -> None:
        """Waits for a run to end, but not for long while there are others to look at."""
        if not self._running and self._todo:
            time.sleep(LOOK_SECONDS)
        done, _ = wait(self._running, LOOK_SECONDS if self._todo else None, FIRST_COMPLETED)
        for future in done:
            todo, claim = self._running.pop(future)
            try:
                self._records[todo.index] = future.result()
            except NoRecord as error:
                self._lost.append(str(error))
            finally:
                claim.release()

    def _keep(self, todo: _Todo) -> bool:
        """Takes a finished run's record over. A failed one is made again on demand, unless another runner just did."""
        record = todo.item.find(self._results)
        if record is None or (self._retry_failed and record.status is not Status.OK and record == todo.before):
            return False
        self._records[todo.index] = record
        self._tell(Event(todo.item, "kept", record))
        return True

    def _pass_over(self, todo: _Todo) -> None:
        if not todo.told:
            todo.told = True
            self._tell(Event(todo.item, ELSEWHERE))
        self._todo.append(todo)

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._on_event(event)
