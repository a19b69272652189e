"""A page a task: all its boards, the essential columns first, each request apart, and what a browser sets side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment
from scipy import special

from ...benchmark.metrics.intervals import LEVEL
from ..boards import Case
from ..by_request import RequestPart, by_request
from ..columns import Column, Where, columns_of
from ..ranking import Ranking
from ..ranks import verdicts
from ..row import Row
from . import plots
from .curves import curves_of
from .facts import task_facts
from .pictures import PageImages
from .shown import Shown

ESSENTIAL = {"rank", "method", "score", "ci_low", "utility", "retraining", "settings_from"}
"""Columns of the board's list that the page shows in its own way; the components are the others."""


class BoardView(NamedTuple):
    """A board as the page shows it."""

    shown: Shown
    components: list[str]
    further: list[Column]
    """The columns that are one click away."""
    parts: list[tuple[Row, list[RequestPart | None]]]
    """Every row request by request, where there are several."""
    harm: plots.Chart | None
    cost: plots.Chart | None


def task_pages(environment: Environment, boards: Sequence[Shown], pictures: PageImages) -> Iterator[tuple[str, bytes]]:
    """Yields the page of every task with the data that stand beside it, and their paths."""
    by_page: dict[str, list[Shown]] = {}
    for board in boards:
        by_page.setdefault(board.page, []).append(board)
    template = environment.get_template("task.html.j2")
    for page, these in by_page.items():
        task = these[0].ranking.task
        views = [_view(board) for board in these]
        html = template.render(task=task, facts=task_facts(task), views=views, plots=plots, root="../")
        yield page, html.encode()
        data = json.dumps({board.anchor: board_data(board, pictures) for board in these}, separators=(",", ":"))
        stem = page.removesuffix(".html")
        yield f"{stem}.json", data.encode()
        # A page that is opened from a disk may not fetch a file, but may load a script.
        yield f"{stem}.js", f"window.taskBoards = {data};\n".encode()
        yield from pictures.take()


def _view(board: Shown) -> BoardView:
    ranking = board.ranking
    links = {name: f"../{link}" for name, link in board.links.items()}
    components = [part.key for part in ranking.track.components]
    further = [column for column in columns_of(ranking, Where.SITE) if column.key not in {*ESSENTIAL, *components}]
    requests = ranking.requests if len(ranking.requests) > 1 else []
    parts = [(row, _in_order(ranking, row)) for row in ranking.rows] if requests else []
    return BoardView(
        board,
        components,
        further,
        parts,
        plots.harm_chart(ranking.rows, links),
        plots.cost_chart(ranking, ranking.rows, links),
    )


def _in_order(ranking: Ranking, row: Row) -> list[RequestPart | None]:
    found = {part.request: part for part in by_request(ranking, row)}
    return [found.get(request) for request in ranking.requests]


def board_data(board: Shown, pictures: PageImages) -> dict[str, Any]:
    """Returns a board as the browser sets its rows side by side: scores by case, who is better than whom, pictures, curves."""
    rows = board.ranking.rows
    cases = sorted({case for row in rows for case in row.cases})
    several = len({case.request for case in cases}) > 1
    scored = [index for index, row in enumerate(rows) if row.rank is not None]
    better = verdicts(
        [rows[index].scores for index in scored], lambda index, case: rows[scored[index]].error(case)
    ).better
    beaten: dict[int, list[int]] = {
        index: [scored[other] for other in better[place].nonzero()[0]] for place, index in enumerate(scored)
    }
    return {
        "title": board.ranking.title,
        "cases": [case.label(several) for case in cases],
        "requests": [case.request for case in cases],
        "quantiles": [float(special.stdtrit(n, 0.5 + LEVEL / 2)) for n in range(1, max(2, len(cases)))],
        "rows": [_row_data(board, row, cases, beaten.get(index, []), pictures) for index, row in enumerate(rows)],
    }


def _row_data(
    board: Shown, row: Row, cases: Sequence[Case], beaten: Sequence[int], pictures: PageImages
) -> dict[str, Any]:
    galleries = {run.case: pictures.name(run.record.gallery.png_base64) for run in row.runs if run.record.gallery}
    return {
        "name": row.name,
        "link": board.links[row.name],
        "role": row.role,
        "ranks": row.rank_range,
        "score": row.score,
        "components": {part.key: row.component(part.key) for part in board.ranking.track.components},
        "harm": row.harm,
        "cost": None if row.retraining is None else row.retraining.value,
        "scores": [row.scores.get(case) for case in cases],
        "better_than": list(map(int, beaten)),
        "galleries": [galleries.get(case) for case in cases],
        "curves": {request: curves for request in row.requests if (curves := curves_of(row, request))},
    }
