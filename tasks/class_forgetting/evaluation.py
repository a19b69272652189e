"""The evaluation protocol of class forgetting: what is drawn from an edited model, and what is measured on it.

Three sets of samples are drawn, from noise that depends on the run's seed alone: with the forgotten label, with the
retained labels, and without a label (the unconditional branch, through which a class survives methods that only reroute
its label). Then attackers of a fixed budget try to bring the class back (``probes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics import measures
from ...benchmark.metrics.measures import Manifold, Measured
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ..data.pools import ImagePool, LabelledPool
from ..judges.judge import Extractor, Judge, features, score
from ..judges.report import Report, gallery
from . import probes
from .probes import Attacker, Budget, Draws
from .sampler import Sampler
from .summaries import KERNEL_IMAGES, MANIFOLD_IMAGES, PART, Reference, Samples, Some, fixed_parts

FORGET_SAMPLES = 1000
RETAIN_SAMPLES = 1008
NULL_SAMPLES = 1000
STRETCH = 5000
"""Samples that are drawn under one seed; more take a further seed each, so that their noise never fills the memory."""


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
    class_names: tuple[str, ...]
    """By label; the label behind the last draws without one."""
    forget_class: int
    counts: Mapping[str, int]
    """Samples in each set."""

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

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
    """Draws the three sets.

    Args:
        drawing: Says what.
        model: What to draw from.
        seed: Of the noise.
    """
    images = draw_sets(drawing, model, seed)
    return Drawn(images["forget"], images["retain"], _asked(drawing, "retain"), images["null"])


def draw_sets(drawing: Drawing, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
    """Draws the sets that are counted, as bytes ``(N, C, H, W)`` by name. See ``draw_samples``."""
    return {
        name: torch.cat(
            [
                drawing.sampler.sample(
                    model, part, drawing.num_classes, drawing.image_shape, _stretch_seed(drawing, name, seed, number)
                )
                for number, part in enumerate(_asked(drawing, name).split(STRETCH))
            ]
        )
        for name in drawing.counts
    }


def _asked(drawing: Drawing, name: str) -> Tensor:
    """The labels of a set. The retained ones take turns, so that every stretch holds every class."""
    count = drawing.counts[name]
    if name == "retain":
        classes = torch.tensor(drawing.retain_classes)
        return classes.repeat(count // len(classes) + 1)[:count]
    return torch.full((count,), drawing.forget_class if name == "forget" else drawing.num_classes)


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
    others: dict[str, Extractor] = {} if exam.extractor is None else {exam.extractor[0]: exam.extractor[1].to(device)}
    report = Report(exam.family, exam.drawing.sampler.describe(), {**exam.judges, **others})
    drawn = draw_samples(exam.drawing, model, seed)
    name, source = next(iter({**others, **exam.judges}.items()))
    real = _real_pictures(exam, source)
    view = _look(exam, name, source, real, drawn)
    for judge in exam.judges:
        _judge_labels(exam, report, judge, view.labels[judge], drawn.retain_labels)
    _closeness_to_data(exam, report, view, real)
    if exam.oracles is not None:
        _distance_to_oracles(exam.oracles, report, view)
    if exam.budget is not None:
        _probe(exam, exam.budget, report, model, seed, device)
    return Graded(report, _gallery(exam.drawing, drawn))


class RealPictures(NamedTuple):
    """Real pictures in the features of the distances."""

    retained: Reference
    everything: Manifold
    """Of all classes, the forgotten one included."""
    unseen: Samples
    """Retained ones that nothing was trained on: how far real pictures are from real pictures."""


def _real_pictures(exam: Exam, source: Extractor) -> RealPictures:
    kept = exam.reference.labels != exam.drawing.forget_class
    retained, everything = Reference(int(kept.sum())), Some(len(kept), MANIFOLD_IMAGES)
    for rows, here in zip(fixed_parts(source, exam.reference.images), kept.split(PART), strict=True):
        everything.add(rows)
        retained.add(rows[here.numpy()])
    pictures = exam.held_out.where(exam.held_out.labels != exam.drawing.forget_class).images
    unseen = Samples(len(pictures))
    for rows in fixed_parts(source, pictures):
        unseen.add(rows)
    return RealPictures(retained, Manifold(everything.rows), unseen)


class View(NamedTuple):
    """What is seen in the samples, set by set."""

    name: str
    source: Extractor
    """What gives the features of the distances, and its name."""
    labels: dict[str, dict[str, Tensor]]
    """What each judge takes them for, ``(N,)``."""
    samples: dict[str, Samples]
    """They in the features of the distances."""
    outside: Tensor
    """Which of those with the forgotten label lie off the manifold of the real pictures."""


def _look(exam: Exam, name: str, source: Extractor, real: RealPictures, drawn: Drawn) -> View:
    labels: dict[str, dict[str, list[Tensor]]] = {judge: {pool: [] for pool in drawn.images()} for judge in exam.judges}
    samples = {pool: Samples(len(images)) for pool, images in drawn.images().items()}
    outside: list[Tensor] = []
    for pool, images in drawn.images().items():
        for part in images.split(PART):
            scored = {judge: score(exam.judges[judge], part) for judge in exam.judges}
            for judge, found in scored.items():
                labels[judge][pool].append(found.labels)
            rows = scored[name].features if name in scored else features(source, part)
            samples[pool].add(rows)
            if pool == "forget":
                outside.append(~real.everything.covers(rows).any(1))
    joined = {judge: {pool: torch.cat(parts) for pool, parts in found.items()} for judge, found in labels.items()}
    return View(name, source, joined, samples, torch.cat(outside))


def _judge_labels(exam: Exam, report: Report, name: str, found: Mapping[str, Tensor], retain_labels: Tensor) -> None:
    """What the samples show, by one judge's labels."""
    forget, null = found["forget"], found["null"]
    right = found["retain"] == retain_labels
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


def _closeness_to_data(exam: Exam, report: Report, view: View, real: RealPictures) -> None:
    """How close the samples are to real images."""
    generated = view.samples["retain"]
    found = {
        "fid_retain": measures.fid_of_moments(generated.blocks, real.retained.frechet),
        "kid_retain": measures.kid(generated.kernel, real.retained.kernel),
        "fid_retain_floor": measures.fid_of_moments(real.unseen.blocks, real.retained.frechet),
        "kid_retain_floor": measures.kid(real.unseen.kernel, real.retained.kernel),
        **measures.prdc(generated.manifold, real.retained.manifold)._asdict(),
        "off_manifold": measures.proportion(view.outside)._replace(by=measures.MANIFOLD),
    }
    for metric, measured in found.items():
        report.add(metric, measured, judge=view.name, reference_sha256=exam.data_sha256)


def _distance_to_oracles(oracles: Oracles, report: Report, view: View) -> None:
    """How far the samples are from those of the oracles, but for the label that no oracle was trained with."""
    for pool in ("retain", "null"):
        theirs = oracles.samples[pool]
        reference = Reference(len(theirs))
        for rows in fixed_parts(view.source, theirs):
            reference.add(rows)
        report.add(
            f"oracle_distance_{pool}",
            measures.fid_of_moments(view.samples[pool].blocks, reference.frechet),
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
    names = drawing.class_names
    kept = {names[label]: drawn.retain[drawn.retain_labels == label] for label in drawing.retain_classes}
    return gallery({f"{names[drawing.forget_class]} (forgotten)": drawn.forget, "no label": drawn.null, **kept})
