"""Metrics that carry their identity, and the picture that stands beside them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from ...benchmark.family import Family
from ...benchmark.metrics.measures import Measured, Undefined
from ...benchmark.records.record import Gallery, Identity, Metric
from .judge import Extractor

GALLERY_COLUMNS = 8
GALLERY_GAP = 1
"""The line between samples, in pixels."""
GALLERY_GREY = 110
"""Its shade."""
GALLERY_COLOURS = 256
"""Shades of a sheet of colour pictures: a fifth of the bytes, and hundreds of records keep a sheet each."""


class Report:
    """Collects metrics and gives each its identity.

    Args:
        family: Says which way each quantity is better.
        protocol: How the samples are drawn, unless a metric says otherwise.
        judges: The judges, and what else gives features, by name.
    """

    def __init__(self, family: Family, protocol: str, judges: Mapping[str, Extractor]) -> None:
        self.protocol = protocol
        self.judges = judges
        self.metrics: list[Metric] = []
        self._family = family

    def add(
        self,
        name: str,
        measured: Measured | Undefined,
        *,
        judge: str | None = None,
        label: int | None = None,
        reference_sha256: str | None = None,
        protocol: str | None = None,
        curve: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        """Adds one number; ``curve`` is what led to it, see ``Metric``.

        Raises:
            KeyError: The family declares no quantity of this name.
        """
        preparation = "" if judge is None else self.judges[judge].preparation
        defined = measured if isinstance(measured, Measured) else None
        identity = Identity(
            name=measured.by.name,
            version=measured.by.version,
            protocol="; ".join(filter(None, (protocol or self.protocol, preparation))),
            weights_sha256=None if judge is None else self.judges[judge].sha256,
            reference_sha256=reference_sha256,
        )
        self.metrics.append(
            Metric.model_validate(
                {
                    "name": name,
                    "value": defined.value if defined else None,
                    "ci_low": defined.interval.low if defined else None,
                    "ci_high": defined.interval.high if defined else None,
                    "ci_method": defined.method if defined else "none",
                    "n": measured.n,
                    "direction": self._family.quantity(name).direction,
                    "judge": judge,
                    "label": label,
                    "curve": curve,
                    "identity": identity,
                }
            )
        )


def gallery(rows: dict[str, Tensor]) -> Gallery:
    """Returns the first samples of every row as one picture.

    Args:
        rows: Bytes ``(N, C, H, W)`` by what they show; where there are too few, the rest of the row is empty.
    """
    first = torch.stack([_filled(images[:GALLERY_COLUMNS]) for images in rows.values()])
    sheet = nn.functional.pad(first, (0, GALLERY_GAP, 0, GALLERY_GAP), value=GALLERY_GREY)
    count, columns, channels, height, width = sheet.shape
    pixels = sheet.permute(0, 3, 1, 4, 2).reshape(count * height, columns * width, channels)
    grey = channels == 1
    picture = Image.fromarray(pixels.squeeze(-1).numpy() if grey else pixels.numpy())
    buffer = io.BytesIO()
    (picture if grey else picture.quantize(GALLERY_COLOURS)).save(buffer, "PNG", optimize=True)
    return Gallery(
        png_base64=base64.b64encode(buffer.getvalue()).decode(), rows=list(rows), columns=columns, tile=height
    )


def _filled(images: Tensor) -> Tensor:
    return nn.functional.pad(images, (0, 0) * 3 + (0, GALLERY_COLUMNS - len(images)), value=GALLERY_GREY)
