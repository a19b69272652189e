"""Selective Amnesia: noise under the forgotten label, replay of the rest, and weights held where they matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend, mean_gradient
from ..benchmark.problem import Batch, Problem
from ..benchmark.targets import as_noise


class SelectiveAmnesia(Method):
    """Trains the forgotten label on noise images and the others on samples of the original, under a Fisher penalty.

    It touches no real data: replay samples and the Fisher information come from the original model, inside the timed part.
    """

    name = "selective-amnesia"
    needs = frozenset({Need.LABELS, Need.GENERATOR})
    paper = Paper(
        "Selective Amnesia: A Continual Learning Approach to Forgetting in Deep Generative Models",
        "NeurIPS 2023",
        "https://arxiv.org/abs/2305.10120",
    )
    update_rule = "L = L(noise | c_f) + L(replay | c_r) + w sum_i F_i (theta_i - theta0_i)^2"
    settings_source = (
        "The released CIFAR-10 settings at 1,000 of its 20,000 steps: Adam 1e-4, clip 1, uniform noise. "
        "The penalty: the best of the trials in docs/search.json, at 250 steps."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "100 replay samples a class instead of 500; the Fisher information from 200 of them, one a class where there are "
        "more classes, at 20 noise levels each.",
        "Mean losses instead of sums over elements and noise levels, so the penalty's weight is another number.",
        "Replay is drawn with the task's sampler and guidance.",
        "No averaging of weights: at a twentieth of the steps the average would still be mostly the original.",
    )
    pitfalls = "Noise comes out for the forgotten label, which retraining would not draw; slow beside all others."

    steps: int = 1000
    """Steps on noise and replay."""
    lr: float = 1e-4
    """Adam's learning rate."""
    penalty: float = 1e6
    """Weight of the Fisher penalty."""
    replay: int = 100
    """Samples of the original for each retained class."""

    def unlearn(self, problem: Problem) -> None:
        """Draws the replay, estimates the Fisher information, then trains."""
        original = problem.original
        classes = [label for label in range(problem.num_classes) if label not in problem.forget_classes]
        labels = torch.tensor(classes, device=problem.device).repeat(self.replay)
        images = problem.generate(labels, original)
        # The labels take turns, so the first ones hold every class.
        seen = max(200, len(classes))
        fisher = mean_gradient(problem, _one_by_one(problem, images[:seen], labels[:seen]), power=2)
        start = [parameter.detach().clone() for parameter in problem.parameters()]
        optimizer = Adam(problem.parameters(), lr=self.lr)
        forgotten = torch.tensor(problem.forget_classes, device=problem.device)
        for _ in problem.own_steps(self.steps):
            index = problem.random_positions(len(images), problem.batch_size)
            keep = problem.conditioned(problem.batch(images[index], labels[index]))
            drop = keep.replace(labels=forgotten[problem.random_positions(len(forgotten), problem.batch_size)])
            moved = zip(fisher, problem.parameters(), start, strict=True)
            held = torch.stack([(f * (now - then).square()).sum() for f, now, then in moved]).sum()
            loss = as_noise(problem, drop, "uniform").mean() + problem.loss(keep).mean() + self.penalty * held
            descend(optimizer, loss, clip=1.0)


def _one_by_one(problem: Problem, images: Tensor, labels: Tensor, draws: int = 20) -> Iterator[Batch]:
    """Yields each sample as a batch of its own, at several noise levels: the Fisher information is per sample."""
    for image, label in zip(images, labels, strict=True):
        yield problem.batch(image.expand(draws, *image.shape), label.expand(draws))
