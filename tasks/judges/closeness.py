"""How close samples are to real pictures: quantities that several families measure alike. Nothing here needs PyTorch."""

from __future__ import annotations

from ...benchmark.family import Quantity

FID_RETAIN = Quantity(
    "fid_retain",
    "min",
    "FID",
    "Frechet distance of retained samples to real images, in a judge's features",
    short="FID",
    headline=True,
)
"""Where samples are asked for by their labels; an autoencoder's are sorted by a judge, which its own family says."""
KID_RETAIN = Quantity("kid_retain", "min")
FID_FLOOR = Quantity("fid_retain_floor", "info")
KID_FLOOR = Quantity("kid_retain_floor", "info")
"""The same distances of real pictures that nothing was trained on."""
PRECISION = Quantity("precision", "max")
RECALL = Quantity("recall", "max")
DENSITY = Quantity("density", "max")
COVERAGE = Quantity("coverage", "max")

CLOSENESS = (KID_RETAIN, FID_FLOOR, KID_FLOOR, PRECISION, RECALL, DENSITY, COVERAGE)
"""All but the first."""
