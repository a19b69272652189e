"""What the user sees while runs are made."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from .. import registry
from ..command_line import command
from ..errors import shortened
from ..records import places
from ..records.places import model_filename
from ..records.record import FILE
from .consoles import say
from .pace import Course, span, usual
from .run_bars import RunBars

if TYPE_CHECKING:
    from ..checking.report import CheckReport
    from ..records.record import Metric, Record
    from ..running.plan import Event, Plan


def write_whatever_there_is() -> None:
    """Has a terminal that lacks a character, such as a dash, show a question mark in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_remarks(console: Console, problems: Iterable[str], notes: Iterable[str]) -> None:
    """Prints what is wrong with records that were read, and what else is worth a word of them."""
    for note in notes:
        say(console, f"note: {note}")
    for problem in problems:
        say(console, f"[red]error:[/red] {escape(problem)}", markup=True)


GAP = 2
"""Characters between two columns of a table: the padding and the box's line."""


class RunProgress:
    """A bar for each run that goes on, one over all of them, and a line for each that ended.

    Args:
        console: Where to draw; what is no terminal gets a line a phase instead of bars.
        clock: Seconds that only grow.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        self._console = console
        self._clock = clock
        self._bars = RunBars(console)
        self._failed = self._ended = self._total = 0
        self._warned: set[tuple[str, str]] = set()

    def __enter__(self) -> RunProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._console.print("Stopped. What is finished is kept; the same command goes on from there.")
            if str(error):
                self._console.print(str(error), markup=False)

    def plan(self, count: int) -> None:
        """Told how many runs there are."""
        self._total = count
        self._bars.plan(count)

    def event(self, event: Event) -> None:
        """Told what happens."""
        spec, name = event.plan.spec, event.plan.title
        self._warn_of_another_source(event.plan)
        if event.record is not None:
            self._bars.end(name, kept=event.phase == "kept")
            self._end(escape(name), event, event.record)
            return
        course = self._bars.course(name) or Course(
            usual(event.plan, (spec.results, places.SHIPPED_RESULTS)), self._clock
        )
        course.follow(event)
        self._bars.show(name, course)
        if not self._bars.drawn and event.step is None and event.phase != "start":
            left = f", about {span(course.left)} left" if course.left else ""
            self._console.print(f"{name}: {course.text}{left}", style="dim", markup=False)

    def _warn_of_another_source(self, item: Plan) -> None:
        """Once a row: what a search found for another version of a method's file may not suit it."""
        tuned, method = item.spec.tuned, item.method
        row = item.task.name, method.name
        if tuned is None or tuned.source_sha256 == method.source_sha256 or method.distribution != FILE:
            return
        if row not in self._warned:
            self._warned.add(row)
            again = command("tune", *row, plugins=item.spec.plugins)
            say(
                self._console,
                f"note: the file of '{method.name}' has changed since its settings on {item.task.name} were searched; "
                f"search again with `{again}`, or run it with --settings paper.",
            )

    def _end(self, name: str, event: Event, record: Record) -> None:
        self._ended += 1
        # Where there are no bars, this is all that says how much is still to come.
        place = f", {self._ended} of {self._total}" if self._total > 1 and not self._bars.drawn else ""
        if record.status != "ok":
            self._failed += 1
            say(self._console, f"[red]{record.status.value}[/red] {name}: {escape(record.reason or '')}", markup=True)
            if event.log:
                self._console.print(event.log, style="dim", markup=False)
        elif event.phase == "kept":
            self._console.print(f"[dim]kept[/dim] {name}{place}")
        else:
            seconds = record.cost.unlearn_seconds if record.cost else None
            took = "" if seconds is None else f" (unlearning took {seconds:.1f} s)"
            self._console.print(f"[green]done[/green] {name}{took if record.is_run else ' (cost unknown)'}{place}")
        if record.weights is not None and record.weights.left_behind:
            left = shortened(record.weights.left_behind)
            say(
                self._console,
                f"[yellow]left behind[/yellow] {name}: {escape(left)}; weights alone are judged",
                markup=True,
            )

    def exit_code(self, failure: int) -> int:
        """Returns 0 if every run ended well."""
        return failure if self._failed else 0

    @staticmethod
    def print_records(
        console: Console,
        records: list[Record],
        results: Path,
        scores: Mapping[str, Sequence[float]],
        *,
        kept: bool = False,
    ) -> None:
        """Prints score and headline metrics of some records, where they are, and what to look at next.

        Args:
            console: Where to print.
            records: What to print.
            results: The folder of the records.
            scores: Of those that have some, by ``run_id``.
            kept: Whether the weights are beside them.
        """
        measured = {metric.name for record in records for metric in record.metrics}
        shown = [name for name in _headlines(records) if name in measured]
        columns = {
            "forget": [_asked(record) for record in records],
            "seed": [str(record.seed) for record in records],
            "status": [record.status.value for record in records],
            "score": [" / ".join(f"{one:.2f}" for one in scores.get(record.run_id, ())) or "–" for record in records],
            **{name.replace("_", " "): [headline(record.metrics, name) for record in records] for name in shown},
        }
        console.print(_table(columns, console.width))
        for settings in dict.fromkeys(map(_settings, records)):
            console.print(settings, markup=False)
        for record in records:
            console.print(str(results / record.filename), markup=False)
            if kept and record.weights is not None:
                console.print(str(results / model_filename(record.filename)), markup=False)
        if scores:
            again = "" if results == Path("results") else f" --results {results}"
            console.print(
                f"A score of 0 is the untouched model's, 1 is retraining's. Where it stands: unlearnbench board{again}",
                markup=False,
            )


