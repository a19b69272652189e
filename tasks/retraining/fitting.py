"""How many steps fit into a span of time: a training run measures its own speed, and base and oracles share what there is."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import write_atomically
from ..training.checkpoint import Checkpoint
from ..training.recipe import TrainingRecipe

SAMPLING_SHARE = 0.1
"""Of the time, kept for the oracles' samples."""
FEWEST_STEPS = 100
"""Fewer train nothing that anyone would want to forget from."""
PROBE_STEPS = 8
PROBE_SHARE = 0.01
"""Of the time, or ``PROBE_SECONDS`` if that is more: the shortest stretch of steps whose length is believed."""
PROBE_SECONDS = 1.0

Train = Callable[[int, Callable[[int, int], None], Checkpoint], object]
"""Trains a fresh network for some steps, and returns when the last one is done."""


class Speed(NamedTuple):
    """What a training run takes."""

    start_seconds: float
    """Until its first step is done; of a GPU's first run, with compiling."""
    step_seconds: float


class Schedule(NamedTuple):
    """How base and oracles are trained within a span of time."""

    recipe: TrainingRecipe
    minutes: float
    """The span, judges and samples included."""
    speed: Speed

    def facts(self) -> dict[str, Any]:
        """Returns what a manifest says of it, beside the recipe."""
        return {"minutes": self.minutes, "step_seconds": round(self.speed.step_seconds, 6)}


def measure(train: Train, seconds: float) -> Speed:
    """Returns how fast training is, from a run that is thrown away, repeated with more steps until it is long enough.

    Args:
        train: See ``Train``.
        seconds: What there is for everything.
    """
    steps, shortest = PROBE_STEPS, max(PROBE_SECONDS, PROBE_SHARE * seconds)
    while True:
        begun = time.perf_counter()
        moments: list[float] = []
        with tempfile.TemporaryDirectory(prefix="unlearnbench-") as folder:
            train(steps, partial(_note, moments), Checkpoint(Path(folder) / "probe", {}))
        took = time.perf_counter() - moments[0]
        if took >= shortest:
            return Speed(moments[0] - begun, took / (steps - 1))
        # Aimed a little further than needed, in strides that the first, uncertain times cannot make too long.
        steps *= max(2, min(8, math.ceil(1.2 * shortest / took)))


def _note(moments: list[float], *_: int) -> None:
    moments.append(time.perf_counter())


def fit(recipe: TrainingRecipe, speed: Speed, seconds: float, models: int) -> TrainingRecipe:
    """Returns a recipe of as many steps as some models, one after the other, can take in the time that is left.

    Args:
        recipe: Batch size and learning rate, which stay.
        speed: See ``measure``.
        seconds: What is left, samples included.
        models: How many are to be trained.

    Raises:
        BenchmarkError: The time is too short for training that is worth it.
    """
    of_each = seconds * (1 - SAMPLING_SHARE) / models - speed.start_seconds
    steps = int(of_each / speed.step_seconds)
    if steps < FEWEST_STEPS:
        needed = models * (speed.start_seconds + FEWEST_STEPS * speed.step_seconds) / (1 - SAMPLING_SHARE)
        raise BenchmarkError(
            f"The time suffices for {max(steps, 0)} training steps of each of {models} models, and {FEWEST_STEPS} are the "
            f"fewest; give about {math.ceil((needed - seconds) / 6) / 10:g} minutes more, or a faster device."
        )
    return recipe._replace(steps=steps)


def keep(path: Path, schedule: Schedule) -> None:
    """Writes a schedule, so that training that is interrupted goes on by it."""
    found = {"recipe": schedule.recipe._asdict(), "minutes": schedule.minutes, "speed": schedule.speed._asdict()}
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())


def kept(path: Path, minutes: float) -> Schedule | None:
    """Returns the schedule of training that was interrupted, or None if none was.

    Raises:
        BenchmarkError: It was begun for another span of time, or the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
        schedule = Schedule(TrainingRecipe(**found["recipe"]), float(found["minutes"]), Speed(**found["speed"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise BenchmarkError(f"{path} is no schedule of training; delete it, and what it began starts anew.") from None
    if schedule.minutes != minutes:
        raise BenchmarkError(
            f"Training within {schedule.minutes:g} minutes was begun and not finished; go on with `--minutes "
            f"{schedule.minutes:g}`, or delete {path} and its checkpoint."
        )
    return schedule
