"""The evaluation protocol of image-to-image forgetting: which holes are filled, and what is measured in them.

Everything is measured inside the hole and paired with the true picture, since the rest is copied from the input. Whole
pictures are judged beside it, to show how much of a judge's answer the visible part gives away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark import metrics
from ...benchmark.errors import Diverged
from ...benchmark.metrics import Measured
from ...benchmark.problem import TensorPool
from ...benchmark.record import Gallery
from ...benchmark.seeds import derive_seed
from ...benchmark.statistics import jackknife, student
from ...benchmark.task import Evaluation
from ..common.judging import GALLERY_COLUMNS, Judge, Report, features, gallery, score
from ..common.pools import to_bytes
from .inpainter import Inpainter, blank
from .problem import hole_error

if TYPE_CHECKING:
    from .holes import Hole
    from .task import ImageToImageTask

BATCH_SIZE = 250
FEWEST = 100
"""Pictures that a Frechet distance needs at least."""

_OWN = "unlearnbench.tasks.image_to_image.evaluation"


class Pools(NamedTuple):
    """What is judged, in [-1, 1]. Images of the test pools were never trained on."""

    forget: TensorPool
    forget_train: TensorPool
    retain: TensorPool
    retain_train: TensorPool
    near: TensorPool
    """Retained test images of the classes that look most like the forgotten ones."""
    unseen: TensorPool
    """Pictures of another kind, which the base model was never trained on."""

    def named(self) -> dict[str, TensorPool]:
        """Returns the pools by name."""
        return self._asdict()

    def counts(self) -> dict[str, int]:
        """Returns how many images each pool holds."""
        return {name: len(pool) for name, pool in self.named().items()}


class Filled(NamedTuple):
    """Pictures, their holes, and what a model put there; ``(N, C, H, W)`` in [-1, 1]."""

    truth: Tensor
    hole: Tensor
    filled: Tensor

    def errors(self) -> Tensor:
        """Returns the mean squared error inside each hole, ``(N,)``."""
        return hole_error(self.filled, self.truth, self.hole).double()

    def bytes(self) -> Tensor:
        """Returns the filled pictures as a PNG file would hold them."""
        return to_bytes(self.filled)


def fill_pool(task: ImageToImageTask, model: nn.Module, name: str, seed: int | str, hole: Hole | None = None) -> Filled:
    """Takes holes out of a pool's pictures and has a model fill them. Holes depend on the seed and the pool alone.

    Raises:
        Diverged: A filled picture is not finite.
    """
    images = task.pools().named()[name].images
    wanted = hole or next(iter(task.test_holes.values()))
    chosen = derive_seed(task.name, "hole", name, seed)
    masks = wanted.masks(len(images), images.shape[-1], torch.Generator().manual_seed(chosen))
    device = next(model.parameters()).device
    parts: list[Tensor] = []
    with torch.inference_mode():
        for picture, mask in zip(images.split(BATCH_SIZE), masks.split(BATCH_SIZE), strict=True):
            given, where = picture.to(device), mask.to(device)
            parts.append(task.backbone.fill(model, blank(given, where), where, chosen + len(parts)).cpu())
    filled = torch.cat(parts)
    if not torch.isfinite(filled).all():
        raise Diverged("the model fills holes with values that are not finite")
    return Filled(images, masks, filled)


def fill_with_noise(task: ImageToImageTask, like: Filled, seed: int | str) -> Filled:
    """Returns the same pictures with Gaussian noise of the training data's mean and deviation in the same holes."""
    real = task.training_pool().images
    generator = torch.Generator().manual_seed(derive_seed(task.name, "noise", seed))
    noise = torch.randn(like.truth.shape, generator=generator) * real.std() + real.mean()
    return like._replace(filled=torch.where(like.hole, noise.clamp(-1, 1), like.truth))


def evaluate(
    task: ImageToImageTask, model: nn.Module, seed: int, oracles: list[int], device: torch.device
) -> Evaluation:
    """Measures an edited model. See ``Task.evaluate``."""
    judges = task.load_judges()
    report = Report(task.sampling(), judges)
    original = task.load_model("base.safetensors").to(device)
    found = {name: fill_pool(task, model, name, seed) for name in task.pools().named()}
    _hole_errors(task, report, model, found, seed)
    _suppression(task, report, model, original, found, seed)
    for name, judge in judges.items():
        _whole_pictures(report, name, judge, task, found)
    main = next(iter(judges))
    _distributions(task, report, main, judges[main], found)
    _distance_to_oracles(task, report, found, oracles, seed, device)
    return Evaluation(report.metrics, _gallery(found))


def _mean(values: Tensor) -> Measured:
    interval = student(values.tolist())
    assert interval is not None
    return Measured(float(values.mean()), interval, len(values), "student")


def _hole_errors(task: ImageToImageTask, report: Report, model: nn.Module, found: dict[str, Filled], seed: int) -> None:
    """The error inside the hole, pool by pool, then for the kinds of holes that the score does not look at."""
    for name, filled in found.items():
        report.add(f"hole_error_{name}", _mean(filled.errors()), _direction(name), _OWN)
    for kind, hole in list(task.test_holes.items())[1:]:
        for name in ("forget", "retain"):
            errors = fill_pool(task, model, name, seed, hole).errors()
            protocol = hole.describe(task.image_shape[-1])
            report.add(f"hole_error_{name}_{kind}", _mean(errors), _direction(name), _OWN, protocol=protocol)


