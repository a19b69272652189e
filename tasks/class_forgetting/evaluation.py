"""The evaluation protocol of class forgetting: what is drawn from an edited model, and what is measured on it.

Three sets of samples are drawn, from noise that depends on the run's seed alone: with the forgotten label, with the
retained labels, and without a label (the unconditional branch, through which a class survives methods that only reroute
its label).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark import metrics
from ...benchmark.metrics import Measured
from ...benchmark.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.statistics import student
from ...benchmark.task import Evaluation
from ..common.judging import Judge, Report, features, gallery, score
from . import diffusion

if TYPE_CHECKING:
    from .task import ClassForgettingTask

FORGET_SAMPLES = 1000
RETAIN_SAMPLES = 1008
NULL_SAMPLES = 1000
NOISE_PAIRS = 256
"""Image and noise-level pairs that noise predictions are compared on."""


def sample_counts() -> dict[str, int]:
    """Returns how many samples each set holds."""
    return {"forget": FORGET_SAMPLES, "retain": RETAIN_SAMPLES, "null": NULL_SAMPLES, "noise_pairs": NOISE_PAIRS}


class Drawn(NamedTuple):
    """Samples as bytes, ``(N, C, H, W)``, with the labels that they were asked for."""

    forget: Tensor
    retain: Tensor
    retain_labels: Tensor
    null: Tensor

    def images(self) -> dict[str, Tensor]:
        """Returns the images by set."""
        return {"forget": self.forget, "retain": self.retain, "null": self.null}


def draw_samples(
    task: ClassForgettingTask, model: nn.Module, seed: int | str, counts: Mapping[str, int] | None = None
) -> Drawn:
    """Draws the three sets. The retained labels take turns, so that every stretch holds every class.

    Args:
        task: Gives sampler and classes.
        model: What to draw from.
        seed: Of the noise.
        counts: Samples in each set; those of the protocol unless given.
    """
    counts = counts or sample_counts()
    null = task.num_classes
    classes = torch.tensor(task.retain_classes())
    labels = {
        "forget": torch.full((counts["forget"],), task.forget_class),
        "retain": classes.repeat(counts["retain"] // len(classes) + 1)[: counts["retain"]],
        "null": torch.full((counts["null"],), null),
    }
    images = {
        name: task.sampler.sample(model, wanted, null, task.image_shape, derive_seed(task.name, "sample", name, seed))
        for name, wanted in labels.items()
    }
    return Drawn(images["forget"], images["retain"], labels["retain"], images["null"])


def evaluate(
    task: ClassForgettingTask, model: nn.Module, seed: int, oracles: list[int], device: torch.device
) -> Evaluation:
    """Measures an edited model.

    Args:
        task: Says what to draw and gives the judges and the oracles.
        model: What the method left.
        seed: The run's seed, which sets the samples' noise.
        oracles: The seeds of the oracles to compare with.
        device: Where the model is.
    """
    drawn = draw_samples(task, model, seed)
    judges = task.load_judges()
    report = Report(task.sampling(), judges)
    for name, judge in judges.items():
        _judge_labels(task, report, name, judge, drawn)
    main = next(iter(judges))
    _judge_features(task, report, main, judges[main], drawn)
    _distance_to_oracles(task, report, main, judges[main], drawn, oracles)
    _noise_distance(task, report, model, oracles, seed, device)
    return Evaluation(report.metrics, _gallery(task, drawn))


def _judge_labels(task: ClassForgettingTask, report: Report, name: str, judge: Judge, drawn: Drawn) -> None:
    """What the samples show, by one judge's labels."""
    implementation = "unlearnbench.benchmark.metrics.proportion"
    forget = score(judge, drawn.forget).labels
    right = score(judge, drawn.retain).labels == drawn.retain_labels
    null = score(judge, drawn.null).labels
    by_class = {label: metrics.proportion(right[drawn.retain_labels == label]) for label in task.retain_classes()}
    worst = min(by_class, key=lambda label: by_class[label].value)

    def add(metric: str, measured: Measured, direction: str, label: int | None = None) -> None:
        report.add(metric, measured, direction, implementation, judge=name, label=label)

    add("forget_accuracy", metrics.proportion(forget == task.forget_class), "match")
    add("unconditional_forget_share", metrics.proportion(null == task.forget_class), "match")
    add("retain_accuracy", metrics.proportion(right), "max")
    add("retain_accuracy_worst", by_class[worst], "max", worst)
    for label, measured in by_class.items():
        add("retain_accuracy_class", measured, "max", label)
    for label in range(task.num_classes):
        add("forget_destination", metrics.proportion(forget == label), "info", label)


