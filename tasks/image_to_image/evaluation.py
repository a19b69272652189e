"""The evaluation protocol of image-to-image forgetting: which holes are filled, and what is measured in them.

Everything is measured inside the hole and paired with the true picture, since the rest is copied from the input. Whole
pictures are judged beside it, to show how much of a judge's answer the visible part gives away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark import numerics
from ...benchmark.errors import Diverged
from ...benchmark.family import Family
from ...benchmark.metrics import measures
from ...benchmark.metrics.intervals import Floats, cluster_bootstrap, jackknife
from ...benchmark.metrics.measures import Computation, Measured, Reference, Undefined
from ...benchmark.records.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation
from ..data.pools import ImagePool, from_bytes, in_range, to_bytes
from ..judges import lpips
from ..judges.fixed import fixed_features
from ..judges.judge import Extractor, Judge, Scored, features, score
from ..judges.report import GALLERY_COLUMNS, Report, gallery
from .holes import Hole
from .inpainter import Filling, blank, hole_error

BATCH_SIZE = 250
FEWEST = 100
"""Pictures that a Frechet distance needs at least."""
SMALLEST_CROP = 32
"""Pixels that a hole's side must have for a judge to be asked about the hole alone."""
LARGEST_TILE = 48
"""Pixels of a picture's side on the sheet of samples."""
FEWEST_CLASSES = 5
"""Classes that a pool must have for its classes to be resampled."""

HOLE_ERROR = Computation("hole-error")
HOLE_DIFFERENCE = Computation("hole-difference")
SUPPRESSION = Computation("suppression")
ERROR_CHANGE = Computation("error-change")
COSINE = Computation("cosine-similarity")
LPIPS = Computation("lpips")


class Pools(NamedTuple):
    """What is judged, in [-1, 1] or as bytes. Images of the test pools were never trained on."""

    forget: ImagePool
    forget_train: ImagePool
    retain: ImagePool
    retain_train: ImagePool
    near: ImagePool
    """Retained test images of the classes that look most like the forgotten ones."""
    unseen: ImagePool
    """Pictures of another kind, which the base model was never trained on."""

    def named(self) -> dict[str, ImagePool]:
        """Returns the pools by name."""
        return self._asdict()

    def counts(self) -> dict[str, int]:
        """Returns how many images each pool holds."""
        return {name: len(pool) for name, pool in self.named().items()}


class Filled(NamedTuple):
    """Pictures, their holes, and what a model put there; ``(N, C, H, W)`` in [-1, 1], or bytes where the pictures are."""

    truth: Tensor
    hole: Tensor
    filled: Tensor
    labels: Tensor

    def errors(self) -> Tensor:
        """Returns the mean squared error inside each hole, ``(N,)``."""
        return self.difference(self.truth).double()

    def difference(self, other: Tensor) -> Tensor:
        """Returns the mean squared difference from other pictures inside each hole, ``(N,)``."""
        if self.filled.dtype != torch.uint8:
            return hole_error(self.filled, other, self.hole)
        parts = zip(*(part.split(BATCH_SIZE) for part in (self.filled, other, self.hole)), strict=True)
        return torch.cat([hole_error(from_bytes(a), from_bytes(b), hole) for a, b, hole in parts])

    def bytes(self) -> Tensor:
        """Returns the filled pictures as a PNG file would hold them."""
        return to_bytes(self.filled)

    def crop(self) -> Filled | None:
        """Returns the holes alone, if they are all the same square and large enough for a judge to see something."""
        hole = self.hole[0, 0]
        if bool((self.hole[:, 0] != hole).any()):
            return None
        rows, columns = (hole.any(axis).nonzero().flatten() for axis in (1, 0))
        box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        if not bool(hole[box].all()) or min(hole[box].shape) < SMALLEST_CROP:
            return None
        truth, where, filled = (part[:, :, *box] for part in (self.truth, self.hole, self.filled))
        return Filled(truth, where, filled, self.labels)


