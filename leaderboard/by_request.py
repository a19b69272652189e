"""A row request by request: which class is hard for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .boards import case_of
from .ranking import Ranking
from .row import Row, mean_component


class RequestPart(NamedTuple):
    """What a row did on one request."""

    request: str
    seeds: list[int]
    failed: int
    score: float | None
    """Mean over the seeds; a failed run counts zero. None without reference rows of the request."""
    components: dict[str, float | None]
    """Means over the runs that ended well, and the utility."""


def by_request(board: Ranking, row: Row) -> list[RequestPart]:
    """Returns a row's parts, one a request that it was run with."""
    return [_part(board, row, request) for request in row.requests]


def _part(board: Ranking, row: Row, request: str) -> RequestPart:
    scores = [score for case, score in row.scores.items() if case.request == request]
    runs = [run for run in row.runs if run.case.request == request]
    keys = [*(part.key for part in board.track.components), "utility"]
    scored = bool(scores)
    return RequestPart(
        request,
        sorted(case.seed for case in row.cases if case.request == request),
        sum(case_of(record).request == request for record in row.failures),
        float(np.mean(scores)) if scored else None,
        {key: mean_component(runs, key) if scored else None for key in keys},
    )


def flat_parts(board: Ranking, row: Row) -> Iterator[dict[str, Any]]:
    """Yields the same as plain data."""
    for part in by_request(board, row):
        yield {
            "request": part.request,
            "seeds": len(part.seeds),
            "failed_runs": part.failed,
            "score": part.score,
            **part.components,
        }
