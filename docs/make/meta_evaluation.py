"""Tests the test: ``python -m unlearnbench.docs.make.meta_evaluation FOLDER TASK…``.

Models that hold the forgotten class and models that do not (``model_pool``) are evaluated as a run's are, and scored. A number
that cannot tell the two apart is none to rank by. Every evaluation is kept in the folder as it comes, so that a stopped one
goes on; ``docs/meta-evaluation.json`` holds what was found, and ``docs/meta-evaluation.md`` is rendered from that file.

Example::

    python -m unlearnbench.docs.make.meta_evaluation ~/pool digits-ddpm digits-dit
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from ...benchmark.family import Track
from ...benchmark.measuring.device import CPU, describe_device
from ...benchmark.measuring.provenance import collect_provenance
from ...benchmark.records.files import write_atomically
from ...benchmark.records.record import MethodInfo, Record, utc_now
from ...benchmark.records.store import read_record, record_bytes
from ...benchmark.running.identity import RunIdentity, make_task, task_info
from ...benchmark.running.torch_setup import configure_torch
from ...leaderboard.markdown import markdown_table
from ...leaderboard.scoring import Anchors, RunScore, score_run
from ...tasks.class_forgetting import evaluation
from ...tasks.class_forgetting.task import ClassForgettingTask
from ...tasks.retraining.retrained import OneClassTask
from .model_pool import Specimen, specimens

RESULTS = Path(__file__).parents[1] / "meta-evaluation.json"
PAGE = RESULTS.with_suffix(".md")
DRAWS = 1000
"""Of the bootstrap."""
OTHER_STEPS, OTHER_SAMPLES = 30, 252
"""Solver steps that the score is held against, and samples in each set."""


class Telling(NamedTuple):
    """How well a number tells models that hold the class from models that do not."""

    auc: float
    low: float
    high: float


def telling(holding: Sequence[float], free: Sequence[float]) -> Telling:
    """Returns the area under the curve with its interval, by resampling the models of either kind."""
    generator = np.random.default_rng(0)
    without = [False] * len(holding) + [True] * len(free)

    def area(*sides: Sequence[float]) -> float:
        return float(roc_auc_score(without, np.concatenate(sides)))

    def again(values: Sequence[float]) -> list[float]:
        return [values[index] for index in generator.integers(len(values), size=len(values))]

    drawn = [area(again(holding), again(free)) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Telling(area(holding, free), float(low), float(high))


def evaluated(task: OneClassTask, specimen: Specimen, folder: Path) -> Record:
    """Returns the evaluation of a model as a record, made now or earlier."""
    info = task_info(task)
    file = folder / f"{specimen.name}.json"
    if file.exists():
        found = read_record(file)
        if found.task.sha256 == info.sha256:
            return found
    seed = specimen.oracle or 0
    method = MethodInfo(
        name=specimen.row,
        role="reference",
        source_sha256=info.source_sha256 or info.sha256,
        distribution="unlearnbench",
        config={},
        config_passed={},
    )
    identity = RunIdentity(info, method, seed, describe_device(CPU, 1))
    record = identity.record(utc_now(), task.evaluate(specimen.make(), seed, CPU))
    write_atomically(file, record_bytes(record))
    return record


def examine(task: OneClassTask, folder: Path) -> dict[str, Any]:
    """Evaluates the pool of a task and returns what it shows.

    Args:
        task: The task.
        folder: Where models and evaluations are kept.
    """
    pool = list(specimens(task, folder, _tell))
    records = {}
    for specimen in pool:
        records[specimen.name] = evaluated(task, specimen, folder / task.name / "evaluations")
        _tell(f"{task.name} {specimen.name}")
    found: dict[str, Any] = {"task": task.name, "sha256": task.sha256(), "tracks": {}}
    for track in task.family.tracks:
        anchors = Anchors(list(records.values()), track)
        scores = {name: score_run(record, track, anchors) for name, record in records.items()}
        numbers = {
            "score": {name: run.score for name, run in scores.items()},
            "forgotten": {name: run.forgotten for name, run in scores.items()},
        }
        numbers |= {
            part.key: {name: run.components[part.key] for name, run in scores.items()} for part in track.components
        }
        found["tracks"][track.name] = {
            "models": [
                {"name": one.name, "kind": one.kind, "holds": one.holds, "utility": scores[one.name].utility}
                | {key: values[one.name] for key, values in numbers.items()}
                for one in pool
            ],
            "telling": {key: telling(*_parted(pool, values))._asdict() for key, values in numbers.items()},
            "judges": _swapped(records, track, scores),
        }
    if isinstance(task, ClassForgettingTask):
        found["sampler"] = _other_sampler(task, pool, records, folder)
        found["seconds"] = _seconds(task)
    return found


def _seconds(task: ClassForgettingTask) -> dict[str, float]:
    """What an evaluation takes of the processor, whoever else uses it: the attackers, and all else."""
    model = task.load_model(task.base_file)
    exam = task.exam(task.other_oracles(model), CPU)
    spent = []
    # The first one keeps the features of real pictures on the disk.
    for chosen in (replace(exam, budget=None), replace(exam, budget=None), exam):
        start = time.process_time()
        evaluation.evaluate(chosen, model, 0, CPU)
        spent.append(time.process_time() - start)
    return {"attackers": spent[2] - spent[1], "rest": spent[1]}


def _parted(pool: Iterable[Specimen], values: dict[str, float]) -> tuple[list[float], list[float]]:
    """The values of models that hold the class, and of those that do not."""
    sides: dict[bool, list[float]] = {True: [], False: []}
    for one in pool:
        sides[one.holds].append(values[one.name])
    return sides[True], sides[False]


def _swapped(records: dict[str, Record], track: Track, scores: dict[str, RunScore]) -> dict[str, float]:
    """Kendall's tau of the order under each judge alone and the order under all of them."""
    judges = sorted({metric.judge for record in records.values() for metric in record.metrics if metric.judge})
    everyone = [run.score for run in scores.values()]
    taus = {}
    for judge in judges:
        seen = {name: _by(judge, record) for name, record in records.items()}
        anchors = Anchors(list(seen.values()), track)
        alone = [score_run(record, track, anchors).score for record in seen.values()]
        taus[judge] = float(stats.kendalltau(everyone, alone).statistic)
    return taus


