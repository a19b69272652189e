"""The search that defaults come from: ``python -m unlearnbench.docs.make.search_class_forgetting METHOD TRIAL...``.

Of the trials that stay within the board's limits for retain accuracy and FID, the one wins that leaves the least of the
forgotten class; if none does, the one with the highest retain accuracy. Every trial is kept in ``docs/search.json``.

Example::

    python -m unlearnbench.docs.make.search_class_forgetting rgd '{"lr": 1e-4}' '{"lr": 2e-4}'
"""

from __future__ import annotations

import dataclasses
import sys

from torch import nn

from ...benchmark.metrics import measures
from ...tasks.class_forgetting.evaluation import draw_samples
from ...tasks.class_forgetting.task import ClassForgettingTask
from ...tasks.judges.judge import features, score
from .search import Search, Trial

SAMPLES = {"forget": 200, "retain": 270, "null": 200}
LOSS_OF_ACCURACY, GROWTH_OF_FID = 0.05, 1.5
"""The board's limits."""


class ClassForgettingSearch(Search[ClassForgettingTask]):
    """On the digits 1 and 7 of ``digits-ddpm``."""

    task = "digits-ddpm"
    forget_classes = (1, 7)
    file = "search.json"

    def numbers(self, task: ClassForgettingTask, model: nn.Module) -> dict[str, float]:
        """See ``Search.numbers``."""
        drawn = draw_samples(dataclasses.replace(task.drawing(), counts=SAMPLES), model, 0)
        judge = next(iter(task.load_judges().values()))
        pool = task.training_pool()
        kept = pool.where(pool.labels != task.forget_class)
        real = features(judge, kept.images)
        retain = score(judge, drawn.retain)
        return {
            "forget_accuracy": float((score(judge, drawn.forget).labels == task.forget_class).float().mean()),
            "unconditional": float((score(judge, drawn.null).labels == task.forget_class).float().mean()),
            "retain_accuracy": float((retain.labels == drawn.retain_labels).float().mean()),
            "fid_retain": measures.frechet_distance(retain.features, real),
        }

    def best(self, trials: list[Trial], original: Trial) -> Trial:
        """See ``Search.best``."""
        kept = [
            trial
            for trial in trials
            if trial["retain_accuracy"] >= original["retain_accuracy"] - LOSS_OF_ACCURACY
            and trial["fid_retain"] <= GROWTH_OF_FID * original["fid_retain"]
        ]
        if kept:
            return min(kept, key=lambda trial: (trial["forget_accuracy"], trial["fid_retain"]))
        return max(trials, key=lambda trial: trial["retain_accuracy"])


if __name__ == "__main__":
    ClassForgettingSearch().main(*sys.argv[1:])