def _judge_features(task: ClassForgettingTask, report: Report, name: str, judge: Judge, drawn: Drawn) -> None:
    """How close the samples are to real images, in one judge's features."""
    pool = task.training_pool()
    everything = features(judge, pool.images)
    real = everything[(pool.labels != task.forget_class).numpy()]
    generated = score(judge, drawn.retain).features
    reference = task.data_sha256()

    def add(
        metric: str, measured: Measured, direction: str, implementation: str, package: str = "unlearnbench"
    ) -> None:
        report.add(metric, measured, direction, implementation, package=package, judge=name, reference_sha256=reference)

    add("fid_retain", metrics.fid(generated, real), "min", *metrics.frechet_implementation(real.shape[1]))
    add("kid_retain", metrics.kid(generated, real), "min", "cleanfid.fid.kernel_distance", "clean-fid")
    for metric, measured in metrics.prdc(generated, real)._asdict().items():
        add(metric, measured, "max", "unlearnbench.benchmark.metrics.prdc")
    inside = metrics.Manifold(everything).covers(score(judge, drawn.forget).features).any(1)
    add("off_manifold", metrics.proportion(~inside), "match", "unlearnbench.benchmark.metrics.Manifold")


def _distance_to_oracles(
    task: ClassForgettingTask, report: Report, name: str, judge: Judge, drawn: Drawn, oracles: list[int]
) -> None:
    """How far the samples are from those of the oracles, set by set, in one judge's features."""
    hashed = task.assets.sha256([task.oracle_samples_file])
    for pool, images in drawn.images().items():
        pooled = task.oracle_samples(pool, oracles)
        reference = score(judge, pooled).features
        measured = metrics.fid(score(judge, images).features, reference)
        implementation, package = metrics.frechet_implementation(reference.shape[1])
        metric = "oracle_distance" if pool == "forget" else f"oracle_distance_{pool}"
        report.add(
            metric,
            measured,
            "match",
            implementation,
            package=package,
            judge=name,
            reference_sha256=hashed,
        )


def _noise_distance(
    task: ClassForgettingTask, report: Report, model: nn.Module, oracles: list[int], seed: int, device: torch.device
) -> None:
    """How far the noise predictions on real images are from the oracles', with the label and without."""
    pool = task.training_pool()
    forgotten = pool.labels == task.forget_class
    networks = [task.load_model(task.oracle_file(other)).to(device) for other in oracles]
    hashed = task.assets.sha256([task.oracle_file(other) for other in oracles])
    for name, mask in (("forget", forgotten), ("retain", ~forgotten)):
        generator = torch.Generator().manual_seed(derive_seed(task.name, "noise", name, seed))
        index = torch.randint(int(mask.sum()), (NOISE_PAIRS,), generator=generator)
        images, labels = pool.images[mask][index].to(device), pool.labels[mask][index].to(device)
        draw = diffusion.draw_corruption(images, generator)
        noisy = diffusion.noise_schedule().add_noise(images, draw["noise"], draw["timesteps"])
        for condition, given in (("", labels), ("_unconditional", torch.full_like(labels, task.num_classes))):
            with torch.inference_mode():
                own, *theirs = (
                    diffusion.predict_noise(network, noisy, draw["timesteps"], given) for network in (model, *networks)
                )
                errors = (own - torch.stack(theirs).mean(0)).square().flatten(1).mean(1).double().cpu().numpy()
            interval = student(errors.tolist())
            assert interval is not None
            report.add(
                f"oracle_noise_{name}{condition}",
                Measured(float(errors.mean()), interval, len(errors), "student"),
                "match",
                "unlearnbench.tasks.class_forgetting.evaluation",
                reference_sha256=hashed,
                protocol=f"{NOISE_PAIRS} training images, antithetic time steps, mean of {len(oracles)} oracles",
            )


def _gallery(task: ClassForgettingTask, drawn: Drawn) -> Gallery:
    """The forgotten class first, then samples without a label, then the retained classes."""
    kept = {str(label): drawn.retain[drawn.retain_labels == label] for label in task.retain_classes()}
    return gallery({f"{task.forget_class} (forgotten)": drawn.forget, "no label": drawn.null, **kept})
