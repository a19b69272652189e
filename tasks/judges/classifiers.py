"""The judges of tasks that make their own: timm classifiers of different kinds, trained on the task's training images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ...benchmark.measuring.device import CPU
from ..data.pools import ImagePool, in_range
from ..training import loop
from ..training.checkpoint import Checkpoint
from ..training.loop import Descent

TRAIN_STEPS = 600
BATCH_SIZE = 128
LEARNING_RATE = 4e-3
INPUT_SIZE = 32
"""Both networks halve the resolution five times, so small images are enlarged first."""
ARCHITECTURES = {"resnet": "test_resnet", "efficientnet": "test_efficientnet"}
"""The judges by name: timm's smallest residual network and smallest network of depthwise convolutions."""


class JudgeRecipe(NamedTuple):
    """What a judge is and how it is trained."""

    architecture: str
    """timm's name."""
    steps: int
    channels: int = 1
    input_size: int = INPUT_SIZE
    """What images are brought to, in pixels."""
    mirrored: bool = False
    """Whether every second training image is mirrored, on average."""
    lr: float = LEARNING_RATE


def small(name: str) -> JudgeRecipe:
    """Returns the recipe of a judge of small grey images, a key of ``ARCHITECTURES``."""
    return JudgeRecipe(ARCHITECTURES[name], TRAIN_STEPS)


class TrainedJudge(nn.Module):
    """A classifier that also gives its penultimate features.

    Args:
        recipe: What it is.
        num_classes: Of the data.
    """

    def __init__(self, recipe: JudgeRecipe, num_classes: int) -> None:
        import timm

        super().__init__()
        self.input_size = recipe.input_size
        self.network = timm.create_model(recipe.architecture, in_chans=recipe.channels, num_classes=num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)``."""
        enlarged = nn.functional.interpolate(images, size=self.input_size, mode="bilinear", align_corners=False)
        hidden = self.network.forward_features(enlarged)
        return cast(Tensor, self.network.forward_head(hidden, pre_logits=True))

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, num_classes)``."""
        return cast(Tensor, self.network.get_classifier()(features))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to logits ``(N, num_classes)``."""
        return self.classify(self.features(images))


def train_judge(
    recipe: JudgeRecipe,
    seed: int,
    data: ImagePool,
    num_classes: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    device: torch.device = CPU,
) -> TrainedJudge:
    """Trains a judge on real training images, in [-1, 1] or bytes, shifted by up to a pixel."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(data.labels), (BATCH_SIZE,), generator=generator)
        images = _shifted(in_range(data.images[index]), generator)
        if recipe.mirrored:
            turned = torch.rand(BATCH_SIZE, generator=generator) < 0.5
            images = torch.where(turned.view(-1, 1, 1, 1), images.flip(-1), images)
        return images, data.labels[index]

    def loss(network: nn.Module, images: Tensor, labels: Tensor, _: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(network(images), labels, label_smoothing=0.05)

    torch.manual_seed(seed)
    return loop.train(
        TrainedJudge(recipe, num_classes),
        draw,
        loss,
        Descent(
            partial(torch.optim.AdamW, lr=recipe.lr, weight_decay=0.05),
            partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=recipe.lr, total_steps=recipe.steps),
        ),
        steps=recipe.steps,
        # The judges that the suite ships drew their batches from the generator that drew their first weights.
        generator=torch.default_generator,
        progress=progress,
        checkpoint=checkpoint,
        device=device,
    )


def accuracy(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of images, in [-1, 1] or bytes, that the judge classifies rightly."""
    with torch.inference_mode():
        guesses = torch.cat([judge(in_range(part)).argmax(1) for part in images.split(500)])
    return float((guesses == labels).float().mean())


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    rows, columns = (int(shift) for shift in torch.randint(-1, 2, (2,), generator=generator))
    height, width = images.shape[-2:]
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    return padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
