"""The evaluation protocol of class forgetting: what is drawn from an edited model, and what is measured on it.

Three sets of samples are drawn, from noise that depends on the run's seed alone: with the forgotten label, with the
retained labels, and without a label (the unconditional branch, through which a class survives methods that only reroute
its label). Then attackers of a fixed budget try to bring the class back (``probes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics import measures
from ...benchmark.metrics.intervals import Floats
from ...benchmark.metrics.measures import Measured
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ..data.pools import ImagePool, LabelledPool
from ..judges.fixed import fixed_features
from ..judges.judge import Extractor, Judge, Scored, features, score
from ..judges.report import Report, gallery
from . import probes
from .probes import Attacker, Budget, Draws
from .sampler import Sampler

FORGET_SAMPLES = 1000
RETAIN_SAMPLES = 1008
NULL_SAMPLES = 1000
STRETCH = 5000
"""Samples that are drawn under one seed; more take a further seed each, so that their noise never fills the memory."""
MANIFOLD_IMAGES = 10_000
"""Images whose neighbourhoods are compared, at most: their distances, all with all, must fit into memory."""
KERNEL_IMAGES = 5000
"""Images that a kernel distance compares, at most, for the same reason."""


def sample_counts() -> dict[str, int]:
    """Returns how many samples each set holds."""
    return {"forget": FORGET_SAMPLES, "retain": RETAIN_SAMPLES, "null": NULL_SAMPLES}


def limits() -> dict[str, int]:
    """Returns how many images enter the measurements that compare all with all, at most."""
    return {"manifold_images": MANIFOLD_IMAGES, "kernel_images": KERNEL_IMAGES}


@dataclass(frozen=True)
class Drawing:
    """What is drawn from a model."""

    task: str
    """Its name, from which the noise's seeds follow."""
    sampler: Sampler
    image_shape: tuple[int, int, int]
    num_classes: int
    """The label behind the last class draws without a label."""
    forget_class: int
    counts: Mapping[str, int]
    """Samples in each set."""

    @property
    def retain_classes(self) -> list[int]:
        """The classes to keep, in order."""
        return [label for label in range(self.num_classes) if label != self.forget_class]


@dataclass(frozen=True)
class Oracles:
    """What the oracles to compare with left."""

    samples: Mapping[str, Tensor]
    """What they draw, pooled, by set."""
    samples_sha256: str


@dataclass(frozen=True)
class Exam:
    """All that a model is measured by. The task fills it, so that nothing here knows the task."""

    family: Family
    drawing: Drawing
    judges: Mapping[str, Judge]
    extractor: tuple[str, Extractor] | None
    """What gives the features of the distances, with its name; None takes the first judge's."""
    reference: ImagePool
    """The real images that samples are compared with."""
    data_sha256: str
    oracles: Oracles | None
    """None in a search's trials."""
    retain: LabelledPool
    """Training pictures of the retained classes."""
    held_out: ImagePool
    """Pictures of all classes that nothing was trained on: losses are measured on them, and attackers own a few."""
    budget: Budget | None
    """Of the attackers; None leaves them out."""


class Drawn(NamedTuple):
    """Samples as bytes, ``(N, C, H, W)``, with the labels that they were asked for."""

    forget: Tensor
    retain: Tensor
    retain_labels: Tensor
    null: Tensor

    def images(self) -> dict[str, Tensor]:
        """Returns the images by set."""
        return {"forget": self.forget, "retain": self.retain, "null": self.null}