def _by(judge: str, record: Record) -> Record:
    """The record without what other judges say, where this one says something."""
    asked = {metric.name for metric in record.metrics if metric.judge == judge}
    kept = [metric for metric in record.metrics if metric.judge in (None, judge) or metric.name not in asked]
    return record.model_copy(update={"metrics": kept})


def _other_sampler(
    task: ClassForgettingTask, pool: Sequence[Specimen], records: dict[str, Record], folder: Path
) -> dict[str, Any]:
    """What becomes of the score when samples are drawn with more solver steps; the probes draw none."""
    again = {}
    for one in pool:
        file = folder / task.name / f"evaluations-{OTHER_STEPS}-steps" / f"{one.name}.json"
        if not file.exists():
            exam = task.exam(task.other_oracles(model := one.make()), CPU)
            counts = dict.fromkeys(exam.drawing.counts, OTHER_SAMPLES)
            sampler = replace(exam.drawing.sampler, steps=OTHER_STEPS)
            drawing = replace(exam.drawing, sampler=sampler, counts=counts)
            found = evaluation.evaluate(replace(exam, drawing=drawing, budget=None), model, one.oracle or 0, CPU)
            names = {metric.name for metric in found.report.metrics}
            kept = [metric for metric in records[one.name].metrics if metric.name not in names]
            changed = records[one.name].model_copy(update={"metrics": [*found.report.metrics, *kept]})
            write_atomically(file, record_bytes(changed))
        again[one.name] = read_record(file)
        _tell(f"{task.name} {one.name}, {OTHER_STEPS} steps")
    track = task.family.tracks[0]
    sides = [
        {n: score_run(r, track, Anchors(list(rs.values()), track)).score for n, r in rs.items()}
        for rs in (records, again)
    ]
    moves = {name: abs(sides[0][name] - sides[1][name]) for name in records}
    tau = stats.kendalltau(*(list(side.values()) for side in sides)).statistic
    most = max(moves, key=moves.__getitem__)
    return {"steps": OTHER_STEPS, "samples": OTHER_SAMPLES, "tau": float(tau), "largest": moves[most], "of": most}


