"""He et al.'s (2016) residual networks for CIFAR-10 and their training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ..data.pictures import Pictures
from ..data.pools import from_bytes
from ..data.sets import CIFAR10
from ..training import loop
from ..training.checkpoint import Checkpoint
from ..training.loop import Descent

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TRAIN_STEPS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64_000, 128, 0.1, 1e-4
"""He et al. (2016), section 4.2; the rate falls to a tenth at 32,000 and at 48,000 steps."""
PADDING = 4


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut without weights, He et al.'s option A.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: 2 halves the resolution; the shortcut takes every second pixel and fills new channels with zeros.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self._stride, self._added = stride, outputs - inputs

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        hidden = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu()))
        shortcut = images[:, :, :: self._stride, :: self._stride]
        half = self._added // 2
        padded = nn.functional.pad(shortcut, (0, 0, 0, 0, half, self._added - half))
        return cast(Tensor, (hidden + padded).relu())


class CifarResNet(nn.Module):
    """He et al.'s residual network for CIFAR-10, with 64 features.

    Args:
        depth: Layers with weights, 6n + 2: 20, 32, 44.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, depth: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1)
        self.layer2 = _stage(16, 32, blocks, 2)
        self.layer3 = _stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, len(CIFAR10.classes))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, 32, 32)`` in [-1, 1] to features ``(N, 64)``."""
        hidden = self.bn1(self.conv1(((images + 1) / 2 - self.mean) / self.std)).relu()
        return cast(Tensor, self.layer3(self.layer2(self.layer1(hidden))).mean((2, 3)))

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, 64)`` to logits ``(N, 10)``."""
        return cast(Tensor, self.linear(features))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, 32, 32)`` in [-1, 1] to logits ``(N, 10)``."""
        return self.classify(self.features(images))


def train(
    judge: CifarResNet,
    images: Pictures,
    device: torch.device,
    steps: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
) -> CifarResNet:
    """Trains a network by He et al.'s recipe: images padded by four pixels, cropped at random and mirrored.

    Args:
        judge: A freshly initialized network.
        images: The training images.
        device: Where to train.
        steps: Batches of 128.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on if it was killed.

    Returns:
        The network, on the CPU and in evaluation mode.
    """

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        index = torch.randint(len(images.labels), (BATCH_SIZE,), generator=generator)
        return images.images[index], images.labels[index]

    def loss(network: nn.Module, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(network(_cropped(from_bytes(pixels), generator)), labels)

    optimizer = partial(torch.optim.SGD, lr=LEARNING_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
    rates = partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[steps // 2, steps * 3 // 4])
    return loop.train(
        judge,
        draw,
        loss,
        Descent(optimizer, rates),
        steps=steps,
        generator=torch.Generator().manual_seed(0),
        progress=progress,
        checkpoint=checkpoint,
        device=device,
    )


def _cropped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to four pixels and mirrors every second one on average."""
    count, _, height, width = images.shape
    # Black in the normalization of the network is the mean; they pad after it.
    mean = (torch.tensor(IMAGENET_MEAN, device=images.device) * 2 - 1).view(1, 3, 1, 1)
    padded = nn.functional.pad(images - mean, (PADDING,) * 4) + mean
    down, right = torch.randint(2 * PADDING + 1, (2, count, 1), generator=generator).to(images.device)
    mirrored = torch.rand((count, 1), generator=generator).to(images.device) < 0.5
    columns = torch.arange(width, device=images.device).expand(count, -1)
    columns = right + torch.where(mirrored, width - 1 - columns, columns)
    rows = down + torch.arange(height, device=images.device)
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = ResidualBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(ResidualBlock(outputs, outputs, 1) for _ in range(blocks - 1)))
