"""A comparison as plain data, for JSON and for data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...benchmark.metrics.intervals import Interval
from ..boards import Case
from ..ranks import SIGNIFICANCE
from .board_pairs import BoardPairs
from .pairs import POWER, Difference, Pair


def plain(boards: Sequence[BoardPairs]) -> dict[str, Any]:
    """Returns everything as lists, dictionaries, texts and numbers."""
    return {
        "significance": SIGNIFICANCE,
        "power": POWER,
        "boards": [
            board._asdict()
            | {
                "rows": [
                    row._asdict() | {"interval": _ends(row.interval), "cases": _plain_cases(row.cases)}
                    for row in board.rows
                ],
                "pairs": [_plain_pair(pair) for pair in board.pairs],
            }
            for board in boards
        ],
    }


def _plain_pair(pair: Pair) -> dict[str, Any]:
    return pair._asdict() | {
        "better": pair.better,
        "verdict": pair.verdict,
        "cases": _plain_cases(pair.cases),
        "score": _plain_difference(pair.score) if pair.score else None,
        "parts": [_plain_difference(part) for part in pair.parts],
        "needed": pair.needed._asdict() if pair.needed else None,
        "time": pair.time._asdict() | {"interval": _ends(pair.time.interval)} if pair.time else None,
    }


def _plain_difference(part: Difference) -> dict[str, Any]:
    return part._asdict() | {"interval": _ends(part.interval)}


def _plain_cases(cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [case._asdict() for case in cases]


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def flat(boards: Sequence[BoardPairs]) -> list[dict[str, Any]]:
    """Returns one row a pair and number, for a data frame."""
    rows = []
    for board in boards:
        where = {"task": board.task, "task_config": board.task_config, "track": board.track}
        for pair in board.pairs:
            both = {**where, "first": pair.first, "second": pair.second}
            for part in ([pair.score] if pair.score else []) + pair.parts:
                rows.append(both | _flat_difference(part) | (_flat_verdict(pair) if part.kind == "score" else {}))
            if pair.time is not None:
                low, high = pair.time.interval or (None, None)
                numbers = {"value": pair.time.value, "ci_low": low, "ci_high": high, "runs": pair.time.runs}
                rows.append(both | {"kind": "ratio", "number": "unlearn_seconds"} | numbers)
    return rows


def _flat_difference(part: Difference) -> dict[str, Any]:
    low, high = part.interval or (None, None)
    return {
        "kind": part.kind,
        "number": part.name,
        "first_mean": part.first,
        "second_mean": part.second,
        "value": part.value,
        "ci_low": low,
        "ci_high": high,
        "p_value": part.p_value,
        "runs": part.runs,
    }


def _flat_verdict(pair: Pair) -> dict[str, Any]:
    return {
        "p_holm": pair.p_holm,
        "better": pair.better,
        "seeds_needed": pair.needed.seeds if pair.needed else None,
        "verdict": pair.verdict,
    }
