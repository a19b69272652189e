"""The bars of runs that go on, each with what it does and how long it will take."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn
from rich.table import Column

from .pace import Course, span

MOST_ROWS = 8
"""Runs that are drawn at a time."""
BAR = 16
"""Characters; the rest of a line of 80 is for words."""


class _Drawn(NamedTuple):
    course: Course
    row: TaskID


class RunBars:
    """A bar a run, and one over all of them where there are several.

    Args:
        console: Where to draw; nothing is drawn on what is no terminal.

    Attributes:
        drawn: Whether anything is.
    """

    def __init__(self, console: Console) -> None:
        self.drawn = console.is_interactive
        self._active: dict[str, _Drawn] = {}
        self._took: list[float] = []
        self._count = self._ended = 0
        self._all: TaskID | None = None
        self._bars = _Bars(console, self._look, disable=not self.drawn)

    def start(self) -> None:
        """Begins to draw."""
        self._bars.start()

    def stop(self) -> None:
        """Takes the bars away."""
        self._bars.stop()

    def plan(self, count: int) -> None:
        """Told how many runs there are."""
        self._count = count
        if count > 1:
            self._all = self._bars.add_task("", total=count, what="", name="", left="")

    def course(self, name: str) -> Course | None:
        """Returns the course of a run that goes on."""
        return self._active[name].course if name in self._active else None

    def show(self, name: str, course: Course) -> None:
        """Draws a run from now on."""
        if name not in self._active:
            self._active[name] = _Drawn(course, self._bars.add_task("", visible=False, what="", name=name, left=""))

    def end(self, name: str, *, kept: bool) -> None:
        """Draws a run no more.

        Args:
            name: The run.
            kept: Whether it was finished before, which tells nothing of the pace.
        """
        self._ended += 1
        drawn = self._active.pop(name, None)
        if drawn is not None:
            self._bars.remove_task(drawn.row)
            if not kept and drawn.course.is_here:
                self._took.append(drawn.course.elapsed)

    def _look(self, tasks: Sequence[Task]) -> None:
        """Brings the bars up to date."""
        active = list(self._active.values())
        here = [drawn for drawn in active if drawn.course.is_here]
        rows = {task.id: task for task in tasks}
        for drawn in active:
            course, share, row = drawn.course, drawn.course.share, rows.get(drawn.row)
            if row is not None:
                row.visible = drawn in here[:MOST_ROWS]
                # Without a total the bar shows that something goes on; an update could not take one away.
                row.total, row.completed = (None, 0.0) if share is None else (1.0, share)
                row.fields |= {"what": course.text, "left": _left(course.left) or span(course.elapsed)}
        if self._all is not None and self._all in rows:
            done = self._ended + sum(drawn.course.share or 0.0 for drawn in here)
            further = len(active) - len(here[:MOST_ROWS])
            what = f"{self._ended} of {self._count} runs" + (f", {further} more going on" if further else "")
            rows[self._all].completed = done
            rows[self._all].fields |= {"what": what, "left": _left(self._all_left([drawn.course for drawn in here]))}

    def _all_left(self, here: list[Course]) -> float | None:
        """Seconds until the last run has ended, if those to come take what those took that this command made."""
        to_come = self._count - self._ended - len(self._active)
        known = [course.left for course in here]
        if not known or None in known or (to_come and not self._took):
            return None
        each = statistics.mean(self._took) if self._took else 0.0
        return max(left for left in known if left is not None) + to_come * each / len(here)


class _Bars(Progress):
    """Bars that ask for what is new each time that they are drawn."""

    def __init__(self, console: Console, look: Callable[[Sequence[Task]], None], *, disable: bool) -> None:
        self._look = look
        words = (
            TextColumn("{task.fields[left]}", justify="right", markup=False),
            TextColumn("{task.fields[what]}", markup=False),
            TextColumn("{task.fields[name]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        )
        super().__init__(BarColumn(BAR), *words, console=console, transient=True, disable=disable, refresh_per_second=4)

    def get_renderables(self) -> Iterable[RenderableType]:
        """See ``Progress``."""
        self._look(self.tasks)
        yield from super().get_renderables()


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{span(seconds)} left" if seconds >= 1 else "any moment"
