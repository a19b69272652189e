"""Judges at work: features and labels of images, and metrics that carry their identity."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...benchmark.metrics.intervals import Floats
from ...benchmark.metrics.measures import Measured
from ...benchmark.records.record import Gallery, Identity, Metric
from ..data.pools import in_range

CPU = torch.device("cpu")
BATCH = 500
"""Images that a judge sees at a time."""
GALLERY_COLUMNS = 8
GALLERY_GAP, GALLERY_GREY = 1, 110
"""The line between samples, in pixels, and its shade."""


class FeatureNetwork(Protocol):
    """What can embed images: a module with one more method."""

    def to(self, device: torch.device, /) -> Self:
        """Moves its weights to a device."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)``."""
        ...


class Classifier(FeatureNetwork, Protocol):
    """What a judge can do."""

    def classify(self, features: Tensor) -> Tensor:
        """Maps features ``(N, D)`` to logits ``(N, num_classes)``."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A network that gives features, the hash of its weights, where it is, and how it prepares images."""

    network: FeatureNetwork
    sha256: str
    device: torch.device = CPU
    preparation: str = ""
    """One line, part of the identity of every number; empty where images are taken as they are."""

    def to(self, device: torch.device) -> Self:
        """Moves the network to a device."""
        return self if device == self.device else replace(self, network=self.network.to(device), device=device)


@dataclass(frozen=True)
class Judge(Extractor):
    """An extractor whose network classifies, too."""

    network: Classifier


class Scored(NamedTuple):
    """What one judge says of some images."""

    features: Floats
    labels: Tensor


def score(judge: Judge, images: Tensor) -> Scored:
    """Returns what a judge says of bytes, ``(N, C, H, W)``."""
    found = features(judge, images)
    with torch.inference_mode():
        return Scored(found, judge.network.classify(torch.from_numpy(found).float().to(judge.device)).argmax(1).cpu())


def features(judge: Extractor, images: Tensor | Iterable[Tensor]) -> Floats:
    """Returns features ``(N, D)``, batch by batch.

    Args:
        judge: What embeds.
        images: ``(N, C, H, W)``, or batches of them; in [-1, 1], or bytes.
    """
    batches = images.split(BATCH) if isinstance(images, Tensor) else images
    with torch.inference_mode():
        parts = [judge.network.features(in_range(part.to(judge.device))).cpu() for part in batches]
    return np.asarray(torch.cat(parts).double().numpy())


class Report:
    """Collects metrics and gives each its identity.

    Args:
        protocol: How the samples are drawn, unless a metric says otherwise.
        judges: The judges, and what else gives features, by name.
    """

    def __init__(self, protocol: str, judges: Mapping[str, Extractor]) -> None:
        self.protocol = protocol
        self.judges = judges
        self.metrics: list[Metric] = []

    def add(
        self,
        name: str,
        measured: Measured | None,
        direction: str,
        implementation: str,
        *,
        n: int = 0,
        package: str = "unlearnbench",
        judge: str | None = None,
        label: int | None = None,
        reference_sha256: str | None = None,
        protocol: str | None = None,
    ) -> None:
        """Adds one number; None is one that is not defined here, of ``n`` samples."""
        interval = measured.interval if measured else None
        preparation = "" if judge is None else self.judges[judge].preparation
        identity = Identity(
            implementation=implementation,
            version=f"{package} {version(package)}",
            protocol="; ".join(filter(None, (protocol or self.protocol, preparation))),
            weights_sha256=None if judge is None else self.judges[judge].sha256,
            reference_sha256=reference_sha256,
        )
        self.metrics.append(
            Metric.model_validate(
                {
                    "name": name,
                    "value": measured.value if measured else None,
                    "ci_low": interval.low if interval else None,
                    "ci_high": interval.high if interval else None,
                    "ci_method": measured.method if measured else "none",
                    "n": measured.n if measured else n,
                    "direction": direction,
                    "judge": judge,
                    "label": label,
                    "identity": identity,
                }
            )
        )


def gallery(rows: dict[str, Tensor]) -> Gallery:
    """Returns the first samples of every row as one picture.

    Args:
        rows: Bytes ``(N, C, H, W)`` by what they show.
    """
    first = torch.stack([images[:GALLERY_COLUMNS] for images in rows.values()])
    sheet = nn.functional.pad(first, (0, GALLERY_GAP, 0, GALLERY_GAP), value=GALLERY_GREY)
    count, columns, channels, height, width = sheet.shape
    pixels = sheet.permute(0, 3, 1, 4, 2).reshape(count * height, columns * width, channels)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1).numpy() if channels == 1 else pixels.numpy()).save(buffer, "PNG", optimize=True)
    return Gallery(
        png_base64=base64.b64encode(buffer.getvalue()).decode(), rows=list(rows), columns=columns, tile=height
    )
