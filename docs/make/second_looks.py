"""Looks twice: ``python -m unlearnbench.docs.make.second_looks RESULTS TASK…``.

A score that another draw of the samples moves is none to rank by. The weights that runs left (``--keep-model``) are evaluated
again with the next seed: other noise, other samples, other fits of the attackers. ``docs/second-looks.json`` holds both scores,
and ``docs/second-looks.md`` is rendered from that file.

Example::

    unlearnbench suite full --results kept --keep-model
    python -m unlearnbench.docs.make.second_looks kept digits-ddpm
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import unlearnbench
from unlearnbench import Record

from ...benchmark.records.files import write_atomically
from ...benchmark.records.places import model_filename
from ...benchmark.records.record import Status
from ...benchmark.records.store import load_records
from ...leaderboard.boards import case_of
from ...leaderboard.markdown import markdown_table
from ...leaderboard.scoring import Anchors, score_run
from ...tasks.class_forgetting.family import FAMILY

RESULTS = Path(__file__).parents[1] / "second-looks.json"
PAGE = RESULTS.with_suffix(".md")
TRACK = FAMILY.tracks[0]
"""The one that boards show first: *forgetting*."""
SEEDS = 3

Looks = dict[str, dict[str, list[float]]]
"""Two scores, by task, and by method and seed."""


def looked_at_twice(task: str, records: list[Record], results: Path) -> Iterator[tuple[str, list[float]]]:
    """Yields what each method's first run with weights scores, and what they score on a second look.

    Args:
        task: The task.
        records: Of that task, the anchors' included.
        results: The folder with records and weights; second looks are kept below it, so that a stopped one goes on.
    """
    requests = {case_of(record).request for record in records}
    anchors = {
        request: Anchors([record for record in records if case_of(record).request == request], TRACK)
        for request in requests
    }
    seen = set()
    for record in sorted(records, key=lambda record: (record.method.name, record.seed)):
        file, name = results / model_filename(record.filename), record.method.name
        if record.status is not Status.OK or name in seen or name in ("original", "oracle") or not file.is_file():
            continue
        seen.add(name)
        other = (record.seed + 1) % SEEDS
        passed, looks = record.task.config_passed, results / "second-looks"
        again = unlearnbench.evaluate(task, file, seed=other, settings=passed, results=looks, device="cpu")
        scores = [score_run(one, TRACK, anchors[case_of(record).request]).score for one in (record, again)]
        yield f"{name}, seed {record.seed}", scores


def render(found: Looks) -> str:
    """Returns the page."""
    parts = [INTRODUCTION]
    for task, looks in found.items():
        moves = {name: abs(two - one) for name, (one, two) in looks.items()}
        most = max(moves, key=moves.__getitem__)
        rows = [
            [name, *(f"{score:.3f}" for score in looks[name]), f"{moves[name]:.3f}"]
            for name in sorted(looks, key=lambda name: -looks[name][0])
        ]
        parts.append(f"## `{task}`\n")
        parts.append(markdown_table(["weights", "first look", "second look", "moved by"], rows) + "\n")
        parts.append(f"Of {len(moves)} methods' weights, those of {most} move most: by {moves[most]:.3f}.\n")
    return "\n".join(parts)


INTRODUCTION = """\
# Second looks

Written by `python -m unlearnbench.docs.make.second_looks`; the numbers are in [second-looks.json](second-looks.json).

Weights that a run left, judged with the run's seed and with another: other noise, other samples, other fits of the
attackers, and the original of that seed beside them. How far a score moves says how much of it is a matter of luck in
judging, whatever luck there was in unlearning.
"""


def main(folder: str, *tasks: str) -> None:
    """Looks twice, and writes the page and its numbers anew."""
    results = Path(folder)
    known: Looks = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for task in tasks:
        records = load_records([results / task]).records
        known[task] = {}
        for name, scores in looked_at_twice(task, records, results):
            known[task][name] = scores
            sys.stderr.write(f"{task} {name}: {scores[0]:.3f} {scores[1]:.3f}\n")
    write_atomically(RESULTS, json.dumps(dict(sorted(known.items())), indent=1).encode() + b"\n")
    write_atomically(PAGE, render(known).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
