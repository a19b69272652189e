"""What a method may ask of a problem."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class Need(StrEnum):
    """What a method asks of a problem beside the model, its training loss and the forget set."""

    RETAIN = "retain data"
    """Real samples of what must be kept: ``step.retain``."""
    LABELS = "a class-conditional model"
    """A prediction under another label than the sample's: ``problem.predict(batch, labels=...)``."""
    GUIDANCE = "classifier-free guidance"
    """A label that stands for none: ``problem.null_label``."""
    GENERATOR = "a model that draws samples of a class"
    """Samples of a model: ``problem.generate(labels, model)``."""
    IMAGES = "a model that predicts images"
    """A prediction in image space: ``problem.predict(batch)`` is compared with ``problem.target(batch)``."""
    ENCODER = "an encoder"
    """A part of the model that embeds a degraded image: ``problem.encode(batch, model)``, ``problem.encoder()``."""
    LABEL_TABLES = "tables of label embeddings"
    """The embeddings that the labels stand for, to edit: ``problem.label_tables()``."""
    ORACLE = "the oracle"
    """The retrained models. Granted to reference rows only."""
