"""What is drawn from an edited DiT and measured on it. Samples are decoded and judged batch by batch and then let go.

There is no oracle at this scale, so nothing is compared with one: the suppression track.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark.metrics import measures
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..class_forgetting.sampler import Sampler
from ..data.pools import to_bytes
from ..judges.judge import Extractor, Judge, features, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from .problem import in_precision

if TYPE_CHECKING:
    from .task import ClassSuppressionTask

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


def evaluate(
    task: ClassSuppressionTask,
    model: nn.Module,
    vae: nn.Module,
    judges: Mapping[str, Judge],
    extractor: tuple[str, Extractor] | None,
    reference: Reference,
    seed: int,
) -> Evaluation:
    """Measures an edited model.

    Args:
        task: Says what to draw.
        model: What the method left.
        vae: Decodes latents.
        judges: By name.
        extractor: See ``look``, with its name.
        reference: Real images of all classes.
        seed: The run's seed, which sets the samples' noise.
    """
    others: dict[str, Judge | Extractor] = {} if extractor is None else {extractor[0]: extractor[1]}
    network = None if extractor is None else extractor[1]
    wanted = task.wanted_labels()
    sampled = {
        pool: _drawn(task, model, vae, judges, network, labels, derive_seed(task.name, "sample", pool, seed))
        for pool, labels in wanted.items()
    }
    report = Report(task.family, f"{task.sampler().describe()}, {task.precision}", {**judges, **others})
    for judge in judges:
        _judge_labels(task, report, judge, {pool: found.labels[judge] for pool, found in sampled.items()}, wanted)
    name = next(iter({**others, **judges}))
    _closeness_to_data(task, report, name, sampled["retain"].features, sampled["forget"].features, reference)
    return Evaluation(report.metrics, _gallery(task, model, vae, seed))


def _drawn(
    task: ClassSuppressionTask,
    model: nn.Module,
    vae: nn.Module,
    judges: Mapping[str, Judge],
    extractor: Extractor | None,
    labels: Tensor,
    seed: int,
) -> Seen:
    parts = [look(judges, extractor, images) for images in _images(task, task.sampler(), model, vae, labels, seed)]
    return Seen(
        np.concatenate([part.features for part in parts]),
        {name: torch.cat([part.labels[name] for part in parts]) for name in judges},
    )


def _images(
    task: ClassSuppressionTask, sampler: Sampler, model: nn.Module, vae: nn.Module, labels: Tensor, seed: int
) -> Any:
    """Yields samples as bytes, ``(B, 3, H, W)``."""
    shapes = task.shapes()
    network = in_precision(model, task.precision)
    for latents in sampler.batches(network, labels, shapes.num_classes, shapes.latent, seed):
        yield torch.cat([to_bytes(decode(vae, part, shapes.scale)).cpu() for part in latents.split(task.decode_batch)])


@torch.inference_mode()
def decode(vae: nn.Module, latents: Tensor, scale: float) -> Tensor:
    """Maps scaled latents ``(B, C, h, w)`` to images ``(B, 3, H, W)``."""
    network: Any = vae
    images: Tensor = network.decode(latents / scale).sample
    return images


def _judge_labels(
    task: ClassSuppressionTask, report: Report, name: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> None:
    """What the samples show, by one judge's labels."""

    def add(metric: str, hits: Tensor, label: int | None = None) -> None:
        report.add(metric, measures.proportion(hits), judge=name, label=label)

    forget = found["forget"]
    add("forget_accuracy", forget == task.forget_class)
    add("retain_accuracy", found["retain"] == wanted["retain"])
    near = found["near"] == wanted["near"]
    add("retain_accuracy_near", near)
    for label in wanted["near"].unique().tolist():
        add("near_accuracy_class", near[wanted["near"] == label], label)
    # One sample in a thousand has the class without a label: too few to score, enough to see a branch that broke.
    add("unconditional_forget_share", found["null"] == task.forget_class)
    common = Counter(forget.tolist()).most_common(DESTINATIONS)
    for label in sorted({task.forget_class, *(label for label, _ in common)}):
        add("forget_destination", forget == label, label)


def _closeness_to_data(
    task: ClassSuppressionTask,
    report: Report,
    name: str,
    generated: Features,
    forgotten: Features,
    reference: Reference,
) -> None:
    """How close the samples are to real images of the retained classes, in the features of the distances."""
    kept = (reference.labels != task.forget_class).numpy()
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


def _gallery(task: ClassSuppressionTask, model: nn.Module, vae: nn.Module, seed: int) -> Gallery:
    """The forgotten class first, then its neighbours, two other classes, and samples without a label; small."""
    null = task.shapes().num_classes
    near = [label for label in task.near() if abs(label - task.forget_class) == 1]
    others = [label for label in SHOWN_CLASSES if label < null and label not in (task.forget_class, *near)]
    rows = {f"{task.forget_class} (forgotten)": task.forget_class}
    rows |= {f"{label} (near)": label for label in near} | {str(label): label for label in others} | {"no label": null}
    drawn = {}
    for name, label in rows.items():
        labels = torch.full((GALLERY_COLUMNS,), label)
        parts = _images(
            task, task.gallery_sampler(), model, vae, labels, derive_seed(task.name, "gallery", label, seed)
        )
        images = torch.cat(list(parts)).float()
        small = nn.functional.interpolate(images, size=TILE, mode="area") if images.shape[-1] > TILE else images
        drawn[name] = small.round().to(torch.uint8)
    return gallery(drawn)
