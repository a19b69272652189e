"""What is drawn from an edited DiT and measured on it. Samples and their features are let go batch by batch.

There is no oracle at this scale, so nothing is compared with one: the suppression track. What the model does under the label as
the method left it is half of the answer; the other half is what an attacker gets who fits a fresh embedding of the label.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics import measures, streaming
from ...benchmark.metrics.measures import Manifold
from ...benchmark.metrics.streaming import FeatureSummary, Reservoir
from ...benchmark.problem import TensorPool
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..class_forgetting import probes
from ..class_forgetting.probes import Attacker, Budget, Draws
from ..class_forgetting.sampler import Sampler
from ..data.pools import to_bytes
from ..judges.judge import Extractor, Judge, features, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from .base import Shapes
from .problem import Precision, in_precision

DESTINATIONS = 10
"""Classes that the forgotten label's samples are most often taken for; a thousand would fill the record."""
MANIFOLD_IMAGES = 5000
"""Images of either set, drawn at random, that the kernel distance, precision, recall, density and coverage compare: all
distances between them must fit into memory."""
FLOOR_SHARE = 5
"""Every fifth real image of a class is held against the others: about as many as there are samples, where there are fifty."""
TILE = 64
"""Width of a picture in the gallery."""
SHOWN_CLASSES = (387, 980)
"""Retained classes in the gallery: two of those that SFRon's authors look at."""


class RealImages(NamedTuple):
    """Real images in the features of the distances, as far as these need them."""

    retained: FeatureSummary
    """Those of the retained classes."""
    everything: Manifold
    """A random sample of all classes."""
    held_out: FeatureSummary
    """Every fifth of each retained class, and the rest of them: how far real images are from real images."""
    others: FeatureSummary
    sha256: str

    @classmethod
    def of(cls, parts: Iterable[tuple[Tensor, Tensor]], forget_class: int, task: str, sha256: str) -> RealImages:
        """Reads features and labels part by part, so that they are never in memory at once.

        Args:
            parts: ``(N, D)`` and ``(N,)``; at least one.
            forget_class: What is not retained.
            task: Its name, from which the random samples' seeds follow.
            sha256: Of the images.
        """
        rest = iter(parts)
        first = next(rest)
        dimensions = first[0].shape[1]
        retained = FeatureSummary(dimensions, f"{task} reference", MANIFOLD_IMAGES, blocks=1)
        everything = Reservoir(dimensions, MANIFOLD_IMAGES, derive_seed("reservoir", f"{task} all classes"))
        held_out = FeatureSummary(dimensions, f"{task} held out", MANIFOLD_IMAGES)
        others = FeatureSummary(dimensions, f"{task} others", MANIFOLD_IMAGES, blocks=1)
        seen: Counter[int] = Counter()
        for values, labels in itertools.chain([first], rest):
            kept = labels != forget_class
            retained.add(values[kept].numpy())
            everything.add(values.numpy())
            fifth = torch.tensor([_in_turn(seen, label) for label in labels[kept].tolist()], dtype=torch.bool)
            held_out.add(values[kept][fifth].numpy())
            others.add(values[kept][~fifth].numpy())
        return cls(retained, Manifold(everything.features), held_out, others, sha256)


def _in_turn(seen: Counter[int], label: int) -> bool:
    """Counts an image of a class and returns whether it is the first of five."""
    seen[label] += 1
    return seen[label] % FLOOR_SHARE == 1


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
    reference: RealImages
    """Real images of all classes."""
    budget: Budget
    """Of the attacker."""
    owned: TensorPool
    """Latents of the forgotten class that the attacker owns, and no method."""
    rest: TensorPool
    """Others of the class, on which what it reaches is measured as a loss."""


class JudgedBatch(NamedTuple):
    """What judges, and what gives the features of the distances, say of some images."""

    features: NDArray[np.float32]
    """``(N, D)``."""
    labels: dict[str, Tensor]
    """``(N,)`` by judge."""


def look(judges: Mapping[str, Judge], extractor: Extractor | None, images: Tensor) -> JudgedBatch:
    """Returns what is kept of bytes, ``(N, C, H, W)``.

    Args:
        judges: By name; the first one's features serve the distances unless there is an extractor.
        extractor: What gives their features instead.
        images: The bytes.
    """
    found = {name: score(judge, images) for name, judge in judges.items()}
    values = next(iter(found.values())).features if extractor is None else features(extractor, images)
    return JudgedBatch(values.astype(np.float32), {name: scored.labels for name, scored in found.items()})


