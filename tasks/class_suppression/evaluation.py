"""What is drawn from an edited DiT and measured on it. Samples are decoded and judged batch by batch and then let go.

There is no oracle at this scale, so nothing is compared with one: the suppression track.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics import measures
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..class_forgetting.sampler import Sampler
from ..data.pools import to_bytes
from ..judges.judge import Extractor, Judge, features, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from .base import Shapes
from .problem import Precision, in_precision

DESTINATIONS = 10
"""Classes that the forgotten label's samples are most often taken for; a thousand would fill the record."""
MANIFOLD_IMAGES = 5000
"""Images of either set that precision, recall, density and coverage compare: all their distances must fit into memory."""
TILE = 64
"""Width of a picture in the gallery."""
SHOWN_CLASSES = (387, 980)
"""Retained classes in the gallery: two of those that SFRon's authors look at."""


Features = NDArray[np.float32]
"""``(N, D)``, at half of a judge's precision: those of fifty thousand samples are kept until the end."""


class Reference(NamedTuple):
    """Real images in the features of the distances."""

    features: Features
    labels: Tensor
    sha256: str


@dataclass(frozen=True)
class Exam:
    """All that a model is measured by. The task fills it, so that nothing here knows the task."""

    task: str
    """Its name, from which the noise's seeds follow."""
    family: Family
    shapes: Shapes
    forget_class: int
    near: list[int]
    """The retained classes that are most like the forgotten one."""
    wanted: Mapping[str, Tensor]
    """The labels that samples are drawn with, set by set."""
    sampler: Sampler
    gallery_sampler: Sampler
    precision: Precision
    """Of the passes through the model."""
    vae: nn.Module
    """Decodes latents."""
    decode_batch: int
    """Latents decoded at a time."""
    judges: Mapping[str, Judge]
    extractor: tuple[str, Extractor] | None
    """See ``look``, with its name."""
    reference: Reference
    """Real images of all classes."""


class Seen(NamedTuple):
    """What judges, and what gives the features of the distances, say of some images."""

    features: Features
    labels: dict[str, Tensor]
    """``(N,)`` by judge."""


def look(judges: Mapping[str, Judge], extractor: Extractor | None, images: Tensor) -> Seen:
    """Returns what is kept of bytes, ``(N, C, H, W)``.

    Args:
        judges: By name; the first one's features serve the distances unless there is an extractor.
        extractor: What gives their features instead.
        images: The bytes.
    """
    found = {name: score(judge, images) for name, judge in judges.items()}
    values = next(iter(found.values())).features if extractor is None else features(extractor, images)
    return Seen(values.astype(np.float32), {name: scored.labels for name, scored in found.items()})


def evaluate(exam: Exam, model: nn.Module, seed: int) -> Evaluation:
    """Measures an edited model.

    Args:
        exam: By what.
        model: What the method left.
        seed: The run's seed, which sets the samples' noise.
    """
    others: dict[str, Judge | Extractor] = {} if exam.extractor is None else {exam.extractor[0]: exam.extractor[1]}
    sampled = {
        pool: _drawn(exam, model, labels, derive_seed(exam.task, "sample", pool, seed))
        for pool, labels in exam.wanted.items()
    }
    report = Report(exam.family, f"{exam.sampler.describe()}, {exam.precision}", {**exam.judges, **others})
    for judge in exam.judges:
        _judge_labels(exam, report, judge, {pool: found.labels[judge] for pool, found in sampled.items()})
    name = next(iter({**others, **exam.judges}))
    _closeness_to_data(exam, report, name, sampled["retain"].features, sampled["forget"].features)
    return Evaluation(report.metrics, _gallery(exam, model, seed))


def _drawn(exam: Exam, model: nn.Module, labels: Tensor, seed: int) -> Seen:
    extractor = None if exam.extractor is None else exam.extractor[1]
    parts = [look(exam.judges, extractor, images) for images in _images(exam, exam.sampler, model, labels, seed)]
    return Seen(
        np.concatenate([part.features for part in parts]),
        {name: torch.cat([part.labels[name] for part in parts]) for name in exam.judges},
    )


