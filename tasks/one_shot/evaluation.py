"""The evaluation protocol of one-shot forgetting: what an edited autoencoder draws from its prior, and what it still knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics import measures
from ...benchmark.metrics.measures import FRECHET, KERNEL, PRDC, Computation, Measured, Reference, Undefined
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..data.pools import ImagePool
from ..judges.fixed import fixed_features
from ..judges.judge import Judge, Scored, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from . import vae

PRIOR_SAMPLES = 2000
REFERENCE_IMAGES = 5000
"""Real images that samples are compared with, at most."""
BOUND_IMAGES = 256
FEWEST = 100
"""Samples that a Frechet distance needs at least."""
GALLERY_ROWS = 6
EVIDENCE_BOUND = Computation("evidence-bound")


def sample_counts() -> dict[str, int | float]:
    """Returns how many samples each measurement uses."""
    return {"prior": PRIOR_SAMPLES, "reference": REFERENCE_IMAGES, "bound": BOUND_IMAGES}


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
    judges: Mapping[str, Judge]
    real: ImagePool
    """Real training images, in [0, 1]."""
    test: ImagePool
    """Real test images, in [-1, 1]."""
    data_sha256: str
    oracle_samples: Tensor
    """What the oracles to compare with draw, pooled."""
    oracles_sha256: str


def draw_samples(task: str, latent: int, model: nn.Module, seed: int | str) -> Tensor:
    """Draws from the prior. The noise depends on the seed and the task's name."""
    return vae.sample(model, PRIOR_SAMPLES, latent, derive_seed(task, "sample", seed))


def evaluate(exam: Exam, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
    """Measures an edited model. See ``Task.evaluate``."""
    judges = exam.judges
    report = Report(exam.family, exam.sampling, judges)
    drawn = draw_samples(exam.task, exam.latent, model, seed)
    scored = {name: score(judge, drawn) for name, judge in judges.items()}
    for name, found in scored.items():
        _shares(exam, report, name, found)
    main = next(iter(judges))
    everything = fixed_features(judges[main], exam.real.images[:REFERENCE_IMAGES] * 2 - 1)
    real = kept_reference(judges[main], exam.real, exam.forget_class)
    _quality(exam, report, main, scored[main], real)
    _floor(exam, report, main, real)
    outside = measures.Manifold(everything).share_outside(scored[main].features)
    report.add("off_manifold", outside, judge=main)
    _distance_to_oracles(exam, report, main, scored[main])
    _bounds(exam, report, model, seed, device)
    return Evaluation(report.metrics, _gallery(drawn))


def kept_reference(judge: Judge, real: ImagePool, forget_class: int) -> Reference:
    """Returns the real pictures of the retained classes, in [0, 1], in a judge's features."""
    kept = real.images[real.labels != forget_class][:REFERENCE_IMAGES]
    return Reference(fixed_features(judge, kept * 2 - 1))


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


def _floor(exam: Exam, report: Report, name: str, real: Reference) -> None:
    """How far real pictures that nothing was trained on are from those that samples are compared with."""
    held_out = exam.test.images[exam.test.labels != exam.forget_class][:REFERENCE_IMAGES]
    values = fixed_features(exam.judges[name], held_out)
    for metric, measured in (("fid", measures.fid(values, real)), ("kid", measures.kid(values, real))):
        report.add(
            f"{metric}_retain_floor",
            measured,
            judge=name,
            reference_sha256=exam.data_sha256,
            protocol="real test pictures of the retained classes",
        )


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


def _gallery(drawn: Tensor) -> Gallery:
    parts = drawn[: GALLERY_ROWS * GALLERY_COLUMNS].split(GALLERY_COLUMNS)
    return gallery({f"samples {index + 1}": part for index, part in enumerate(parts)})
