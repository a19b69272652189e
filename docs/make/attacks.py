"""Tries every trick on the score and writes the page of them: ``python -m unlearnbench.docs.make.attacks [NAME ...]``.

Every outcome goes to ``docs/attacks.json`` as soon as it is there; ``docs/attacks.md`` is rendered from that file, between two
marks. Named tricks are tried again, the others only if they have no outcome yet.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import unlearnbench

from ...benchmark.family import Track
from ...benchmark.measuring.device import CPU, describe_device
from ...benchmark.method import Method
from ...benchmark.records import places
from ...benchmark.records.files import write_atomically
from ...benchmark.records.record import Record, utc_now
from ...benchmark.running.identity import RunIdentity, make_method, make_task, method_info, task_info
from ...benchmark.task import Task
from ...leaderboard.markdown import markdown_table
from ...leaderboard.scoring import Anchors, RunScore, combined, score_run
from ...tasks.class_forgetting.probes import Budget
from ...tasks.class_forgetting.task import ClassForgettingTask
from ...tasks.retraining.files import ORACLE_SEEDS
from . import trained_tricks, tricks_on_harness, tricks_on_weights
from .model_pool import left

PAGE = Path(__file__).parents[1] / "attacks.md"
RESULTS = PAGE.with_suffix(".json")
MARKS = "<!-- tricks: {} -->", "<!-- end -->"
SAMPLES = {"forget": 60, "retain": 252, "null": 60}
"""Fewer than a board's, since a trick that leaves its score to sampling is none."""
ASKED_OF = "digits-vae"
"""The task of real runs, which is the fastest."""

Outcome = dict[str, Any]


def tricks(*modules: ModuleType) -> dict[str, type[Method]]:
    """Returns the tricks of some modules by name."""
    return {
        cls.name: cls
        for module in modules
        for cls in vars(module).values()
        if inspect.isclass(cls)
        and issubclass(cls, Method)
        and "name" in vars(cls)
        and cls.__module__ == module.__name__
    }


def few_samples(
    name: str, samples: dict[str, int] | None = None, budget: Budget | None = None, judges: int | None = None
) -> Task:
    """Returns a task that draws few samples; its scores stand beside anchors that were evaluated in the same way.

    Args:
        name: The task's.
        samples: In each set.
        budget: Of the attackers, if not the task's own without the samples that no score has.
        judges: How many of them are asked, if not all.
    """
    kind: Any = type(make_task(name, {}))
    if not issubclass(kind, ClassForgettingTask):
        found: Task = kind()
        return found
    counts = SAMPLES if samples is None else samples
    chosen = budget or replace(kind.budget, samples=0, benign_steps=0)
    attributes = {"sample_counts": lambda self: counts, "budget": chosen, "judge_names": kind.judge_names[:judges]}
    made: Task = type(kind.__name__, (kind,), {"__module__": kind.__module__, **attributes})()
    return made


class Bench:
    """Scores methods on a task, beside the original and the oracles evaluated in the same way."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.track: Track = task.family.tracks[0]
        rows = [("original", 0), *(("oracle", seed) for seed in ORACLE_SEEDS)]
        self.references = [self.record(make_method(name, {}), seed) for name, seed in rows]
        self.anchors = Anchors(self.references, self.track)

    def record(self, method: Method, seed: int = 0) -> Record:
        """Returns the record of a method's weights, evaluated in this process."""
        found = self.task.evaluate(left(self.task, method, seed), seed, CPU)
        identity = RunIdentity(task_info(self.task), method_info(method), seed, describe_device(CPU, 1))
        return identity.record(utc_now(), found)

    def score(self, method: Method) -> RunScore:
        """Returns the score of what a method leaves."""
        return score_run(self.record(method), self.track, self.anchors)


@cache
def bench(name: str) -> Bench:
    """Returns the bench of a task."""
    return Bench(few_samples(name))