def _direction(pool: str) -> str:
    return "match" if pool.startswith("forget") else "min"


def _suppression(
    task: ImageToImageTask,
    report: Report,
    model: nn.Module,
    original: nn.Module,
    found: dict[str, Filled],
    seed: int,
) -> None:
    """How far forgotten pictures went from what the original fills in (0) to noise (1), and what retained ones lost.

    Measured on the model as it is, and on the bare network inside, so that a gate in front of the original is seen for
    what it is.
    """
    before = {name: fill_pool(task, original, name, seed).errors() for name in ("forget", "retain")}
    noise = fill_with_noise(task, found["forget"], seed).errors()
    bare = next((module for module in model.modules() if isinstance(module, Inpainter)), original)
    inner = found["forget"] if bare is model else fill_pool(task, bare, "forget", seed)

    def share(errors: Tensor) -> Measured:
        return _paired(lambda now, was, goal: (now - was) / (goal - was), errors, before["forget"], noise)

    report.add("suppression", share(found["forget"].errors()), "max", _OWN)
    report.add("suppression_bare", share(inner.errors()), "max", _OWN)
    change = _paired(lambda now, was: now / was - 1, found["retain"].errors(), before["retain"])
    report.add("retain_change", change, "min", _OWN)


def _paired(statistic: Callable[..., float], *columns: Tensor) -> Measured:
    """A function of means over the same pictures, with its jackknife interval."""
    values = torch.stack(columns, 1).numpy()

    def of(rows: NDArray[np.intp]) -> float:
        return float(statistic(*values[rows].mean(0)))

    return Measured(of(np.arange(len(values))), jackknife(of, len(values)), len(values), "jackknife")


def _whole_pictures(report: Report, name: str, judge: Judge, task: ImageToImageTask, found: dict[str, Filled]) -> None:
    """What a judge takes the filled pictures for, and how like the true ones they are to it."""
    for pool in ("forget", "retain"):
        labels = task.pools().named()[pool].labels
        seen, true = score(judge, found[pool].bytes()), features(judge, found[pool].truth)
        accuracy = metrics.proportion(seen.labels == labels)
        report.add(f"judge_accuracy_{pool}", accuracy, "info", "unlearnbench.benchmark.metrics.proportion", judge=name)
        cosine = nn.functional.cosine_similarity(torch.from_numpy(seen.features), torch.from_numpy(true))
        report.add(f"feature_cosine_{pool}", _mean(cosine), "info", _OWN, judge=name)


def _distributions(task: ImageToImageTask, report: Report, name: str, judge: Judge, found: dict[str, Filled]) -> None:
    """Distances of filled test pictures to real training pictures, beside those of the real test pictures: the floor."""
    for pool in ("forget", "retain"):
        real, true = features(judge, found[f"{pool}_train"].truth), features(judge, found[pool].truth)
        filled = score(judge, found[pool].bytes()).features
        enough = min(len(filled), len(real)) >= FEWEST
        for metric, function, implementation in (
            ("fid", metrics.fid, "cleanfid.fid.frechet_distance"),
            ("kid", metrics.kid, "cleanfid.fid.kernel_distance"),
        ):
            for suffix, values in (("", filled), ("_floor", true)):
                report.add(
                    f"{metric}_{pool}{suffix}",
                    function(values, real) if enough else None,
                    "info",
                    implementation,
                    n=len(filled),
                    package="clean-fid",
                    judge=name,
                    reference_sha256=task.data_sha256(),
                )


def _distance_to_oracles(
    task: ImageToImageTask,
    report: Report,
    found: dict[str, Filled],
    oracles: list[int],
    seed: int,
    device: torch.device,
) -> None:
    """The squared difference between what the model and what the oracles put into the same holes."""
    networks = [task.load_model(task.oracle_file(other)).to(device) for other in oracles]
    if not networks:
        return
    hashed = task.assets.sha256([task.oracle_file(other) for other in oracles])
    for pool in ("forget", "forget_train", "retain"):
        own = found[pool]
        theirs = [fill_pool(task, network, pool, seed).filled for network in networks]
        errors = torch.stack([hole_error(own.filled, other, own.hole) for other in theirs]).mean(0).double()
        report.add(
            f"oracle_distance_{pool}",
            _mean(errors),
            "match",
            _OWN,
            reference_sha256=hashed,
            protocol=f"{task.sampling()}, mean over {len(networks)} oracles",
        )


def _gallery(found: dict[str, Filled]) -> Gallery:
    rows: dict[str, Tensor] = {}
    for pool, title in (("forget", "forgotten"), ("retain", "retained"), ("near", "near"), ("unseen", "unseen")):
        first = found[pool]._replace(**{name: value[:GALLERY_COLUMNS] for name, value in found[pool]._asdict().items()})
        rows[f"{title}: true"] = to_bytes(first.truth)
        rows[f"{title}: hole"] = to_bytes(blank(first.truth, first.hole))
        rows[f"{title}: filled"] = first.bytes()
    return gallery(rows)