def evaluate(exam: Exam, model: nn.Module, seed: int) -> Evaluation:
    """Measures an edited model.

    Args:
        exam: By what.
        model: What the method left.
        seed: The run's seed, which sets the samples' noise.
    """
    network = in_precision(model, exam.precision)
    others: dict[str, Judge | Extractor] = {} if exam.extractor is None else {exam.extractor[0]: exam.extractor[1]}
    generated = FeatureSummary(exam.reference.retained.dimensions, f"{exam.task} retain", MANIFOLD_IMAGES)
    outside: list[Tensor] = []
    uses: dict[str, Callable[[NDArray[np.float32]], None]] = {
        "retain": generated.add,
        "forget": lambda values: outside.append(~exam.reference.everything.covers(values).any(1)),
    }
    found = {
        pool: _drawn(exam, network, labels, derive_seed(exam.task, "sample", pool, seed), uses.get(pool))
        for pool, labels in exam.wanted.items()
    }
    # The sampler says it itself where it draws in another precision than that of the passes beside it.
    drawn = exam.sampler.describe() if exam.sampler.bf16 else f"{exam.sampler.describe()}, {exam.precision}"
    report = Report(exam.family, drawn, {**exam.judges, **others})
    for judge in exam.judges:
        _judge_labels(exam, report, judge, {pool: labels[judge] for pool, labels in found.items()})
    _closeness_to_data(exam, report, next(iter({**others, **exam.judges})), generated, torch.cat(outside))
    _invert(exam, report, network, seed)
    return Evaluation(report.metrics, _gallery(exam, network, seed))


def _drawn(
    exam: Exam, model: nn.Module, labels: Tensor, seed: int, use: Callable[[NDArray[np.float32]], None] | None
) -> dict[str, Tensor]:
    """What each judge takes the samples for, ``(N,)``; their features go to who uses them, a batch at a time."""
    extractor = None if exam.extractor is None else exam.extractor[1]
    found: dict[str, list[Tensor]] = {name: [] for name in exam.judges}
    for images in _images(exam, exam.sampler, model, labels, seed):
        seen = look(exam.judges, extractor, images)
        if use is not None:
            use(seen.features)
        for name, guesses in seen.labels.items():
            found[name].append(guesses)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _images(exam: Exam, sampler: Sampler, model: nn.Module, labels: Tensor, seed: int) -> Iterator[Tensor]:
    """Yields samples as bytes, ``(B, 3, H, W)``."""
    shapes = exam.shapes
    for latents in sampler.batches(model, labels, shapes.num_classes, shapes.latent, seed):
        with sampler.computing():
            parts = [to_bytes(decode(exam.vae, part, shapes.scale)).cpu() for part in latents.split(exam.decode_batch)]
        yield torch.cat(parts)


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


def _invert(exam: Exam, report: Report, network: nn.Module, seed: int) -> None:
    """What comes back when a fresh embedding of the label is fitted, all other weights frozen.

    A label that was only given another embedding is back; its accuracy is measured on samples, since without an oracle no loss
    says where forgetting ends. The loss is the attack's own measure, on latents that it does not own.
    """
    budget, device, batch = exam.budget, next(network.parameters()).device, exam.sampler.batch_size
    fixed = Draws.of(exam.rest, budget.draws, derive_seed(exam.task, "probe", "forget"), device)
    attacker = Attacker(budget, exam.forget_class, exam.shapes.num_classes, exam.owned, None, seed, device, batch)
    reached = attacker.invert(network, fixed)
    how = f"a fresh embedding fitted for {budget.inversion_steps} steps of {budget.batch} draws of {len(exam.owned)} latents"
    protocol = f"{budget.draws} fixed draws of other latents, {how}, the best look"
    report.add("inverted_loss", probes.mean_loss(reached.best), protocol=protocol, curve=reached.curve)
    labels = torch.full((budget.samples,), exam.forget_class)
    found = _drawn(exam, reached.end, labels, derive_seed(exam.task, "sample", "inverted", seed), None)
    for judge, guesses in found.items():
        hits = measures.proportion(guesses == exam.forget_class)
        report.add("inverted_accuracy", hits, judge=judge, protocol=f"{report.protocol}, {how}")


def _closeness_to_data(exam: Exam, report: Report, name: str, generated: FeatureSummary, outside: Tensor) -> None:
    """How close the samples are to real images of the retained classes, in the features of the distances."""
    real = exam.reference
    pair = generated, real.retained
    found = {
        "fid_retain": streaming.fid(*pair),
        "kid_retain": streaming.kid(*pair),
        **streaming.prdc(*pair)._asdict(),
        "off_manifold": measures.proportion(outside)._replace(by=measures.MANIFOLD),
    }
    for metric, measured in found.items():
        report.add(metric, measured, judge=name, reference_sha256=real.sha256)
    floor = {"fid": streaming.fid(real.held_out, real.others), "kid": streaming.kid(real.held_out, real.others)}
    for metric, measured in floor.items():
        protocol = "every fifth real image of each retained class against the others"
        report.add(f"{metric}_retain_floor", measured, judge=name, reference_sha256=real.sha256, protocol=protocol)


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