def tried_on_weights(trick: type[Method], task: str) -> Outcome:
    """Returns what a trick scores."""
    found = bench(task).score(trick())
    return {
        "score": round(found.score, 3),
        "components": {key: round(value, 2) for key, value in found.components.items()},
        "utility": round(found.utility, 2),
    }


def tried_on_harness(names: Iterable[str]) -> dict[str, Outcome]:
    """Returns what becomes of runs, each in processes of its own, with a cache of their own."""
    found: dict[str, Outcome] = {}
    plugin = Path(tricks_on_harness.__file__)
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get(places.CACHE)
        os.environ[places.CACHE] = folder
        try:
            for name in ("original", *names):
                (record,) = unlearnbench.run(ASKED_OF, name, seeds=[0], plugins=[plugin], results=folder, device="cpu")
                values = [(metric.name, metric.judge, metric.label, metric.value) for metric in record.metrics]
                found[name] = {"status": record.status.value, "reason": record.reason, "values": values}
        finally:
            os.environ.pop(places.CACHE)
            os.environ |= {} if before is None else {places.CACHE: before}
    original = found.pop("original")["values"]
    return {
        name: {
            "outcome": outcome["reason"] or ("as the original" if outcome["values"] == original else "other numbers")
        }
        for name, outcome in found.items()
    }


def read() -> dict[str, dict[str, Outcome]]:
    """Returns the outcomes that are there."""
    empty: dict[str, dict[str, Outcome]] = {"weights": {}, "harness": {}}
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else empty


def tables(found: dict[str, dict[str, Outcome]]) -> dict[str, str]:
    """Returns the page's tables by their marks."""
    known = tricks(tricks_on_weights, trained_tricks)
    rows = []
    for key, outcome in found["weights"].items():
        task, name = key.split("/")
        trick: Any = known[name]
        parts = " ".join(f"{value:.2f}" for value in outcome["components"].values())
        cells = [f"`{name}`", task, _sentence(trick), trick.cost, parts, f"{lifted(outcome):.2f}"]
        rows.append((lifted(outcome), [*cells, f"{outcome['utility']:.2f}", f"{outcome['score']:.3f}"]))
    rows.sort(key=lambda row: -row[0])
    titles = ["trick", "task", "what it does", "cost", "components", "their mean", "utility", "score"]
    on_harness: dict[str, Any] = tricks(tricks_on_harness)
    lines = [
        [f"`{name}`", _sentence(on_harness[name]), outcome["outcome"]] for name, outcome in found["harness"].items()
    ]
    return {
        "weights": markdown_table(titles, (cells for _, cells in rows)),
        "harness": markdown_table(["trick", "what it does", "what becomes of it"], lines),
    }


def lifted(outcome: Outcome) -> float:
    """Returns what a trick would score if it harmed nothing else."""
    return float(combined(outcome["components"].values()))


def rendered(page: str, found: dict[str, dict[str, Outcome]]) -> str:
    """Returns the page with its tables made anew."""
    for name, table in tables(found).items():
        start, end = MARKS[0].format(name), MARKS[1]
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return page


def _sentence(trick: type[Method]) -> str:
    return " ".join((trick.__doc__ or "").split()).replace("|", "/")


def main(names: list[str]) -> int:
    """Tries what is named or has no outcome, and writes the page."""
    found = read()
    known: dict[str, Any] = tricks(tricks_on_weights, trained_tricks)
    for name, trick in known.items():
        for task in trick.tasks:
            key = f"{task}/{name}"
            if name in names or key not in found["weights"]:
                found["weights"][key] = tried_on_weights(trick, task)
                write_atomically(RESULTS, json.dumps(found, indent=1).encode() + b"\n")
                print(key, found["weights"][key], flush=True)  # noqa: T201
    lacking = [name for name in tricks(tricks_on_harness) if name in names or name not in found["harness"]]
    found["harness"].update(tried_on_harness(lacking) if lacking else {})
    write_atomically(RESULTS, json.dumps(found, indent=1).encode() + b"\n")
    write_atomically(PAGE, rendered(PAGE.read_text(), found).encode())
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
