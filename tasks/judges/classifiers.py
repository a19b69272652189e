"""The judges of tasks that make their own: timm classifiers of different kinds, trained on the task's training images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ..data.pools import ImagePool, in_range

CPU = torch.device("cpu")
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
    device: torch.device = CPU,
) -> TrainedJudge:
    """Trains a judge on real training images, in [-1, 1] or bytes, shifted by up to a pixel."""
    torch.manual_seed(seed)
    judge = TrainedJudge(recipe, num_classes).to(device)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=recipe.lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=recipe.steps)
    for step in range(recipe.steps):
        index = torch.randint(len(data.labels), (BATCH_SIZE,))
        images = _shifted(in_range(data.images[index]))
        if recipe.mirrored:
            turned = torch.rand(BATCH_SIZE) < 0.5
            images = torch.where(turned.view(-1, 1, 1, 1), images.flip(-1), images)
        logits = judge(images.to(device))
        loss = nn.functional.cross_entropy(logits, data.labels[index].to(device), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, recipe.steps)
    return judge.eval().cpu()


def accuracy(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of images, in [-1, 1] or bytes, that the judge classifies rightly."""
    with torch.inference_mode():
        guesses = torch.cat([judge(in_range(part)).argmax(1) for part in images.split(500)])
    return float((guesses == labels).float().mean())


def _shifted(images: Tensor) -> Tensor:
    rows, columns = (int(shift) for shift in torch.randint(-1, 2, (2,)))
    height, width = images.shape[-2:]
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    return padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
