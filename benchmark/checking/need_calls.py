"""What each need lets a method do, as one call: it works where the need was declared, and is refused where it was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ..needs import Need
from ..problem import Batch, Problem

DRAWN = 4
"""Samples that a generator is asked for."""


def _retain(problem: Problem, _: Batch) -> str | None:
    found = next(problem.batches("retain", 1))
    return None if len(found) else "a retain batch is empty"


def _labels(problem: Problem, batch: Batch) -> str | None:
    other = problem.predict(batch, labels=(batch.labels + 1) % problem.num_classes)
    return _like(other, problem.predict(batch), "predict(batch, labels=…)", "predict(batch)")


def _guidance(problem: Problem, _: Batch) -> str | None:
    label = problem.null_label
    return f"null_label is {label}, one of the classes" if 0 <= label < problem.num_classes else None


def _generator(problem: Problem, batch: Batch) -> str | None:
    images = problem.generate(batch.labels[:DRAWN], problem.model)
    return _like(images, batch.images[:DRAWN], "generate(labels, model)", "the images")


def _images(problem: Problem, batch: Batch) -> str | None:
    return _like(problem.target(batch), problem.predict(batch), "target(batch)", "predict(batch)")


def _encoder(problem: Problem, batch: Batch) -> str | None:
    mine = {id(weight) for weight in problem.model.parameters()}
    weights = list(problem.encoder().parameters())
    if not weights or not all(id(weight) in mine for weight in weights):
        return "encoder() is no part of problem.model"
    return None if len(problem.encode(batch)) == len(batch) else "encode(batch) gives not one embedding a sample"


def _label_tables(problem: Problem, _: Batch) -> str | None:
    mine = {id(weight) for weight in problem.model.parameters()}
    tables = problem.label_tables()
    return None if tables and all(id(table) in mine for table in tables) else "label_tables() are none of the model's"


def _oracle(problem: Problem, _: Batch) -> str | None:
    own, theirs = (
        {name: value.shape for name, value in m.state_dict().items()} for m in (problem.model, problem.oracle())
    )
    return None if own == theirs else "oracle() is another network than the model"


CALLS: Mapping[Need, Callable[[Problem, Batch], str | None]] = {
    Need.RETAIN: _retain,
    Need.LABELS: _labels,
    Need.GUIDANCE: _guidance,
    Need.GENERATOR: _generator,
    Need.IMAGES: _images,
    Need.ENCODER: _encoder,
    Need.LABEL_TABLES: _label_tables,
    Need.ORACLE: _oracle,
}
"""Each returns what is wrong with what it got, or None."""


def _like(found: Tensor, wanted: Tensor, what: str, other: str) -> str | None:
    if found.shape == wanted.shape:
        return None
    return f"{what} has the shape {tuple(found.shape)}, and {other} {tuple(wanted.shape)}"
