"""The search that settings on ``digits-mae`` come from: ``python -m unlearnbench.docs.make.search_image_to_image METHOD``.

Of the trials that cost the retained digits' hole error at most 5 %, the one wins that suppresses most; if none stays
within, the one that costs least. Every trial is kept in ``docs/search-digits-mae.json``.

Example::

    python -m unlearnbench.docs.make.search_image_to_image li2024 '{"lr": 1e-3}' '{"lr": 1e-3, "alpha": 1.0}'
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torch import nn

from ...tasks.image_to_image.evaluation import fill_pool, fill_with_noise
from .search import Search, Trial

if TYPE_CHECKING:
    from ...tasks.digits_mae import DigitsMAE

LOSS = 0.05


class ImageToImageSearch(Search["DigitsMAE"]):
    """On the digits 1 and 7 of ``digits-mae``."""

    task = "digits-mae"
    forget_classes = (1, 7)
    file = "search-digits-mae.json"

    def numbers(self, task: DigitsMAE, model: nn.Module) -> dict[str, float]:
        """See ``Search.numbers``."""
        original, drawing = task.load_model("base.safetensors"), task.drawing()
        forget, retain = (fill_pool(drawing, model, pool, 0) for pool in ("forget", "retain"))
        before = {pool: float(fill_pool(drawing, original, pool, 0).errors().mean()) for pool in ("forget", "retain")}
        noise = float(fill_with_noise(task.name, task.pixel_moments(), forget, 0).errors().mean())
        return {
            "suppression": (float(forget.errors().mean()) - before["forget"]) / (noise - before["forget"]),
            "retain_change": float(retain.errors().mean()) / before["retain"] - 1,
        }

    def best(self, trials: list[Trial], original: Trial) -> Trial:
        """See ``Search.best``."""
        kept = [trial for trial in trials if trial["retain_change"] <= original["retain_change"] + LOSS]
        if kept:
            return max(kept, key=lambda trial: trial["suppression"])
        return min(trials, key=lambda trial: trial["retain_change"])


if __name__ == "__main__":
    ImageToImageSearch().main(*sys.argv[1:])