@dataclass(frozen=True)
class Drawing:
    """What is drawn from a model: which holes it fills, and how."""

    task: str
    """Its name, from which the seeds of holes and noise follow."""
    pools: Pools
    holes: Mapping[str, Hole]
    """The kinds of holes that are judged, by name; the first is the one that the score is made of."""
    filling: Filling
    """How the in-painter is asked."""
    batch: int
    """Pictures that are filled at a time."""
    fast: bool = False
    """Whether filling may be fast, see ``numerics.sampling``."""


class Oracles(NamedTuple):
    """Networks that were retrained without the forgotten pictures."""

    networks: list[nn.Module]
    sha256: str


@dataclass(frozen=True)
class Exam:
    """All that a model is measured by. The task fills it, so that nothing here knows the task."""

    family: Family
    sampling: str
    """How samples are drawn, in one line."""
    drawing: Drawing
    clustered: bool
    """Whether intervals resample classes before pictures, for pools of many classes."""
    pixel_moments: tuple[Tensor, Tensor]
    """Mean and deviation of the training images' values in [-1, 1]: of the noise that stands for nothing."""
    judges: Mapping[str, Judge]
    """The first one's features serve the distances."""
    original: nn.Module
    """The model that forgets, as it is before."""
    oracles: Oracles | None
    """Those to compare with, if there are any."""
    data_sha256: str

    @property
    def side(self) -> int:
        """Height and width of the pictures, in pixels."""
        return self.drawing.pools.forget.images.shape[-1]


def fill_pool(drawing: Drawing, model: nn.Module, name: str, seed: int | str, hole: Hole | None = None) -> Filled:
    """Takes holes out of a pool's pictures and has a model fill them. Holes depend on the seed and the pool alone.

    Raises:
        Diverged: A filled picture is not finite.
    """
    pool = drawing.pools.named()[name]
    images, as_bytes = pool.images, pool.images.dtype == torch.uint8
    wanted = hole or next(iter(drawing.holes.values()))
    chosen = derive_seed(drawing.task, "hole", name, seed)
    masks = wanted.masks(len(images), images.shape[-1], torch.Generator().manual_seed(chosen))
    device = next(model.parameters()).device
    parts: list[Tensor] = []
    with torch.inference_mode(), numerics.sampling(model, drawing.fast) as network:
        for picture, mask in zip(images.split(drawing.batch), masks.split(drawing.batch), strict=True):
            given, where = in_range(picture).to(device), mask.to(device)
            filled = drawing.filling.fill(network, blank(given, where), where, chosen + len(parts)).cpu()
            if not torch.isfinite(filled).all():
                raise Diverged("the model fills holes with values that are not finite")
            parts.append(to_bytes(filled) if as_bytes else filled)
    return Filled(images, masks, torch.cat(parts), pool.labels)


def fill_with_noise(task: str, moments: tuple[Tensor, Tensor], like: Filled, seed: int | str) -> Filled:
    """Returns the same pictures with Gaussian noise in the same holes.

    Args:
        task: Its name, from which the noise's seed follows.
        moments: The noise's mean and deviation, those of the training data.
        like: The pictures.
        seed: The run's.
    """
    mean, deviation = moments
    generator = torch.Generator().manual_seed(derive_seed(task, "noise", seed))
    as_bytes = like.truth.dtype == torch.uint8
    parts: list[Tensor] = []
    for truth, hole in zip(like.truth.split(BATCH_SIZE), like.hole.split(BATCH_SIZE), strict=True):
        noise = (torch.randn(truth.shape, generator=generator) * deviation + mean).clamp(-1, 1)
        parts.append(torch.where(hole, to_bytes(noise) if as_bytes else noise, truth))
    return like._replace(filled=torch.cat(parts))