def _table(columns: dict[str, list[str]], width: int) -> Table:
    """A table of the first columns that there is room for."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown: list[list[str]] = []
    used = 0
    for title, cells in columns.items():
        used += max(map(len, (title, *cells))) + GAP
        if used <= width or not shown:
            table.add_column(title, no_wrap=True)
            shown.append(cells)
    for row in zip(*shown, strict=True):
        table.add_row(*row)
    return table


def _asked(record: Record) -> str:
    """What was to be forgotten, without the setting's name."""
    return ", ".join(map(str, (record.task.request or {}).values())) or "–"


def _settings(record: Record) -> str:
    """Where a run's settings came from, and what they are."""
    method = record.method
    origins = {"tuned": f"tuned by {method.trials} trials", "paper": "the method's own", "set": "set by hand"}
    settings = " ".join(f"{name}={value}" for name, value in method.config.items())
    return f"Settings ({origins.get(method.settings_from or '', 'unknown')}): {settings or 'none'}"


def _headlines(records: list[Record]) -> list[str]:
    """The quantities that the families of some records want to see first."""
    tasks = {record.task.family: record.task for record in records}.values()
    families = [registry.family_of(task) for task in tasks]
    shown = [quantity.name for family in families if family for quantity in family.quantities if quantity.headline]
    return list(dict.fromkeys(shown))


@contextmanager
def check_progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Yields a callback that draws how many of a check's runs are done."""
    with _bar(console, transient=True) as bar:
        row = bar.add_task("watched runs", total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)


def print_report(console: Console, report: CheckReport) -> None:
    """Prints the outcome of every check, with what to mend or to know, or why the check is there."""
    colours = {"pass": "green", "fail": "red", "skip": "dim", "note": "yellow"}
    table = Table("", "check", "", box=box.SIMPLE_HEAD)
    for result in report.results:
        colour = colours[result.outcome]
        said = (
            escape(result.reason) if result.outcome in ("fail", "note", "skip") else f"[dim]{escape(result.why)}[/dim]"
        )
        table.add_row(f"[{colour}]{result.outcome}[/{colour}]", result.check, said)
    console.print(table)
    failed = len(report.failures)
    found = f"{failed} of {len(report.results)} checks failed" if failed else "It keeps the contract"
    what = f"'{report.task}'" if report.method is None else f"'{report.method}' on '{report.task}'"
    say(console, f"{what}, {report.seconds:.0f} s. {found}.")


def headline(metrics: list[Metric], name: str) -> str:
    """Returns a metric's values, one a judge, as a table shows them."""
    values = [metric.value for metric in metrics if metric.name == name]
    return " / ".join("–" if value is None else f"{value:.3f}" for value in values) or "–"


class PreparationProgress:
    """One bar for each thing that is being made."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._rows: dict[str, TaskID] = {}

    @property
    def made(self) -> list[str]:
        """What was made so far."""
        return list(self._rows)

    def __call__(self, what: str, done: int, total: int) -> None:
        """See ``task.Progress``."""
        if what not in self._rows:
            self._rows[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._rows[what], completed=done, total=total)


@contextmanager
def task_progress(console: Console) -> Iterator[PreparationProgress]:
    """Yields a callback that draws what is being made."""
    with _bar(console, TimeRemainingColumn()) as bar:
        yield PreparationProgress(bar)


def _bar(console: Console, *further: ProgressColumn, transient: bool = False) -> Progress:
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), *further)
    return Progress(*columns, TextColumn("{task.description}"), console=console, transient=transient)
