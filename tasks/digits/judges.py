"""The judges of the embedded tasks: two timm classifiers of different kinds, trained on the digits' training split."""

from __future__ import annotations

from typing import cast

import timm
import torch
from torch import Tensor, nn

from . import data

TRAIN_STEPS = 600
BATCH_SIZE = 128
LEARNING_RATE = 4e-3
INPUT_SIZE = 32
"""Both networks halve the resolution five times, so the 8x8 images are enlarged first."""
ARCHITECTURES = {"resnet": "test_resnet", "efficientnet": "test_efficientnet"}
"""The judges by name: timm's smallest residual network and smallest network of depthwise convolutions."""


class DigitJudge(nn.Module):
    """A classifier of digits that also gives its penultimate features.

    Args:
        name: A key of ``ARCHITECTURES``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = timm.create_model(ARCHITECTURES[name], in_chans=1, num_classes=data.NUM_CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 1, 8, 8)`` in [-1, 1] to features ``(N, D)``."""
        enlarged = nn.functional.interpolate(images, size=INPUT_SIZE, mode="bilinear", align_corners=False)
        hidden = self.network.forward_features(enlarged)
        return cast(Tensor, self.network.forward_head(hidden, pre_logits=True))

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, 10)``."""
        return cast(Tensor, self.network.get_classifier()(features))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 1, 8, 8)`` in [-1, 1] to logits ``(N, 10)``."""
        return self.classify(self.features(images))


def train_judge(name: str, seed: int) -> DigitJudge:
    """Trains a judge on real training images, shifted by up to a pixel."""
    torch.manual_seed(seed)
    judge, train = DigitJudge(name), data.load_split().train
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=TRAIN_STEPS)
    for _ in range(TRAIN_STEPS):
        index = torch.randint(len(train.labels), (BATCH_SIZE,))
        loss = nn.functional.cross_entropy(
            judge(_shifted(train.images[index])), train.labels[index], label_smoothing=0.05
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def accuracy(judge: DigitJudge, digits: data.Digits) -> float:
    """Returns the share of images that the judge classifies rightly."""
    with torch.inference_mode():
        return float((judge(digits.images).argmax(1) == digits.labels).float().mean())


def _shifted(images: Tensor) -> Tensor:
    rows, columns = (int(shift) for shift in torch.randint(-1, 2, (2,)))
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    return padded[:, :, 1 + rows : 1 + rows + data.SIZE, 1 + columns : 1 + columns + data.SIZE]
