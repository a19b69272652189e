"""The boards as plain data: every row, and every row request by request, as CSV, JSON and Parquet; and the page of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import Environment

from ..attestations import Attestations
from ..by_request import flat_parts
from ..columns import Where, columns_of
from ..ranking import Ranking
from ..versions import differences, kept_rows, load_versions

MOST_MOVED = 12
"""Rows of a board that the page names; the file holds all."""
_BOARD = {
    "task": "The task's name",
    "task_config": "What was set of the task beside the request",
    "track": "What the board asks: of several of one task, which",
}


def data_files(rankings: Sequence[Ranking], attestations: Attestations) -> Iterator[tuple[str, bytes]]:
    """Yields the files with their paths."""
    rows, parts = [], []
    for ranking in rankings:
        board = {"task": ranking.task, "task_config": ranking.task_config, "track": ranking.track.name}
        columns = columns_of(ranking, Where.DATA)
        for row in ranking.rows:
            whole = board | {column.key: column.value(row) for column in columns}
            each = list(flat_parts(ranking, row))
            rows.append(whole | {"checked": attestations.badge(row.records).text, "by_request": each})
            parts += [
                board | {"method": row.method, "settings": row.config, "own": int(row.own)} | part for part in each
            ]
    flat = [{key: value for key, value in row.items() if key != "by_request"} for row in rows]
    yield "board.json", json.dumps(rows, indent=1).encode()
    for name, table in (("board", flat), ("requests", parts)):
        yield f"{name}.csv", _csv(table).encode()
        yield f"{name}.parquet", _parquet(table)


def data_page(environment: Environment, rankings: Sequence[Ranking]) -> Iterator[tuple[str, bytes]]:
    """Yields the page that says what the files hold and how the boards stood earlier, and those earlier versions."""
    rows, versions = kept_rows(rankings), load_versions()
    earlier = [(version, differences(version, rows)) for version in versions]
    template = environment.get_template("data.html.j2")
    yield "data.html", template.render(columns=_explained(rankings), earlier=earlier, most=MOST_MOVED, root="").encode()
    for version in versions:
        yield f"versions/{version.name}.json", version.model_dump_json(indent=1).encode()


def _explained(rankings: Sequence[Ranking]) -> dict[str, str]:
    """What each column of the boards' data holds; a heading of the tables where there is nothing better."""
    found = dict(_BOARD)
    for ranking in rankings:
        for column in columns_of(ranking, Where.DATA | Where.TABLES | Where.HEAD):
            if column.hint or column.key not in found:
                found[column.key] = column.hint or column.title
    written = {column.key for ranking in rankings for column in columns_of(ranking, Where.DATA)}
    return {key: text for key, text in found.items() if key in written or key in _BOARD}


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    # Loaded where it is needed: a board that is printed alone needs no table.
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.BytesIO()
    pq.write_table(pa.table({field: [row.get(field) for row in rows] for field in fields}), buffer)
    return buffer.getvalue()


def _csv(rows: list[dict[str, Any]]) -> str:
    fields = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def _inert(value: Any) -> Any:
    """Keeps a spreadsheet from reading text of a record as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
