"""A page a method: all its tasks, settings, attacks and samples on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment

from ...benchmark.records.record import Record
from ..overall import Contender, chosen_rows
from ..row import Row
from . import curves, sensitivity
from .curves import CurveChart, curve_charts
from .facts import method_facts, task_facts
from .pictures import PageImages, Sheet, anchor_rows, sheets
from .sensitivity import Search, search_of
from .shown import Shown, method_page


class Standing(NamedTuple):
    """A row of the method with its board."""

    board: Shown
    row: Row
    ranked: int
    """Rows of that board that have a rank."""


class OnTask(NamedTuple):
    """What the method did on a task, with its chosen settings."""

    board: Shown
    row: Row
    charts: list[CurveChart]
    lines: list[list[Sheet]]

    @property
    def first(self) -> Record:
        """Its first run."""
        return self.row.records[0]


class Setting(NamedTuple):
    """A setting of the method: the paper's value, and what was run."""

    name: str
    paper: Any
    used: list[Any]
    """By task."""


def method_pages(
    environment: Environment, boards: Sequence[Shown], pictures: PageImages
) -> Iterator[tuple[str, bytes]]:
    """Yields the page of every method with its path."""
    rows: dict[str, list[Standing]] = {}
    for board in boards:
        ranked = sum(row.rank is not None for row in board.ranking.rows)
        for row in board.ranking.rows:
            rows.setdefault(row.method, []).append(Standing(board, row, ranked))
    chosen = {id(board): chosen_rows(board.ranking) for board in boards}
    anchors = {id(board): anchor_rows(board.ranking) for board in boards}
    template = environment.get_template("method.html.j2")
    for method, found in sorted(rows.items()):
        tasks = _on_tasks(method, found, chosen, anchors)
        html = template.render(
            method=method,
            role=found[0].row.role,
            facts=method_facts(method),
            task_facts=task_facts,
            standings=found,
            tasks=tasks,
            settings=_settings(method, tasks),
            searches=_searches(method, tasks),
            cited=found[0].row.records[0],
            curves=curves,
            sensitivity=sensitivity,
            root="../",
        )
        yield method_page(method), html.encode()
        yield from pictures.take()


def _on_tasks(
    method: str,
    found: Sequence[Standing],
    chosen: Mapping[int, Mapping[Contender, Row]],
    anchors: Mapping[int, Mapping[str, Row]],
) -> list[OnTask]:
    """One board a task and configuration: its tracks are of the same runs."""
    tasks: dict[tuple[str, str, str, bool], OnTask] = {}
    for board, row, _ in found:
        ranking = board.ranking
        key = (ranking.task, ranking.task_config, ranking.task_sha256, row.own)
        if key in tasks or chosen[id(board)].get(Contender(method, row.own)) is not row:
            continue
        beside = anchors[id(board)]
        tasks[key] = OnTask(board, row, curve_charts(row, beside), sheets(row, beside))
    return list(tasks.values())


def _searches(method: str, tasks: Sequence[OnTask]) -> dict[str, Search]:
    """By task: all of its configurations, and the reader's rows, share one search."""
    names = dict.fromkeys(one.board.ranking.task for one in tasks)
    return {task: found for task in names if (found := search_of(task, method)) is not None}


def _settings(method: str, tasks: Sequence[OnTask]) -> list[Setting]:
    facts = method_facts(method)
    paper = facts.settings if facts is not None else {}
    configs = [one.first.method.config for one in tasks]
    names = dict.fromkeys([*paper, *(name for config in configs for name in config)])
    return [Setting(name, paper.get(name, "–"), [config.get(name, "–") for config in configs]) for name in names]
