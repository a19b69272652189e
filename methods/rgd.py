"""Restricted gradient: forget and retain directions, each without what conflicts with the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from torch.optim import Adam

from ..benchmark.gradients import Gradient, gradient_of, plus, project
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along, mean_gradient
from ..benchmark.problem import Batch, Problem
from ..benchmark.search_space import LogRange, Rate, Steps


class RestrictedGradient(Method):
    """Where the forget and the retain direction conflict, projects each off the other, and follows their weighted sum."""

    name = "rgd"
    needs = frozenset({Need.RETAIN})
    paper = Paper(
        "Boosting Alignment for Post-Unlearning Text-to-Image Generative Models",
        "NeurIPS 2024",
        "https://arxiv.org/abs/2412.07808",
    )
    update_rule = "theta <- theta - lr Adam(P_r(-g_f) + w P_f(g_r)), where P projects off the other on conflict"
    settings_source = (
        "The released CIFAR-10 code: Adam 1e-5, retain weight 5, and the 781 steps that 50,000 images in batches of 64 make. "
        "There the diverse set holds 450 images, and the forget loss has a ceiling of 0.1 for each element of an image."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "Retain batches are drawn from all retain data by default: 450 images a step cost as much as several retrainings.",
        "The ceiling is on a sample's mean loss, and there is none by default: losses have other units in other networks.",
        "The composed gradient is clipped at 1.",
    )
    pitfalls = "The ascent is unbounded; the projection protects the retain loss of the current batch alone."

    steps: Steps = 781
    """Steps."""
    lr: Rate = 1e-5
    """Adam's learning rate."""
    retain_weight: Annotated[float, LogRange(0.1, 100.0)] = 5.0
    """Weight of the retain direction."""
    diverse: int = 0
    """Images of a fixed retain set, as many of each class, which gives every step's retain direction; 0 draws batches."""
    ceiling: float | None = None
    """The forget loss of a sample beyond which it is climbed no more."""

    def unlearn(self, problem: Problem) -> None:
        """Descends along the sum of the projected directions."""
        kept = _diverse_set(problem, self.diverse) if self.diverse else None
        ceiling = torch.inf if self.ceiling is None else self.ceiling
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            forget = gradient_of(problem, -problem.loss(step.forget).clamp(max=ceiling).mean())
            retain = self._retain_gradient(problem, step.retain, kept)
            drop, keep = project(forget, off=retain, when="conflict"), project(retain, off=forget, when="conflict")
            descend_along(optimizer, plus(drop, keep, self.retain_weight), clip=1.0)

    def _retain_gradient(self, problem: Problem, batch: Batch, kept: Batch | None) -> Gradient:
        """The gradient of a batch, or of the whole fixed set."""
        if kept is None:
            return gradient_of(problem, problem.loss(batch).mean())
        return mean_gradient(problem, _in_batches(problem, kept))


def _diverse_set(problem: Problem, count: int) -> Batch:
    """Returns the first retain images of each class, as many of every one."""
    share = max(1, count // (problem.num_classes - len(problem.forget_classes)))
    images, labels = [], []
    missing = {label: share for label in range(problem.num_classes) if label not in problem.forget_classes}
    for batch in problem.epoch("retain"):
        for label in missing:
            found = (batch.labels == label).nonzero().flatten()[: missing[label]]
            missing[label] -= len(found)
            images.append(batch.images[found])
            labels.append(batch.labels[found])
        if not any(missing.values()):
            break
    return problem.batch(torch.cat(images), torch.cat(labels))


def _in_batches(problem: Problem, kept: Batch) -> Iterator[Batch]:
    """Yields a set in batches with fresh draws."""
    for images, labels in zip(
        kept.images.split(problem.batch_size), kept.labels.split(problem.batch_size), strict=True
    ):
        yield problem.batch(images, labels)
