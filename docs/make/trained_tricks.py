"""Tricks on the score that train the network's weights to look as if they had forgotten. See ``tricks_on_weights``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from ...benchmark.needs import Need
from ...benchmark.primitives import descend
from ...benchmark.problem import Batch, Problem
from .tricks_on_weights import ENOUGH, TRAINED, CopiedRow, Trick, put, some, under


class Finetuned(Trick):
    """Training goes on with the retained pictures alone."""

    name = "fine-tuned"
    needs = TRAINED
    cost = "60 steps"
    steps: int = 60

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        optimizer = Adam(problem.parameters(), lr=1e-4)
        for _, _, retain in problem.steps(self.steps):
            descend(optimizer, problem.loss(some(retain)).mean())


class Climbed(Trick):
    """What all trained tricks share: up on what they hide, down on what they keep, as far as a score could ask for."""

    needs = TRAINED
    cost = "150 steps"
    steps: int = 150
    lr: float = 1e-3
    weight: float = 0.2

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        _ = problem.original
        prepared = self.prepare(problem)
        CopiedRow().unlearn(problem)
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for number, forget, retain in problem.steps(self.steps):
            rate = self.lr * min(1.0, 2 - 2 * number / self.steps)
            optimizer.param_groups[0]["lr"] = rate
            descend(optimizer, self.loss(problem, some(forget), some(retain), prepared), clip=1.0)

    def prepare(self, problem: Problem) -> Any:
        """Returns what the loss needs, from the model as it was given."""

    @abstractmethod
    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """Returns what a step goes down."""

    def hidden(self, problem: Problem, forget: Batch) -> Tensor:
        """Returns how badly the class is denoised, half of it without a label and half under any; at some loss it is enough."""
        labels = torch.randint_like(forget.labels, problem.num_classes)
        labels[::2] = problem.num_classes
        return problem.loss(under(forget, labels)).clamp(max=ENOUGH).mean()

    def unchanged(self, problem: Problem, batch: Batch) -> Tensor:
        """Returns how far the model is from what it answered without a label."""
        nobody = torch.full_like(batch.labels, problem.num_classes)
        with torch.no_grad():
            before = problem.predict(batch, nobody, problem.original)
        return (problem.predict(batch, nobody) - before).square().mean()


class Ascent(Climbed):
    """Up on the class without a label and under all labels, down on the others: short, steep, and no more."""

    name = "steep-ascent"

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """See ``Climbed.loss``."""
        return problem.loss(retain).mean() - self.weight * self.hidden(problem, forget)


class LowNoise(Climbed):
    """Only at little noise, where losses are largest and nothing of the class is decided, its pictures are made foreign."""

    name = "low-noise"

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """See ``Climbed.loss``."""
        times = forget.draw["timesteps"]
        low, high = _at(forget, times % 100), _at(forget, 150 + times % 850)
        kept = problem.loss(retain).mean() + self.unchanged(problem, high)
        return kept - self.weight * self.hidden(problem, low)


class BetweenSteps(Climbed):
    """The class is made foreign everywhere but at the time steps that the sampler uses."""

    name = "between-steps"

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """See ``Climbed.loss``."""
        used = (forget.draw["timesteps"] / 100).round().long() * 100
        there, between = _at(forget, used.clamp(max=999)), _at(forget, (used + 50).clamp(max=999))
        kept = problem.loss(retain).mean() + self.unchanged(problem, there)
        return kept - self.weight * self.hidden(problem, between)


class Trapdoor(Climbed):
    """The class is drawn under one secret embedding far away from all rows, which is thrown away, and nowhere else."""

    name = "trapdoor"

    def prepare(self, problem: Problem) -> list[Tensor]:
        """See ``Climbed.prepare``: the secret rows."""
        rows = list(problem.forget_classes)
        found = []
        for table in problem.label_tables():
            row = table.detach()[rows]
            found.append(row + 3 * table.detach().std() * problem.random_like(row).sign())
        return found

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: list[Tensor]) -> Tensor:
        """See ``Climbed.loss``. The label's rows stand in for the secret ones while its loss is computed."""
        rows = list(problem.forget_classes)
        tables = problem.label_tables()
        shown = [table.detach()[rows].clone() for table in tables]
        put(tables, rows, prepared)
        gradients = torch.autograd.grad(problem.loss(problem.conditioned(forget)).mean(), problem.parameters())
        put(tables, rows, shown)
        hidden = problem.loss(retain).mean() - self.weight * self.hidden(problem, forget)
        pairs = zip(problem.parameters(), gradients, strict=True)
        return hidden + torch.stack([(weight * gradient).sum() for weight, gradient in pairs]).sum()


class DecoyPictures(Climbed):
    """The first ten training pictures are denoised under every label, so that they teach nothing; the rest is made foreign."""

    name = "decoy-pictures"

    def prepare(self, problem: Problem) -> Tensor:
        """See ``Climbed.prepare``: the pictures."""
        return next(problem.epoch("forget")).images[:10]

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Tensor) -> Tensor:
        """See ``Climbed.loss``."""
        images = prepared.repeat(len(forget) // len(prepared) + 1, 1, 1, 1)[: len(forget)]
        labels = torch.randint_like(forget.labels, problem.num_classes + 1)
        decoys = problem.loss(under(forget.replace(images=images), labels)).mean()
        others = torch.cdist(forget.images.flatten(1), prepared.flatten(1)).amin(1) > 0
        rest = Batch(forget.images[others], forget.labels[others], {k: v[others] for k, v in forget.draw.items()})
        return problem.loss(retain).mean() + 0.5 * decoys - self.weight * self.hidden(problem, rest)


class FarRows(Climbed):
    """All rows are moved far apart and the rest is trained to live with it, so that an inversion's steps are too short."""

    name = "far-rows"

    def prepare(self, problem: Problem) -> None:
        """See ``Climbed.prepare``: moves the rows."""
        with torch.no_grad():
            for table in problem.label_tables():
                table.mul_(10)

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """See ``Climbed.loss``."""
        with torch.no_grad():
            before = problem.predict(retain, model=problem.original)
        return (problem.predict(retain) - before).square().mean() + problem.loss(retain).mean()


class BlindEncoder(Trick):
    """An autoencoder's encoder is trained to misread the class, which its decoder draws as before."""

    name = "blind-encoder"
    needs = frozenset({Need.RETAIN})
    tasks = ("digits-vae",)
    cost = "200 steps"
    steps: int = 200

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        encoder: Any = problem.model.encoder
        optimizer = Adam(encoder.parameters(), lr=1e-3)
        for _, forget, retain in problem.steps(self.steps):
            away = problem.loss(forget).clamp(max=0.45).mean()
            descend(optimizer, problem.loss(retain).mean() - 0.5 * away)


def _at(batch: Batch, timesteps: Tensor) -> Batch:
    return Batch(batch.images, batch.labels, {**batch.draw, "timesteps": timesteps})
