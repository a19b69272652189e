"""The search that defaults come from: ``python -m unlearnbench.tasks.class_forgetting.search METHOD TRIAL...``.

At most five trials a method, on digits that the board does not forget, judged without any oracle. Of the trials that stay
within the board's limits for retain accuracy and FID, the one wins that leaves the least of the forgotten class; if none
does, the one with the highest retain accuracy. Every trial is kept in ``docs/search.json``; search one method at a time.

Example::

    python -m unlearnbench.tasks.class_forgetting.search rgd '{"lr": 1e-4}' '{"lr": 2e-4}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import torch

from ...benchmark import metrics
from ...benchmark.run import make_method, make_task
from ...benchmark.store import write_atomically
from ..common.judging import BATCH, features, score
from .evaluation import draw_samples
from .task import ClassForgettingTask

TASK = "digits-ddpm"
FORGET_CLASSES = (1, 7)
MOST_TRIALS = 5
SAMPLES = {"forget": 200, "retain": 270, "null": 200}
RESULTS = Path(__file__).parents[2] / "docs" / "search.json"
LOSS_OF_ACCURACY, GROWTH_OF_FID = 0.05, 1.5
"""The board's limits."""

CPU = torch.device("cpu")


def look(method_name: str, settings: dict[str, Any]) -> dict[str, float]:
    """Runs one trial and returns its numbers, means over the forget classes."""
    found: dict[str, list[float]] = {}
    for digit in FORGET_CLASSES:
        task = cast(ClassForgettingTask, make_task(TASK, {"forget_class": digit}))
        method = make_method(method_name, settings)
        problem = task.problem(method, 0, CPU)
        method.unlearn(problem)
        for name, value in _numbers(task, problem.model.eval()).items():
            found.setdefault(name, []).append(value)
    return {name: round(sum(values) / len(values), 4) for name, values in found.items()}


def _numbers(task: ClassForgettingTask, model: torch.nn.Module) -> dict[str, float]:
    drawn = draw_samples(task, model, 0, SAMPLES)
    judge = next(iter(task.load_judges().values()))
    pool = task.training_pool()
    real = features(judge, (images for images, _ in pool.where(pool.labels != task.forget_class).ordered(BATCH)))
    retain = score(judge, drawn.retain)
    return {
        "forget_accuracy": float((score(judge, drawn.forget).labels == task.forget_class).float().mean()),
        "unconditional": float((score(judge, drawn.null).labels == task.forget_class).float().mean()),
        "retain_accuracy": float((retain.labels == drawn.retain_labels).float().mean()),
        "fid_retain": metrics.frechet_distance(retain.features, real),
    }


def best(trials: list[dict[str, Any]], original: dict[str, float]) -> dict[str, Any]:
    """Returns the winning trial."""
    kept = [
        trial
        for trial in trials
        if trial["retain_accuracy"] >= original["retain_accuracy"] - LOSS_OF_ACCURACY
        and trial["fid_retain"] <= GROWTH_OF_FID * original["fid_retain"]
    ]
    if kept:
        return min(kept, key=lambda trial: (trial["forget_accuracy"], trial["fid_retain"]))
    return max(trials, key=lambda trial: trial["retain_accuracy"])


def main(method: str, *trials: str) -> None:
    """Runs trials of one method and adds them to those on file."""
    torch.set_num_threads(1)
    spent = len(_on_file().get(method, []))
    if spent + len(trials) > MOST_TRIALS:
        raise SystemExit(f"{spent} and {len(trials)} trials are more than the {MOST_TRIALS} that every method has.")
    rows = []
    for trial in trials or ("{}",):
        rows.append({"settings": json.loads(trial), **look(method, json.loads(trial))})
        sys.stdout.write(f"{method} {json.dumps(rows[-1])}\n")
        sys.stdout.flush()
    everything = _on_file()
    everything[method] = everything.get(method, []) + rows
    write_atomically(RESULTS, (json.dumps(dict(sorted(everything.items())), indent=1) + "\n").encode())


def _on_file() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