def render(found: dict[str, Any]) -> str:
    """Returns the page of what was found, task by task."""
    parts = [INTRODUCTION]
    for task in found.values():
        parts.append(f"## `{task['task']}`\n")
        for name, track in task["tracks"].items():
            keys = list(track["telling"])
            parts.append(f"### {name.capitalize()}\n" if name else "")
            parts.append(_telling_table(track["telling"]) + "\n")
            rows = [
                [
                    one["name"],
                    one["kind"],
                    "yes" if one["holds"] else "no",
                    *(f"{one[k]:.3f}" for k in (*keys, "utility")),
                ]
                for one in sorted(track["models"], key=lambda one: (-one["score"], one["name"]))
            ]
            parts.append(markdown_table(["model", "what it is", "holds it", *keys, "utility"], rows) + "\n")
            taus = ", ".join(f"{judge} {tau:.2f}" for judge, tau in track["judges"].items())
            parts.append(f"Kendall's tau of the order under one judge alone and under all: {taus}.\n")
        if "sampler" in task:
            found_with = task["sampler"]
            parts.append(
                f"With {found_with['steps']} solver steps and {found_with['samples']} samples a set, Kendall's tau with the "
                f"order above is {found_with['tau']:.2f}; the score that moves most, that of `{found_with['of']}`, moves by "
                f"{found_with['largest']:.3f}.\n"
            )
        if "seconds" in task:
            spent = task["seconds"]
            parts.append(
                f"The attackers take {spent['attackers']:.1f} s of the processor in an evaluation, all else "
                f"{spent['rest']:.1f} s: they add {spent['attackers'] / spent['rest']:.0%}.\n"
            )
    return "\n".join(parts)


def _telling_table(found: dict[str, Any]) -> str:
    rows = [[key, f"{one['auc']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}"] for key, one in found.items()]
    return markdown_table(["number", "AUC", "95 %"], rows)


INTRODUCTION = """\
# The test, tested

Written by `python -m unlearnbench.docs.make.meta_evaluation`; the numbers are in [meta-evaluation.json](meta-evaluation.json).

A score of forgetting is worth as much as it tells models that hold a class from models that do not. Below, both kinds
are scored: the original, fine-tunes on retained data, edits of the label's embedding, wrappers, and models that were
retrained with a few pictures of the class hold it; models that were retrained without it, by the oracles' recipe and
by others, do not. The AUC is the share of pairs of one model of either kind in which the number is larger for the one
without the class; its interval resamples models. An oracle is scored by the other oracles. *Forgotten* is the mean of the
components, *score* that times utility: a model that was retrained badly holds nothing of the class and scores little all
the same, and the AUC of the score counts that against it.
"""


def _tell(what: str, done: int = 1, total: int = 1) -> None:
    if done == total:
        sys.stderr.write(f"{what}\n")


def main(folder: str, *tasks: str) -> None:
    """Examines tasks, and writes the page and its numbers anew."""
    configure_torch(1)
    for name in tasks:
        task = make_task(name, {})
        assert isinstance(task, OneClassTask)
        found = examine(task, Path(folder))
        context = {"device": describe_device(CPU, 1).group, "packages": collect_provenance().packages}
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known = dict(sorted({**known, name: found | context}.items()))
        write_atomically(RESULTS, json.dumps(known, indent=1).encode() + b"\n")
        write_atomically(PAGE, render(known).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
