"""What is drawn from an edited DiT and measured on it. Samples are decoded and judged batch by batch and then let go.

There is no oracle at this scale, so nothing is compared with one: the suppression track.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...benchmark import metrics
from ...benchmark.metrics import Measured
from ...benchmark.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.statistics import Floats
from ...benchmark.task import Evaluation
from ..class_forgetting.diffusion import Sampler, to_bytes
from ..common.judging import GALLERY_COLUMNS, Judge, Report, Scored, gallery, score
from ..common.timm_judges import TimmJudge
from .problem import in_precision

if TYPE_CHECKING:
    from ..imagenet_dit import ImageNetDiT

DESTINATIONS = 10
"""Classes that the forgotten label's samples are most often taken for; a thousand would fill the record."""
MANIFOLD_IMAGES = 5000
"""Images of either set that precision, recall, density and coverage compare: all their distances must fit into memory."""
TILE = 64
"""Width of a picture in the gallery."""
SHOWN_CLASSES = (387, 980)
"""Retained classes in the gallery: two of those that SFRon's authors look at."""


class Reference(NamedTuple):
    """Real images, as the judge whose features serve the distances sees them."""

    features: Floats
    labels: Tensor
    sha256: str


def evaluate(
    task: ImageNetDiT,
    model: nn.Module,
    vae: nn.Module,
    judges: Mapping[str, Judge],
    reference: Reference,
    seed: int,
) -> Evaluation:
    """Measures an edited model.

    Args:
        task: Says what to draw.
        model: What the method left.
        vae: Decodes latents.
        judges: By name; the first one's features serve the distances.
        reference: Real images of all classes.
        seed: The run's seed, which sets the samples' noise.
    """
    sampled = {
        name: _judged(task, model, vae, judges, labels, derive_seed(task.name, "sample", name, seed))
        for name, labels in task.wanted_labels().items()
    }
    wanted = task.wanted_labels()
    report = Report(f"{task.sampler().describe()}, {task.precision}", dict(judges))
    for name, judge in judges.items():
        protocol = f"{report.protocol}; {_preprocessing(judge)}"
        _judge_labels(task, report, name, protocol, {key: found[name] for key, found in sampled.items()}, wanted)
    main = next(iter(judges))
    protocol = f"{report.protocol}; {_preprocessing(judges[main])}"
    _judge_features(task, report, main, protocol, sampled["retain"][main], sampled["forget"][main], reference)
    return Evaluation(report.metrics, _gallery(task, model, vae, seed))


def _preprocessing(judge: Judge) -> str:
    assert isinstance(judge.network, TimmJudge)
    return judge.network.describe()


def _judged(
    task: ImageNetDiT, model: nn.Module, vae: nn.Module, judges: Mapping[str, Judge], labels: Tensor, seed: int
) -> dict[str, Scored]:
    parts: dict[str, list[Scored]] = {name: [] for name in judges}
    for images in _images(task, task.sampler(), model, vae, labels, seed):
        for name, judge in judges.items():
            found = score(judge, images)
            # Half the memory: fifty thousand samples' features are kept until the end.
            parts[name].append(Scored(found.features.astype(np.float32), found.labels))
    return {
        name: Scored(np.concatenate([part.features for part in found]), torch.cat([part.labels for part in found]))
        for name, found in parts.items()
    }


def _images(task: ImageNetDiT, sampler: Sampler, model: nn.Module, vae: nn.Module, labels: Tensor, seed: int) -> Any:
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
    task: ImageNetDiT,
    report: Report,
    name: str,
    protocol: str,
    found: Mapping[str, Scored],
    wanted: Mapping[str, Tensor],
) -> None:
    """What the samples show, by one judge's labels."""

    def add(metric: str, hits: Tensor, direction: str, label: int | None = None) -> None:
        implementation = "unlearnbench.benchmark.metrics.proportion"
        measured = metrics.proportion(hits)
        report.add(metric, measured, direction, implementation, judge=name, label=label, protocol=protocol)

    forget = found["forget"].labels
    add("forget_accuracy", forget == task.forget_class, "min")
    add("retain_accuracy", found["retain"].labels == wanted["retain"], "max")
    near = found["near"].labels == wanted["near"]
    add("retain_accuracy_near", near, "max")
    for label in wanted["near"].unique().tolist():
        add("near_accuracy_class", near[wanted["near"] == label], "max", label)
    # One sample in a thousand has the class without a label: too few to score, enough to see a branch that broke.
    add("unconditional_forget_share", found["null"].labels == task.forget_class, "info")
    common = Counter(forget.tolist()).most_common(DESTINATIONS)
    for label in sorted({task.forget_class, *(label for label, _ in common)}):
        add("forget_destination", forget == label, "info", label)


def _judge_features(
    task: ImageNetDiT,
    report: Report,
    name: str,
    protocol: str,
    generated: Scored,
    forgotten: Scored,
    reference: Reference,
) -> None:
    """How close the samples are to real images of the retained classes, in one judge's features."""
    kept = (reference.labels != task.forget_class).numpy()
    drawn, real = generated.features.astype(np.float64), reference.features[kept].astype(np.float64)

    def add(
        metric: str, measured: Measured, direction: str, implementation: str, package: str = "unlearnbench"
    ) -> None:
        report.add(
            metric,
            measured,
            direction,
            implementation,
            package=package,
            judge=name,
            reference_sha256=reference.sha256,
            protocol=protocol,
        )

    add("fid_retain", metrics.fid(drawn, real), "min", "cleanfid.fid.frechet_distance", "clean-fid")
    few = drawn[:MANIFOLD_IMAGES], real[:MANIFOLD_IMAGES]
    add("kid_retain", metrics.kid(*few), "min", "cleanfid.fid.kernel_distance", "clean-fid")
    for metric, measured in metrics.prdc(*few)._asdict().items():
        add(metric, measured, "max", "unlearnbench.benchmark.metrics.prdc")
    inside = metrics.Manifold(reference.features[:MANIFOLD_IMAGES]).covers(forgotten.features).any(1)
    add("off_manifold", metrics.proportion(~inside), "info", "unlearnbench.benchmark.metrics.Manifold")


def _gallery(task: ImageNetDiT, model: nn.Module, vae: nn.Module, seed: int) -> Gallery:
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