def draw_samples(drawing: Drawing, model: nn.Module, seed: int | str) -> Drawn:
    """Draws the three sets. The retained labels take turns, so that every stretch holds every class.

    Args:
        drawing: Says what.
        model: What to draw from.
        seed: Of the noise.
    """
    counts, null = drawing.counts, drawing.num_classes
    classes = torch.tensor(drawing.retain_classes)
    labels = {
        "forget": torch.full((counts["forget"],), drawing.forget_class),
        "retain": classes.repeat(counts["retain"] // len(classes) + 1)[: counts["retain"]],
        "null": torch.full((counts["null"],), null),
    }
    images = {
        name: torch.cat(
            [
                drawing.sampler.sample(
                    model, part, null, drawing.image_shape, _stretch_seed(drawing, name, seed, number)
                )
                for number, part in enumerate(wanted.split(STRETCH))
            ]
        )
        for name, wanted in labels.items()
    }
    return Drawn(images["forget"], images["retain"], labels["retain"], images["null"])


def _stretch_seed(drawing: Drawing, name: str, seed: int | str, number: int) -> int:
    return derive_seed(drawing.task, "sample", name, seed, *([number] if number else []))


class Graded(NamedTuple):
    """What an exam gives."""

    report: Report
    gallery: Gallery


def evaluate(exam: Exam, model: nn.Module, seed: int, device: torch.device) -> Graded:
    """Measures an edited model.

    Args:
        exam: By what.
        model: What the method left.
        seed: The run's seed, which sets the samples' noise.
        device: Where the model is.
    """
    extractor = exam.extractor
    others: dict[str, Extractor] = {} if extractor is None else {extractor[0]: extractor[1]}
    report = Report(exam.family, exam.drawing.sampler.describe(), {**exam.judges, **others})
    drawn = draw_samples(exam.drawing, model, seed)
    scored = {
        name: {images: score(judge, found) for images, found in drawn.images().items()}
        for name, judge in exam.judges.items()
    }
    for name, found in scored.items():
        _judge_labels(exam, report, name, found, drawn.retain_labels)
    if extractor is None:
        main = next(iter(exam.judges))
        view = View(main, exam.judges[main], {name: found.features for name, found in scored[main].items()})
    else:
        moved = extractor[1].to(device)
        view = View(extractor[0], moved, {name: features(moved, images) for name, images in drawn.images().items()})
    _closeness_to_data(exam, report, view)
    if exam.oracles is not None:
        _distance_to_oracles(exam.oracles, report, view)
    if exam.budget is not None:
        _probe(exam, exam.budget, report, model, seed, device)
    return Graded(report, _gallery(exam.drawing, drawn))


class View(NamedTuple):
    """The samples as what gives the distances' features sees them, set by set."""

    name: str
    source: Extractor
    features: dict[str, Floats]


def _judge_labels(exam: Exam, report: Report, name: str, found: Mapping[str, Scored], retain_labels: Tensor) -> None:
    """What the samples show, by one judge's labels."""
    forget, null = found["forget"].labels, found["null"].labels
    right = found["retain"].labels == retain_labels
    by_class = {label: measures.proportion(right[retain_labels == label]) for label in exam.drawing.retain_classes}
    worst = min(by_class, key=lambda label: by_class[label].value)

    def add(metric: str, measured: Measured, label: int | None = None) -> None:
        report.add(metric, measured, judge=name, label=label)

    add("forget_accuracy", measures.proportion(forget == exam.drawing.forget_class))
    add("unconditional_forget_share", measures.proportion(null == exam.drawing.forget_class))
    add("retain_accuracy", measures.proportion(right))
    add("retain_accuracy_worst", by_class[worst], worst)
    for label, measured in by_class.items():
        add("retain_accuracy_class", measured, label)
    for label in range(exam.drawing.num_classes):
        add("forget_destination", measures.proportion(forget == label), label)


def _closeness_to_data(exam: Exam, report: Report, view: View) -> None:
    """How close the samples are to real images."""
    pool = exam.reference
    everything = fixed_features(view.source, pool.images)
    real = everything[(pool.labels != exam.drawing.forget_class).numpy()]
    generated = view.features["retain"]
    reference = exam.data_sha256

    unseen = exam.held_out.where(exam.held_out.labels != exam.drawing.forget_class)
    floor = fixed_features(view.source, unseen.images)
    found = {
        "fid_retain": measures.fid(generated, real),
        "kid_retain": measures.kid(_some(generated, KERNEL_IMAGES), _some(real, KERNEL_IMAGES)),
        "fid_retain_floor": measures.fid(floor, real),
        "kid_retain_floor": measures.kid(_some(floor, KERNEL_IMAGES), _some(real, KERNEL_IMAGES)),
        **measures.prdc(_some(generated, MANIFOLD_IMAGES), _some(real, MANIFOLD_IMAGES))._asdict(),
        "off_manifold": measures.Manifold(_some(everything, MANIFOLD_IMAGES)).share_outside(view.features["forget"]),
    }
    for metric, measured in found.items():
        report.add(metric, measured, judge=view.name, reference_sha256=reference)


def _some(values: Floats, most: int) -> Floats:
    """Returns all rows in order, or as many at random where there are more; the same ones in every run."""
    if len(values) <= most:
        return values
    return values[np.sort(np.random.default_rng(0).permutation(len(values))[:most])]


def _distance_to_oracles(oracles: Oracles, report: Report, view: View) -> None:
    """How far the samples are from those of the oracles, but for the label that no oracle was trained with."""
    for pool in ("retain", "null"):
        reference = fixed_features(view.source, oracles.samples[pool])
        report.add(
            f"oracle_distance_{pool}",
            measures.fid(view.features[pool], reference),
            judge=view.name,
            reference_sha256=oracles.samples_sha256,
        )


def _probe(exam: Exam, budget: Budget, report: Report, model: nn.Module, seed: int, device: torch.device) -> None:
    """What the weights still know of the class, and what attackers make of it; the price that the other classes pay."""
    drawing, null = exam.drawing, exam.drawing.num_classes
    forgotten = exam.held_out.labels == drawing.forget_class
    # Nothing that a method saw: it could prepare for the very pictures that an attacker has.
    owned, rest = probes.parted(exam.held_out.where(forgotten), budget.pictures)
    forget, retain = (
        Draws.of(pool, budget.draws, derive_seed(drawing.task, "probe", name), device)
        for name, pool in (("forget", rest), ("retain", exam.held_out.where(~forgotten)))
    )
    fixed = f"{budget.draws} fixed draws of held-out pictures"

    def add(metric: str, measured: Measured, how: str, curve: Sequence[tuple[int, float]] | None = None) -> None:
        report.add(metric, measured, reference_sha256=exam.data_sha256, protocol=f"{fixed}, {how}", curve=curve)

    unasked, kept = (probes.measured_losses(model, part.labelled(null)) for part in (forget, retain))
    labelled = probes.measured_losses(model, retain)
    add("forget_loss", probes.mean_loss(unasked), "without a label")
    add("forget_gap", probes.gap(unasked, kept), "without a label, beyond the loss on as many retained ones")
    add("retain_loss", probes.mean_loss(labelled), "with their labels")
    attacker = Attacker(budget, drawing.forget_class, drawing.num_classes, owned, exam.retain, seed, device)
    own = f"steps of {budget.batch} draws of {len(owned)} other held-out pictures, the best look"
    end = model
    for name, attack, steps, how in (
        ("inverted", attacker.invert, budget.inversion_steps, "a fresh embedding fitted"),
        ("relearned", attacker.relearn, budget.relearning_steps, "after that, all weights trained"),
    ):
        end, curve, found = attack(end, forget)
        what = f"{how} for {steps} {own}"
        add(f"{name}_loss", probes.mean_loss(found), what, curve)
        add(f"{name}_gap", probes.gap(found, labelled), f"{what}, beyond the loss on retained ones before")
        if budget.samples:
            _ask_again(exam, budget.samples, report, name, end, seed, what)
    if budget.benign_steps and budget.samples:
        what = f"all weights trained for {budget.benign_steps} steps of {budget.batch} draws of retained pictures"
        _ask_again(exam, budget.samples, report, "benign", attacker.use(model), seed, what)


def _ask_again(exam: Exam, count: int, report: Report, attack: str, attacked: nn.Module, seed: int, how: str) -> None:
    """How often the judges find the class in what an attacked model draws for it."""
    drawing = exam.drawing
    labels = torch.full((count,), drawing.forget_class)
    noise = _stretch_seed(drawing, attack, seed, 0)
    images = drawing.sampler.sample(attacked, labels, drawing.num_classes, drawing.image_shape, noise)
    for name, judge in exam.judges.items():
        hits = score(judge, images).labels == drawing.forget_class
        report.add(f"{attack}_accuracy", measures.proportion(hits), judge=name, protocol=f"{report.protocol}; {how}")


def _gallery(drawing: Drawing, drawn: Drawn) -> Gallery:
    """The forgotten class first, then samples without a label, then the retained classes."""
    kept = {str(label): drawn.retain[drawn.retain_labels == label] for label in drawing.retain_classes}
    return gallery({f"{drawing.forget_class} (forgotten)": drawn.forget, "no label": drawn.null, **kept})
