"""The boards as plain data: every row, and every row request by request."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..attestations import Attestations
from ..by_request import flat_parts
from ..columns import Where, columns_of
from ..ranking import Ranking


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
    yield (
        "board.csv",
        _csv([{key: value for key, value in row.items() if key != "by_request"} for row in rows]).encode(),
    )
    yield "board.json", json.dumps(rows, indent=1).encode()
    yield "requests.csv", _csv(parts).encode()


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
