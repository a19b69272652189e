"""The evaluation protocol of one-shot forgetting: what an edited autoencoder draws from its prior.

Beside the finished model, the protocol looks for the step at which the forgotten class fell below the task's threshold: it
makes the run again with the same seed, untimed, and looks at the model after every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.errors import Diverged
from ...benchmark.family import Family
from ...benchmark.method import Method
from ...benchmark.metrics import measures
from ...benchmark.metrics.intervals import Interval
from ...benchmark.metrics.measures import FRECHET, KERNEL, PRDC, Computation, Measured, Reference, Undefined
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..data.pools import ImagePool
from ..judges.fixed import fixed_features
from ..judges.judge import Judge, Scored, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from . import vae
from .problem import OneShotProblem

PRIOR_SAMPLES = 2000
PROBE_SAMPLES = 500
PROBE_PART = 100
"""Of these, how many are judged at a time: most models on the way are far above the threshold."""
REFERENCE_IMAGES = 5000
"""Real images that samples are compared with, at most."""
BOUND_IMAGES = 256
FEWEST = 100
"""Samples that a Frechet distance needs at least."""
GALLERY_ROWS = 6
EVIDENCE_BOUND = Computation("evidence-bound")
FIRST_STEP = Computation("first-step")


def sample_counts() -> dict[str, int | float]:
    """Returns how many samples each measurement uses."""
    return {"prior": PRIOR_SAMPLES, "probe": PROBE_SAMPLES, "reference": REFERENCE_IMAGES, "bound": BOUND_IMAGES}


@dataclass(frozen=True)
class Exam:
    """All that a model is measured by. The task fills it, so that nothing here knows the task."""

    task: str
    """Its name, from which the noise's seeds follow."""
    family: Family
    sampling: str
    """How samples are drawn, in one line."""
    num_classes: int
    forget_class: int
    latent: int
    """Dimensions of the latent space."""
    threshold: float
    """The share of the forgotten class below which a method counts as having reached its goal."""
    judges: Mapping[str, Judge]
    real: ImagePool
    """Real training images, in [0, 1]."""
    test: ImagePool
    """Real test images, in [-1, 1]."""
    data_sha256: str
    oracle_samples: Tensor
    """What the oracles to compare with draw, pooled."""
    oracles_sha256: str
    again: Callable[[], OneShotProblem] | None
    """Returns the problem as the run had it; None for the oracle, which takes no steps."""


class Reached(NamedTuple):
    """The step at which the forgotten class fell below the threshold, and the samples of that model."""

    step: int
    images: Tensor


def draw_samples(task: str, latent: int, model: nn.Module, seed: int | str) -> Tensor:
    """Draws from the prior. The noise depends on the seed and the task's name."""
    return vae.sample(model, PRIOR_SAMPLES, latent, derive_seed(task, "sample", seed))


def evaluate(exam: Exam, model: nn.Module, method: Method, seed: int, device: torch.device) -> Evaluation:
    """Measures an edited model. See ``Task.evaluate``."""
    judges = exam.judges
    report = Report(exam.family, exam.sampling, judges)
    drawn = draw_samples(exam.task, exam.latent, model, seed)
    scored = {name: score(judge, drawn) for name, judge in judges.items()}
    for name, found in scored.items():
        _shares(exam, report, name, found)
    main = next(iter(judges))
    pool = exam.real
    kept = pool.images[pool.labels != exam.forget_class][:REFERENCE_IMAGES]
    everything = fixed_features(judges[main], pool.images[:REFERENCE_IMAGES] * 2 - 1)
    real = Reference(fixed_features(judges[main], kept * 2 - 1))
    _quality(exam, report, main, scored[main], real)
    outside = measures.Manifold(everything).share_outside(scored[main].features)
    report.add("off_manifold", outside, judge=main)
    _distance_to_oracles(exam, report, main, scored[main])
    _bounds(exam, report, model, seed, device)
    _at_threshold(exam, report, main, real, _threshold_step(exam, judges[main], method, seed))
    return Evaluation(report.metrics, _gallery(drawn))


def _shares(exam: Exam, report: Report, name: str, found: Scored) -> None:
    """What one judge takes the samples for."""
    shares = {label: measures.proportion(found.labels == label) for label in range(exam.num_classes)}
    report.add("feature_ratio", shares[exam.forget_class], judge=name)
    for label, share in shares.items():
        report.add("sample_share", share, judge=name, label=label)


