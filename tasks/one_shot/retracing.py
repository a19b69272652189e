"""The step at which a method reached its goal: the run is made again with the same seed, untimed, and looked at step by step.

It belongs to the method's path and not to the weights that it left, so it is measured in the method's own process.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import torch
from torch import Tensor

from ...benchmark.errors import Diverged
from ...benchmark.method import Method
from ...benchmark.metrics import measures
from ...benchmark.metrics.intervals import Interval
from ...benchmark.metrics.measures import FRECHET, Computation, Measured, Reference, Undefined
from ...benchmark.seeds import derive_seed
from ..judges.judge import Judge, score
from ..judges.report import Report
from . import vae
from .evaluation import PRIOR_SAMPLES
from .problem import OneShotProblem

SAMPLES = 500
PART = 100
"""Of these, how many are judged at a time: most models on the way are far above the threshold."""
FIRST_STEP = Computation("first-step")


class Goal(NamedTuple):
    """What a method is to reach."""

    task: str
    """Its name, from which the noise's seeds follow."""
    forget_class: int
    latent: int
    """Dimensions of the latent space."""
    threshold: float
    """The share of the forgotten class below which a method counts as having reached it."""


class Reached(NamedTuple):
    """The step at which the forgotten class fell below the threshold, and the samples of that model."""

    step: int
    images: Tensor


class _Enough(Exception):
    """Ends a run that was made again as soon as it reached the goal."""


def first_step(goal: Goal, problem: OneShotProblem, judge: Judge, method: Method, seed: int) -> Reached | None:
    """Makes the run again and returns the first step after which the forgotten class is below the threshold."""
    # As the worker does, for methods that draw from PyTorch's own generator.
    torch.manual_seed(derive_seed("global", seed))
    problem.warm_up()
    problem.meter.reset()
    wanted = derive_seed(goal.task, "probe", seed)
    reached: list[Reached] = []
    network = problem.model
    inside = False

    def look() -> None:
        nonlocal inside
        inside = not inside
        if inside:
            return
        images = vae.sample(network, SAMPLES, goal.latent, wanted)
        if _is_rare(judge, images, goal):
            reached.append(Reached(problem.meter.steps, vae.sample(network, PRIOR_SAMPLES, goal.latent, wanted)))
            raise _Enough

    problem.meter.on_step = look
    with contextlib.suppress(_Enough, Diverged):
        method.unlearn(problem)
    return reached[0] if reached else None


def _is_rare(judge: Judge, images: Tensor, goal: Goal) -> bool:
    """Returns whether no larger share of samples is of the class; looks at no more of them than it takes to say no."""
    hits = 0
    for part in images.split(PART):
        hits += int((score(judge, part).labels == goal.forget_class).sum())
        if hits > goal.threshold * len(images):
            return False
    return True


def add_to(report: Report, goal: Goal, reached: Reached | None, real: Reference, reference_sha256: str) -> None:
    """Adds the steps to the goal, and the quality there: methods compared at the same degree of forgetting.

    Args:
        report: With one judge.
        goal: What was to be reached.
        reached: What was.
        real: Real pictures of the retained classes, in the judge's features.
        reference_sha256: Of the data.
    """
    ((name, judge),) = report.judges.items()
    assert isinstance(judge, Judge)
    steps: Measured | Undefined = Undefined(SAMPLES, FIRST_STEP)
    quality: Measured | Undefined = Undefined(PRIOR_SAMPLES, FRECHET)
    if reached is not None:
        steps = Measured(reached.step, Interval(reached.step, reached.step), SAMPLES, "none", FIRST_STEP)
        quality = measures.fid(score(judge, reached.images).features, real)
    protocol = f"first step with a share below {goal.threshold:g} of {SAMPLES} samples"
    report.add("steps_to_threshold", steps, judge=name, protocol=protocol)
    report.add("fid_at_threshold", quality, judge=name, protocol=protocol, reference_sha256=reference_sha256)
