"""Forgetting targets: what the forgotten samples are taught instead. One family, from which every method takes its own.

Each loss is ``(B,)``, one a sample, a mean over elements like the training loss.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .needs import Need
from .primitives import next_class
from .problem import Batch, Problem

Noise = Literal["uniform", "normal", "batch"]


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over elements of the squared difference, ``(B,)``."""
    return (prediction - target).square().flatten(1).mean(1)


def noise_images(problem: Problem, images: Tensor, kind: Noise) -> Tensor:
    """Returns noise in the shape and the range of images.

    Args:
        problem: Gives the range and the random numbers.
        images: ``(B, C, H, W)``.
        kind: ``uniform`` over the range (Selective Amnesia), standard ``normal``, or normal with the mean and the
            deviation of the ``batch``, cut to the range (Li et al., released code).
    """
    if kind == "uniform":
        return problem.uniform_like(images)
    noise = problem.random_like(images)
    return noise if kind == "normal" else (noise * images.std() + images.mean()).clamp(*problem.value_range)


def as_noise(problem: Problem, batch: Batch, kind: Noise) -> Tensor:
    """The training loss with noise in place of the images, under the labels as they are."""
    return problem.loss(problem.conditioned(batch.replace(images=noise_images(problem, batch.images, kind))))


def as_next_class(problem: Problem, batch: Batch) -> Tensor:
    """The error to the model's own prediction for the next class, taken as fixed (SalUn)."""
    problem.require(Need.LABELS)
    other = next_class(batch.labels, problem.num_classes, problem.forget_classes)
    with torch.no_grad():
        target = problem.predict(batch, labels=other)
    return squared_error(problem.predict(batch), target)


def away_from_label(problem: Problem, batch: Batch, strength: float) -> Tensor:
    """The error to the original's negatively guided prediction, ``e_null - strength (e_label - e_null)`` (ESD)."""
    problem.require(Need.GUIDANCE)
    batch = problem.conditioned(batch)
    nothing = torch.full_like(batch.labels, problem.null_label)
    with torch.no_grad():
        free, labelled = (problem.predict(batch, labels, problem.original) for labels in (nothing, batch.labels))
    return squared_error(problem.predict(batch), free - strength * (labelled - free))


def as_original(problem: Problem, batch: Batch) -> Tensor:
    """The error to the original's prediction: distillation, for what must be kept."""
    with torch.no_grad():
        target = problem.predict(batch, model=problem.original)
    return squared_error(problem.predict(batch), target)
