"""The judges of the small tasks: two timm classifiers of different kinds, trained on the task's own training images."""

from __future__ import annotations

from typing import cast

import timm
import torch
from torch import Tensor, nn

TRAIN_STEPS = 600
BATCH_SIZE = 128
LEARNING_RATE = 4e-3
INPUT_SIZE = 32
"""Both networks halve the resolution five times, so small images are enlarged first."""
ARCHITECTURES = {"resnet": "test_resnet", "efficientnet": "test_efficientnet"}
"""The judges by name: timm's smallest residual network and smallest network of depthwise convolutions."""


class SmallJudge(nn.Module):
    """A classifier of small grey images that also gives its penultimate features.

    Args:
        name: A key of ``ARCHITECTURES``.
        num_classes: Of the data.
    """

    def __init__(self, name: str, num_classes: int) -> None:
        super().__init__()
        self.network = timm.create_model(ARCHITECTURES[name], in_chans=1, num_classes=num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 1, H, W)`` in [-1, 1] to features ``(N, D)``."""
        enlarged = nn.functional.interpolate(images, size=INPUT_SIZE, mode="bilinear", align_corners=False)
        hidden = self.network.forward_features(enlarged)
        return cast(Tensor, self.network.forward_head(hidden, pre_logits=True))

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, num_classes)``."""
        return cast(Tensor, self.network.get_classifier()(features))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 1, H, W)`` in [-1, 1] to logits ``(N, num_classes)``."""
        return self.classify(self.features(images))


def train_judge(name: str, seed: int, images: Tensor, labels: Tensor, num_classes: int) -> SmallJudge:
    """Trains a judge on real training images in [-1, 1], shifted by up to a pixel."""
    torch.manual_seed(seed)
    judge = SmallJudge(name, num_classes)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=TRAIN_STEPS)
    for _ in range(TRAIN_STEPS):
        index = torch.randint(len(labels), (BATCH_SIZE,))
        loss = nn.functional.cross_entropy(judge(_shifted(images[index])), labels[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def accuracy(judge: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Returns the share of images in [-1, 1] that the judge classifies rightly."""
    with torch.inference_mode():
        guesses = torch.cat([judge(part).argmax(1) for part in images.split(500)])
    return float((guesses == labels).float().mean())


def _shifted(images: Tensor) -> Tensor:
    rows, columns = (int(shift) for shift in torch.randint(-1, 2, (2,)))
    height, width = images.shape[-2:]
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    return padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