def evaluate(exam: Exam, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
    """Measures an edited model. See ``Task.evaluate``."""
    judges = exam.judges
    likeness = lpips.load() if exam.side >= SMALLEST_CROP else None
    report = Report(exam.family, exam.sampling, judges if likeness is None else {**judges, lpips.NAME: likeness})
    found = {name: fill_pool(exam.drawing, model, name, seed) for name in exam.drawing.pools.named()}
    _hole_errors(exam, report, model, found, seed)
    _suppression(exam, report, found, seed)
    for name, judge in judges.items():
        looks = {pool: _look(judge, found[pool]) for pool in ("forget", "retain")}
        _whole_pictures(report, name, judge, exam, found, looks)
        if name == next(iter(judges)):
            _distributions(exam, report, name, judge, found, looks)
    if likeness is not None:
        _likeness(report, likeness, exam, found)
    if exam.oracles is not None and exam.oracles.networks:
        _distance_to_oracles(exam, report, found, exam.oracles, seed, device)
    return Evaluation(report.metrics, _gallery(found))


def _statistic(
    exam: Exam, labels: Tensor, by: Computation, statistic: Callable[..., float], columns: list[Tensor]
) -> Measured:
    """A function of means over the same pictures, with an interval that resamples classes where the task asks for it."""
    values = torch.stack(columns, 1).numpy()

    def of(rows: NDArray[np.intp]) -> float:
        return float(statistic(*values[rows].mean(0)))

    everything = np.arange(len(values))
    if exam.clustered and len(labels.unique()) >= FEWEST_CLASSES:
        return Measured(of(everything), cluster_bootstrap(of, labels.numpy()), len(values), "bootstrap", by)
    return Measured(of(everything), jackknife(of, len(values)), len(values), "jackknife", by)


def _mean(exam: Exam, labels: Tensor, by: Computation, values: Tensor) -> Measured:
    if exam.clustered:
        return _statistic(exam, labels, by, lambda mean: mean, [values])
    return measures.mean(values.numpy())._replace(by=by)


def _share(exam: Exam, labels: Tensor, hits: Tensor) -> Measured:
    if exam.clustered:
        return _mean(exam, labels, measures.PROPORTION, hits.double())
    return measures.proportion(hits)


def _hole_errors(exam: Exam, report: Report, model: nn.Module, found: dict[str, Filled], seed: int) -> None:
    """The error inside the hole, pool by pool, then for the kinds of holes that the score does not look at."""
    for name, filled in found.items():
        report.add(f"hole_error_{name}", _mean(exam, filled.labels, HOLE_ERROR, filled.errors()))
    for kind, hole in list(exam.drawing.holes.items())[1:]:
        for name in ("forget", "retain"):
            filled = fill_pool(exam.drawing, model, name, seed, hole)
            measured = _mean(exam, filled.labels, HOLE_ERROR, filled.errors())
            protocol = hole.describe(exam.side)
            report.add(f"hole_error_{name}_{kind}", measured, protocol=protocol)


def _suppression(exam: Exam, report: Report, found: dict[str, Filled], seed: int) -> None:
    """How far forgotten pictures went from what the original fills in (0) to noise (1), and what retained ones lost."""
    drawing, forget, retain = exam.drawing, found["forget"], found["retain"]
    before = {name: fill_pool(drawing, exam.original, name, seed).errors() for name in ("forget", "retain")}
    noise = fill_with_noise(drawing.task, exam.pixel_moments, forget, seed).errors()
    columns = [forget.errors(), before["forget"], noise]
    share = _statistic(exam, forget.labels, SUPPRESSION, lambda now, was, goal: (now - was) / (goal - was), columns)
    report.add("suppression", share)
    columns = [retain.errors(), before["retain"]]
    report.add("retain_change", _statistic(exam, retain.labels, ERROR_CHANGE, lambda now, was: now / was - 1, columns))


class Look(NamedTuple):
    """What a judge says of filled pictures, and its features of the true ones."""

    filled: Scored
    true: Floats


def _look(judge: Judge, pictures: Filled) -> Look:
    return Look(score(judge, pictures.bytes()), fixed_features(judge, pictures.truth))


def _whole_pictures(
    report: Report, name: str, judge: Judge, exam: Exam, found: dict[str, Filled], looks: Mapping[str, Look]
) -> None:
    """What a judge takes the filled pictures for, and how like the true ones they are to it; then for the holes alone."""
    for pool, (seen, true) in looks.items():
        whole = found[pool]
        accuracy = _share(exam, whole.labels, seen.labels == whole.labels)
        report.add(f"judge_accuracy_{pool}", accuracy, judge=name)
        cosine = nn.functional.cosine_similarity(torch.from_numpy(seen.features), torch.from_numpy(true))
        report.add(f"feature_cosine_{pool}", _mean(exam, whole.labels, COSINE, cosine), judge=name)
        crop = whole.crop()
        if crop is not None:
            there = torch.from_numpy(fixed_features(judge, crop.truth))
            put = torch.from_numpy(features(judge, crop.filled))
            measured = _mean(exam, crop.labels, COSINE, nn.functional.cosine_similarity(put, there))
            protocol = f"{report.protocol}, the hole alone"
            report.add(f"hole_cosine_{pool}", measured, judge=name, protocol=protocol)


def _likeness(report: Report, likeness: Extractor, exam: Exam, found: dict[str, Filled]) -> None:
    """LPIPS of the holes alone."""
    assert isinstance(likeness.network, lpips.LPIPS)
    for pool in ("forget", "retain"):
        crop = found[pool].crop()
        if crop is not None:
            distance = likeness.network.distance(crop.filled, crop.truth).double()
            measured = _mean(exam, crop.labels, LPIPS, distance)
            protocol = f"{report.protocol}, the hole alone"
            report.add(f"lpips_{pool}", measured, judge=lpips.NAME, protocol=protocol)


def _distributions(
    exam: Exam, report: Report, name: str, judge: Judge, found: dict[str, Filled], looks: Mapping[str, Look]
) -> None:
    """Distances of filled test pictures to real training pictures, beside those of the real test pictures: the floor."""
    for pool, (seen, true) in looks.items():
        filled, real = seen.features, Reference(fixed_features(judge, found[f"{pool}_train"].truth))
        enough = min(len(filled), len(real.features)) >= FEWEST
        for metric, function, by in (("fid", measures.fid, measures.FRECHET), ("kid", measures.kid, measures.KERNEL)):
            for suffix, values in (("", filled), ("_floor", true)):
                measured = function(values, real) if enough else Undefined(len(filled), by)
                report.add(f"{metric}_{pool}{suffix}", measured, judge=name, reference_sha256=exam.data_sha256)


def _distance_to_oracles(
    exam: Exam,
    report: Report,
    found: dict[str, Filled],
    oracles: Oracles,
    seed: int,
    device: torch.device,
) -> None:
    """The squared difference between what the model and what the oracles put into the same holes."""
    networks = [network.to(device) for network in oracles.networks]
    for pool in ("forget", "forget_train", "retain"):
        own = found[pool]
        theirs = [fill_pool(exam.drawing, network, pool, seed).filled for network in networks]
        errors = torch.stack([own.difference(other) for other in theirs]).mean(0).double()
        report.add(
            f"oracle_distance_{pool}",
            _mean(exam, own.labels, HOLE_DIFFERENCE, errors),
            reference_sha256=oracles.sha256,
            protocol=f"{exam.sampling}, mean over {len(networks)} oracles",
        )


def _gallery(found: dict[str, Filled]) -> Gallery:
    rows: dict[str, Tensor] = {}
    columns = min(GALLERY_COLUMNS, *(len(part.labels) for part in found.values()))
    titles = {"forget": "forgotten", "retain": "retained"}
    # Of photographs no more than a paper's figure shows.
    if found["forget"].truth.shape[1] == 1:
        titles |= {"near": "near", "unseen": "unseen"}
    for pool, title in titles.items():
        first = found[pool]._replace(**{name: value[:columns] for name, value in found[pool]._asdict().items()})
        rows[f"{title}: true"] = _tiles(first.truth)
        rows[f"{title}: hole"] = _tiles(blank(in_range(first.truth), first.hole))
        rows[f"{title}: filled"] = _tiles(first.filled)
    return gallery(rows)


def _tiles(images: Tensor) -> Tensor:
    """Returns images as bytes, shrunk until a sheet of photographs fits into a record."""
    pixels = to_bytes(images)
    if pixels.shape[-1] <= LARGEST_TILE:
        return pixels
    shrunk = nn.functional.interpolate(pixels.float(), LARGEST_TILE, mode="bilinear", antialias=True)
    return shrunk.round().clamp(0, 255).to(torch.uint8)
