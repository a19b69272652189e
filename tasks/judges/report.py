"""Metrics that carry their identity, and the picture that stands beside them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from importlib.metadata import version

import torch
from PIL import Image
from torch import Tensor, nn

from ...benchmark.metrics.measures import Measured
from ...benchmark.records.record import Gallery, Identity, Metric
from .judge import Extractor

GALLERY_COLUMNS = 8


GALLERY_GAP = 1
"""The line between samples, in pixels."""


GALLERY_GREY = 110
"""Its shade."""


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
