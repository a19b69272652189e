"""The judges of ``cifar10-ddpm``: He et al.'s (2016) residual networks for CIFAR-10, or networks that timm loads."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, first_line
from ...benchmark.record import file_sha256
from ..common.judging import Judge
from . import data

FOLDER = "cifar10-judges"
"""Below ``$UNLEARNBENCH_DATA``."""
HUB_PREFIX = "hf-hub:"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TRAIN_STEPS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64_000, 128, 0.1, 1e-4
"""He et al. (2016), section 4.2; the rate falls to a tenth at 32,000 and at 48,000 steps."""
PADDING = 4


class Pinned(NamedTuple):
    """A file of weights that is known."""

    sha256: str
    test_accuracy: float
    """On CIFAR-10's 10,000 test images."""


PINNED = {
    "resnet20": Pinned("6d10c0b75b12e242282f202ca844e29040fc26ce3fdaf286150214f157ef9cef", 0.9173),
    "resnet32": Pinned("5a4cf23f5420baa8a16e9ac4aaa561bcba09277097549afff9a712b9d676e02b", 0.9263),
    "resnet44": Pinned("282303c52fae8e3ac48ffbe384c2c90e94896a5ca4fe6c78ffd2ff3275deba1f", 0.9310),
}


class Block(nn.Module):
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
        self.linear = nn.Linear(64, data.NUM_CLASSES)
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


class TimmJudge(nn.Module):
    """A classifier of timm's, with the size, mean and deviation of its own configuration.

    Args:
        network: The classifier, with ten outputs.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config = cast(dict[str, tuple[float, ...]], network.pretrained_cfg)
        self._size = int(config["input_size"][-1])
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, 32, 32)`` in [-1, 1] to features ``(N, D)``."""
        if images.shape[-1] != self._size:
            images = nn.functional.interpolate(images, size=self._size, mode="bicubic", align_corners=False)
        hidden = self.network.forward_features(((images + 1) / 2 - self.mean) / self.std)  # type: ignore[operator]
        return cast(Tensor, self.network.forward_head(hidden, pre_logits=True))  # type: ignore[operator]

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, 10)``."""
        return cast(Tensor, self.network.get_classifier()(features))  # type: ignore[operator]


def folder() -> Path | None:
    """Returns where files of judges are looked for, or None if no place is set."""
    above = os.environ.get(data.FOLDER_VARIABLE)
    return Path(above) / FOLDER if above else None


def place(file: str) -> str:
    """Returns where a file belongs, for a message."""
    return str((folder() or Path(f"${data.FOLDER_VARIABLE}") / FOLDER) / file)


def pinned_file(name: str) -> Path | None:
    """Returns the file of a pinned judge if it is there."""
    path = (folder() or Path()) / f"{name}.safetensors"
    return path if folder() is not None and path.is_file() else None


def short_name(judge: str) -> str:
    """Returns what records call a judge: ``resnet18@mine.safetensors`` is ``resnet18``, a hub id its last part."""
    return judge.removeprefix(HUB_PREFIX).partition("@")[0].rpartition("/")[2].lower().replace("_", "-")


def load_pinned(name: str) -> Judge:
    """Loads one of He et al.'s networks from its file.

    Raises:
        BenchmarkError: It is missing or another one.
    """
    path = pinned_file(name)
    wanted = PINNED[name].sha256
    if path is None:
        raise BenchmarkError(f"The judge {name} is not at {place(name + '.safetensors')}; put it there.")
    found = file_sha256(path)
    if found != wanted:
        raise BenchmarkError(
            f"{path} is not the judge {name}: its sha256 is {found[:12]}, not {wanted[:12]}; replace it."
        )
    network = new_network(name)
    network.load_state_dict(load(path.read_bytes()))
    return Judge(network.eval(), found)


def new_network(name: str) -> CifarResNet:
    """Returns a pinned judge's network, freshly initialized."""
    return CifarResNet(int(name.removeprefix("resnet")))


@functools.cache
def load_timm(judge: str) -> Judge:
    """Loads a network of timm's, once a process.

    Args:
        judge: ``NAME@FILE``, a network's name and its safetensors file in the judges' folder, or
            ``hf-hub:OWNER/REPOSITORY[@REVISION]``.

    Raises:
        BenchmarkError: timm does not know it, the hub does not answer, or the weights do not fit.
    """
    name, at, file = judge.partition("@")
    if judge.startswith(HUB_PREFIX):
        network = _from_hub(judge)
        digest = hashlib.sha256(save({key: value.contiguous() for key, value in network.state_dict().items()}))
        found = digest.hexdigest()
    elif at:
        network, found = _from_file(name, file)
    else:
        raise BenchmarkError(
            f"The judge '{judge}' is none of {', '.join(PINNED)}; write NAME@FILE for a network of timm's with a safetensors "
            f"file at {place('FILE')}, or {HUB_PREFIX}OWNER/REPOSITORY."
        )
    classes = getattr(network, "num_classes", None)
    if classes != data.NUM_CLASSES:
        raise BenchmarkError(f"The judge {judge} tells {classes} classes apart, not CIFAR-10's {data.NUM_CLASSES}.")
    return Judge(TimmJudge(network).eval(), found)


def _from_hub(judge: str) -> nn.Module:
    import timm

    try:
        network: nn.Module = timm.create_model(judge, pretrained=True)
    # The hub, the network, the disk and timm fail in many ways; for the user it is one: the judge is not there.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The judge {judge} cannot be loaded ({first_line(error)}); be online, or download its weights to "
            f"{place('FILE.safetensors')} and write NAME@FILE.safetensors."
        ) from None
    return network


def _from_file(name: str, file: str) -> tuple[nn.Module, str]:
    import timm

    path = (folder() or Path()) / file
    if Path(file).name != file or folder() is None or not path.is_file():
        raise BenchmarkError(f"The judge {name} is not at {place(Path(file).name)}; put its safetensors file there.")
    try:
        network: nn.Module = timm.create_model(name, num_classes=data.NUM_CLASSES)
        network.load_state_dict(load(path.read_bytes()))
    # An unknown name, a file that is none and weights that do not fit each raise an error of their own.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"{path} does not fit timm's network '{name}' with {data.NUM_CLASSES} outputs ({first_line(error)[:200]}); "
            "check both."
        ) from None
    return network, file_sha256(path)


def train_judge(
    name: str, pool: data.Images, device: torch.device, progress: Callable[[int, int], None], steps: int = TRAIN_STEPS
) -> CifarResNet:
    """Trains one of He et al.'s networks by their recipe: images padded by four pixels, cropped at random and mirrored."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    judge = new_network(name).to(device).train()
    optimizer = torch.optim.SGD(judge.parameters(), lr=LEARNING_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4])
    pixels, labels = pool.pixels.to(device), pool.labels.to(device)
    for step in range(steps):
        index = torch.randint(len(labels), (BATCH_SIZE,), generator=generator).to(device)
        images = _cropped(pixels[index].float() / 127.5 - 1, generator)
        loss = nn.functional.cross_entropy(judge(images), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, steps)
    return judge.eval().cpu()


def _cropped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to four pixels and mirrors every second one on average."""
    count, _, height, width = images.shape
    # Black in the normalization of the network is the mean; He et al. pad after it.
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
    first = Block(inputs, outputs, stride)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))