def _quality(exam: Exam, report: Report, name: str, found: Scored, real: Reference) -> None:
    """How close the samples are to real retained images: all of them, and those that are not of the forgotten class."""
    reference = exam.data_sha256

    kept = found.features[(found.labels != exam.forget_class).numpy()]
    measured: dict[str, Measured | Undefined] = {"fid": measures.fid(found.features, real)}
    if len(kept) < FEWEST:
        for metric, by in (("fid_retain", FRECHET), ("kid_retain", KERNEL), ("coverage", PRDC)):
            measured[metric] = Undefined(len(kept), by)
    else:
        measured |= {"fid_retain": measures.fid(kept, real), "kid_retain": measures.kid(kept, real)}
        measured |= measures.prdc(kept, real)._asdict()
    for metric, number in measured.items():
        report.add(metric, number, judge=name, reference_sha256=reference)


def _distance_to_oracles(exam: Exam, report: Report, name: str, found: Scored) -> None:
    theirs = fixed_features(exam.judges[name], exam.oracle_samples)
    report.add(
        "oracle_distance",
        measures.fid(found.features, theirs),
        judge=name,
        reference_sha256=exam.oracles_sha256,
    )


def _bounds(exam: Exam, report: Report, model: nn.Module, seed: int, device: torch.device) -> None:
    """The negative evidence lower bound on test images, in nats an element."""
    test = exam.test
    forgotten = test.labels == exam.forget_class
    for name, mask in (("forget", forgotten), ("retain", ~forgotten)):
        images = ((test.images[mask][:BOUND_IMAGES] + 1) / 2).to(device)
        generator = torch.Generator().manual_seed(derive_seed(exam.task, "bound", name, seed))
        noise = torch.randn((len(images), exam.latent), generator=generator).to(device)
        with torch.inference_mode():
            values = vae.evidence_loss(model, images, noise).double().cpu().numpy()
        report.add(
            f"bound_{name}",
            measures.mean(values)._replace(by=EVIDENCE_BOUND),
            reference_sha256=exam.data_sha256,
            protocol=f"{len(values)} test images, one latent each",
        )


class _Enough(Exception):
    """Ends a run that was made again as soon as it reached the threshold."""


def _threshold_step(exam: Exam, judge: Judge, method: Method, seed: int) -> Reached | None:
    """Makes the run again and returns the first step after which the forgotten class is below the threshold."""
    if exam.again is None:
        return None
    # As the worker does, for methods that draw from PyTorch's own generator.
    torch.manual_seed(derive_seed("global", seed))
    problem = exam.again()
    problem.warm_up()
    problem.meter.reset()
    wanted = derive_seed(exam.task, "probe", seed)
    reached: list[Reached] = []
    inside = False

    def look() -> None:
        nonlocal inside
        inside = not inside
        if inside:
            return
        images = vae.sample(problem.model, PROBE_SAMPLES, exam.latent, wanted)
        if _is_rare(judge, images, exam.forget_class, exam.threshold):
            reached.append(Reached(problem.meter.steps, vae.sample(problem.model, PRIOR_SAMPLES, exam.latent, wanted)))
            raise _Enough

    problem.meter.on_step = look
    with contextlib.suppress(_Enough, Diverged):
        method.unlearn(problem)
    return reached[0] if reached else None


def _is_rare(judge: Judge, images: Tensor, label: int, threshold: float) -> bool:
    """Returns whether no larger share of samples is of a class; looks at no more of them than it takes to say no."""
    hits = 0
    for part in images.split(PROBE_PART):
        hits += int((score(judge, part).labels == label).sum())
        if hits > threshold * len(images):
            return False
    return True


def _at_threshold(exam: Exam, report: Report, name: str, real: Reference, reached: Reached | None) -> None:
    """The steps to the threshold, and the quality there: methods compared at the same degree of forgetting."""
    steps: Measured | Undefined = Undefined(PROBE_SAMPLES, FIRST_STEP)
    quality: Measured | Undefined = Undefined(PRIOR_SAMPLES, FRECHET)
    if reached is not None:
        steps = Measured(reached.step, Interval(reached.step, reached.step), PROBE_SAMPLES, "none", FIRST_STEP)
        quality = measures.fid(score(exam.judges[name], reached.images).features, real)
    protocol = f"first step with a share below {exam.threshold:g} of {PROBE_SAMPLES} samples"
    report.add("steps_to_threshold", steps, judge=name, protocol=protocol)
    report.add("fid_at_threshold", quality, judge=name, protocol=protocol, reference_sha256=exam.data_sha256)


def _gallery(drawn: Tensor) -> Gallery:
    parts = drawn[: GALLERY_ROWS * GALLERY_COLUMNS].split(GALLERY_COLUMNS)
    return gallery({f"samples {index + 1}": part for index, part in enumerate(parts)})
