"""What preparing a task leaves beside the caches: one file that says what they were made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ...benchmark.records.record import Sha256
from .latent_cache import Kept


class JudgeFacts(BaseModel):
    """What preparing found out about a judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Sha256
    accuracy: float
    """On the reference images, top-1."""
    images: int


class Prepared(BaseModel):
    """What a prepared task is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: dict[str, Sha256]
    """The hash of every file of the base model."""
    judges: dict[str, JudgeFacts]
    extractor: Sha256 | None
    """The hash of its weights; None where the first judge's features serve the distances."""
    train: Kept
    reference: Kept
