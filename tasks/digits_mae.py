"""``digits-mae``: a small masked autoencoder fills holes in scikit-learn's digits and forgets one of them."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ..benchmark.problem import Pool, TensorPool
from .data import digits
from .image_to_image.evaluation import Pools
from .image_to_image.holes import Hole, quarter_holes
from .image_to_image.inpainter import Filling, Inpainter
from .image_to_image.mae import MAE, small_mae
from .image_to_image.task import ImageToImageTask
from .retraining.digits import DigitsTask
from .training.recipe import TrainingRecipe

PATCH = 2
RETAIN_TRAIN_IMAGES = 324


class DigitsMAE(DigitsTask, ImageToImageTask):
    """In-painting a 4x4 hole in real 8x8 scans of digits, with a masked autoencoder of 0.3 M parameters."""

    name: ClassVar[str] = "digits-mae"
    libraries: ClassVar[tuple[str, ...]] = ("transformers.models.vit_mae.modeling_vit_mae",)
    batch_size: ClassVar[int] = 64
    most_steps: ClassVar[int] = 900
    recipe: ClassVar[TrainingRecipe] = TrainingRecipe(steps=3600, batch_size=128, lr=1e-3)
    judges_from: ClassVar[str] = "digits-ddpm"
    filling: ClassVar[Filling] = MAE
    test_holes: ClassVar[dict[str, Hole]] = quarter_holes(PATCH)

    forget_class: Annotated[int, Field(ge=0, le=9)] = 0
    """The digit to forget; the standard board forgets 0, 3 and 8, each in turn. 3 is hard: other digits share its strokes."""
    retain_data: Literal["real", "proxy"] = "real"
    """Whether methods see images of the retained digits, or of other digits in their place.

    With a proxy every third retained digit is what must be kept and is judged; methods see the others alone, turned and
    mirrored in all eight ways.
    """
    proxy_fold: Annotated[int, Field(ge=0, le=2)] = 0
    """Which third of the retained digits a proxy stands for: those at 0, 3, 6 in their order, or one or two later."""

    def network(self) -> Inpainter:
        """See ``RetrainedTask.network``."""
        return small_mae(digits.SIZE, PATCH, channels=1, width=64, layers=4, decoder_layers=2)

    def pixel_moments(self) -> tuple[Tensor, Tensor]:
        """See ``InpaintingTask.pixel_moments``."""
        images = self.training_pool().images
        return images.mean(), images.std()

    def method_pools(self) -> tuple[Pool, Pool]:
        """See ``ImageToImageTask.method_pools``."""
        train, kept = digits.load_split().train, self._kept()
        forget = TensorPool(*train.of(self.forgotten()))
        if self.retain_data == "real":
            return forget, TensorPool(*train.of(kept))
        return forget, _turned(train.without((*self.forgotten(), *kept)))

    def pools(self) -> Pools:
        """See ``ImageToImageTask.pools``."""
        return _pools(self.forget_class, self._kept())

    def _kept(self) -> tuple[int, ...]:
        """The retained digits that are judged."""
        return tuple(
            self.retain_classes() if self.retain_data == "real" else self.retain_classes()[self.proxy_fold :: 3]
        )


def _turned(digits: digits.Digits) -> TensorPool:
    """The digits and their mirror pictures, turned by quarters."""
    quarters = [torch.rot90(digits.images, turns, (2, 3)) for turns in range(4)]
    images = torch.cat([*quarters, *(turned.flip(3) for turned in quarters)])
    return TensorPool(images, digits.labels.repeat(8))


@functools.cache
def _pools(forget_class: int, kept: tuple[int, ...]) -> Pools:
    train, test = digits.load_split()
    gaps = {label: _gap(train, forget_class, label) for label in kept}
    retain_train = TensorPool(*train.of(kept))
    squares = digits.photograph()
    return Pools(
        forget=TensorPool(*test.of((forget_class,))),
        forget_train=TensorPool(*train.of((forget_class,))),
        retain=TensorPool(*test.of(kept)),
        retain_train=TensorPool(*retain_train.sample(RETAIN_TRAIN_IMAGES, torch.Generator().manual_seed(0))),
        near=TensorPool(*test.of((min(gaps, key=lambda label: gaps[label]),))),
        unseen=TensorPool(squares, torch.full((len(squares),), -1)),
    )


def _gap(digits: digits.Digits, first: int, second: int) -> float:
    """How far the mean pictures of two digits are apart."""
    one, other = (digits.of((label,)).images.mean(0) for label in (first, second))
    return float((one - other).norm())
