"""Keeps the boards of the committed records: ``python -m unlearnbench.docs.make.version NAME "WHAT ITS RULES WERE"``."""

from __future__ import annotations

import sys

from ...benchmark.records.store import load_records
from ...leaderboard.ranking import rank_all
from ...leaderboard.versions import VERSIONS, Version, kept_rows
from .results import RESULTS


def version(name: str, rules: str) -> Version:
    """Returns the boards as they stand; the day is that of the newest record, so that the same records are the same bytes."""
    records = load_records([RESULTS]).records
    day = max(record.created for record in records)[:10]
    return Version(name=name, day=day, rules=rules, rows=kept_rows(rank_all(records)))


if __name__ == "__main__":
    kept = version(*sys.argv[1:3])
    VERSIONS.mkdir(exist_ok=True)
    (VERSIONS / f"{kept.name}.json").write_text(kept.model_dump_json(indent=1) + "\n")