def _images(exam: Exam, sampler: Sampler, model: nn.Module, labels: Tensor, seed: int) -> Iterator[Tensor]:
    """Yields samples as bytes, ``(B, 3, H, W)``."""
    shapes = exam.shapes
    network = in_precision(model, exam.precision)
    for latents in sampler.batches(network, labels, shapes.num_classes, shapes.latent, seed):
        parts = latents.split(exam.decode_batch)
        yield torch.cat([to_bytes(decode(exam.vae, part, shapes.scale)).cpu() for part in parts])


@torch.inference_mode()
def decode(vae: nn.Module, latents: Tensor, scale: float) -> Tensor:
    """Maps scaled latents ``(B, C, h, w)`` to images ``(B, 3, H, W)``."""
    network: Any = vae
    images: Tensor = network.decode(latents / scale).sample
    return images


def _judge_labels(exam: Exam, report: Report, name: str, found: Mapping[str, Tensor]) -> None:
    """What the samples show, by one judge's labels."""
    wanted = exam.wanted

    def add(metric: str, hits: Tensor, label: int | None = None) -> None:
        report.add(metric, measures.proportion(hits), judge=name, label=label)

    forget = found["forget"]
    add("forget_accuracy", forget == exam.forget_class)
    add("retain_accuracy", found["retain"] == wanted["retain"])
    near = found["near"] == wanted["near"]
    add("retain_accuracy_near", near)
    for label in wanted["near"].unique().tolist():
        add("near_accuracy_class", near[wanted["near"] == label], label)
    # One sample in a thousand has the class without a label: too few to score, enough to see a branch that broke.
    add("unconditional_forget_share", found["null"] == exam.forget_class)
    common = Counter(forget.tolist()).most_common(DESTINATIONS)
    for label in sorted({exam.forget_class, *(label for label, _ in common)}):
        add("forget_destination", forget == label, label)


def _closeness_to_data(exam: Exam, report: Report, name: str, generated: Features, forgotten: Features) -> None:
    """How close the samples are to real images of the retained classes, in the features of the distances."""
    reference = exam.reference
    kept = (reference.labels != exam.forget_class).numpy()
    drawn, real = generated.astype(np.float64), reference.features[kept].astype(np.float64)

    few = drawn[:MANIFOLD_IMAGES], real[:MANIFOLD_IMAGES]
    everything = measures.Manifold(reference.features[:MANIFOLD_IMAGES].astype(np.float64))
    found = {
        "fid_retain": measures.fid(drawn, real),
        "kid_retain": measures.kid(*few),
        **measures.prdc(*few)._asdict(),
        "off_manifold": everything.share_outside(forgotten.astype(np.float64)),
    }
    for metric, measured in found.items():
        report.add(metric, measured, judge=name, reference_sha256=reference.sha256)


def _gallery(exam: Exam, model: nn.Module, seed: int) -> Gallery:
    """The forgotten class first, then its neighbours, two other classes, and samples without a label; small."""
    null = exam.shapes.num_classes
    near = [label for label in exam.near if abs(label - exam.forget_class) == 1]
    others = [label for label in SHOWN_CLASSES if label < null and label not in (exam.forget_class, *near)]
    rows = {f"{exam.forget_class} (forgotten)": exam.forget_class}
    rows |= {f"{label} (near)": label for label in near} | {str(label): label for label in others} | {"no label": null}
    drawn = {}
    for name, label in rows.items():
        labels = torch.full((GALLERY_COLUMNS,), label)
        parts = _images(exam, exam.gallery_sampler, model, labels, derive_seed(exam.task, "gallery", label, seed))
        images = torch.cat(list(parts)).float()
        small = nn.functional.interpolate(images, size=TILE, mode="area") if images.shape[-1] > TILE else images
        drawn[name] = small.round().to(torch.uint8)
    return gallery(drawn)
