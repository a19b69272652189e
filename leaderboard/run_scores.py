"""Scores of runs just made, beside the reference rows that ship or are in the same folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..benchmark.records.record import Record, Status
from ..benchmark.records.store import load_records
from .ranking import tracks_of
from .scoring import REFERENCES, Anchors, anchor_records, score_run


def run_scores(records: Sequence[Record], results: Path, shipped: Path) -> dict[str, list[float]]:
    """Returns the scores of the runs that can be scored by ``run_id``, one a track of their task.

    Args:
        records: The runs.
        results: The folder that they are in.
        shipped: The folder of the records that ship.
    """
    names = sorted({record.task.name for record in records})
    theirs, own = (
        load_records([place for name in names for row in REFERENCES if (place := folder / name / row).is_dir()]).records
        for folder in (shipped, results)
    )
    found = dict[str, list[float]]()
    for record in records:
        beside = [[one for one in side if one.task.sha256 == record.task.sha256] for side in (theirs, own)]
        references = anchor_records(*beside)
        if record.status is Status.OK and references:
            anchors = [(track, Anchors(references, track, record.task)) for track in tracks_of(record.task)]
            scores = [score_run(record, track, each).score for track, each in anchors if each.note is None]
            if scores:
                found[record.run_id] = scores
    return found
