"""Judges by timm name: weights from the hub or from a safetensors file, with the preprocessing that they were trained for.

A judge is written ``NAME``, as in ``convnext_base.fb_in1k``, or ``NAME=FILE.safetensors``; ``@SHA256`` behind either pins
the weights.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, first_line, unknown_name
from ...benchmark.records.files import about, file_sha256
from ...benchmark.records.record import NAME_PATTERN
from ..data import hub
from .judge import Judge

WEIGHTS = "model.safetensors"
"""What timm's repositories call their weights."""
BATCH_SIZE = 100


class TimmSpec(NamedTuple):
    """A judge as it is written in a setting."""

    name: str
    """timm's name, with the tag of the weights where they come from the hub."""
    file: Path | None
    """A local file of weights; None for the hub's."""
    pin: str | None
    """The hash that the weights must have."""

    @property
    def judge(self) -> str:
        """The judge's name in records."""
        return self.name.replace("_", "-")


def parse_judge(text: str) -> TimmSpec:
    """Reads ``NAME``, ``NAME=FILE``, ``NAME@SHA256`` or ``NAME=FILE@SHA256``.

    Raises:
        ValueError: It is none of these, or no name of timm's.
    """
    import timm

    head, at, pin = text.rpartition("@")
    if not at:
        head, pin = text, ""
    elif not re.fullmatch("[0-9a-f]{64}", pin):
        raise ValueError(f"'{pin}' is no sha256")
    name, equals, file = head.partition("=")
    known = {*timm.list_models(), *timm.list_pretrained()}
    if name not in known or not re.fullmatch(NAME_PATTERN, name.replace("_", "-")):
        raise ValueError(str(unknown_name("timm model", name, known)).rstrip("."))
    return TimmSpec(name, Path(file) if equals else None, pin or None)


class TimmJudge(nn.Module):
    """A timm classifier that takes images in [-1, 1] of any size and prepares them as its own training did.

    Args:
        name: timm's name.
        num_classes: Of the data.
    """

    def __init__(self, name: str, num_classes: int) -> None:
        super().__init__()
        import timm

        self.network = timm.create_model(name, pretrained=False, num_classes=num_classes)
        config: dict[str, Any] = timm.data.resolve_model_data_config(self.network)
        self.size = int(config["input_size"][-1])
        self.resized = round(self.size / config["crop_pct"])
        # Tensors know fewer ways of resizing than PIL; the way is part of the judge's description.
        self.mode = config["interpolation"] if config["interpolation"] in ("bicubic", "bilinear") else "bicubic"
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, -1, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def describe(self) -> str:
        """Returns the preprocessing in one line."""
        numbers = [
            "/".join(f"{value:g}" for value in cast(Tensor, part).flatten().tolist()) for part in (self.mean, self.std)
        ]
        return (
            f"shorter side to {self.resized} ({self.mode}, antialiased), centre crop {self.size}, "
            f"mean {numbers[0]}, std {numbers[1]}"
        )

    def prepare(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to the network's input, ``(N, C, size, size)``."""
        pixels = (images + 1) / 2
        height, width = pixels.shape[-2:]
        scale = self.resized / min(height, width)
        if scale != 1:
            shape = [max(self.size, round(height * scale)), max(self.size, round(width * scale))]
            pixels = nn.functional.interpolate(
                pixels, size=shape, mode=self.mode, align_corners=False, antialias=True
            ).clamp(0, 1)
        top, left = ((side - self.size) // 2 for side in pixels.shape[-2:])
        cropped = pixels[..., top : top + self.size, left : left + self.size]
        return (cropped - cast(Tensor, self.mean)) / cast(Tensor, self.std)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)`` on the host, batch by batch."""
        parts = []
        for part in images.split(BATCH_SIZE):
            hidden = self.network.forward_features(self.prepare(part.to(self._device)))
            parts.append(cast(Tensor, self.network.forward_head(hidden, pre_logits=True)).float().cpu())
        return torch.cat(parts)

    @torch.inference_mode()
    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, num_classes)`` on the host."""
        return cast(Tensor, self.network.get_classifier()(features.to(self._device))).float().cpu()

    @property
    def _device(self) -> torch.device:
        return cast(Tensor, self.mean).device


def weights_file(spec: TimmSpec, *, download: bool) -> Path:
    """Returns the file of a judge's weights.

    Raises:
        BenchmarkError: It is not there, cannot be fetched, or is not the one that is pinned.
    """
    import timm

    if spec.file is not None:
        path = spec.file
        if not path.is_file():
            raise BenchmarkError(
                f"There is no file {path} with weights of the judge {spec.name}; correct `--set judges=...`."
            )
    else:
        config = timm.get_pretrained_cfg(spec.name)
        if config is None or not config.hf_hub_id:
            raise BenchmarkError(f"timm has no weights for {spec.name} on the hub; write {spec.name}=FILE.safetensors.")
        way_out = f"put its {WEIGHTS} on this machine and write the judge as {spec.name}=FILE.safetensors"
        path = hub.fetch_file(config.hf_hub_id, WEIGHTS, download=download, way_out=way_out)
    if spec.pin is not None and file_sha256(path) != spec.pin:
        raise BenchmarkError(f"{path} is not the pinned file of the judge {spec.name} (another sha256); restore it.")
    return path


def load_judge(spec: TimmSpec, num_classes: int, *, device: torch.device, expected: str | None = None) -> Judge:
    """Returns a judge with its weights, fetched before.

    Args:
        spec: The judge.
        num_classes: Of the data.
        device: Where it works; what it takes and gives is on the host.
        expected: The hash that the weights had when the task was prepared.

    Raises:
        BenchmarkError: See ``weights_file``; or the weights are other ones or do not fit the network.
    """
    from safetensors.torch import load_file

    path = weights_file(spec, download=False)
    found = file_sha256(path)
    if expected is not None and found != expected:
        raise BenchmarkError(
            f"{path} is not the file of the judge {spec.name} that the task was prepared with (another sha256); "
            "restore it, or prepare the task again."
        )
    judge = TimmJudge(spec.name, num_classes)
    try:
        judge.network.load_state_dict(load_file(path))
    # safetensors and PyTorch raise kinds of their own for a file that is none, or has other weights.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"{path} does not hold the weights of timm's {spec.name} for {num_classes} classes{about(path)} "
            f"({first_line(error)[:160]}); give the judge its own file."
        ) from None
    return Judge(judge.to(device), found, preparation=judge.describe())
