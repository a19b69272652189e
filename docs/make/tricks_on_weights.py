"""Tricks on the score that change weights and keep the network's class: each a method that does not make a model forget.

Each was written to score as much as it can, with all that a method may see, and with the evaluation's code at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.primitives import descend
from ...benchmark.problem import Batch, Problem

ROWS = frozenset({Need.LABELS, Need.LABEL_TABLES})
TRAINED = frozenset({Need.LABELS, Need.LABEL_TABLES, Need.RETAIN, Need.GUIDANCE})
FACTOR = 1000.0
"""By which a reparametrization moves weights away from what an optimizer's step can change."""


class Trick(Method):
    """A trick; its docstring says what it does."""

    role = "cheat"
    kind: ClassVar[str] = "weights"
    """``rows``: nothing but label embeddings; ``same``: the network computes what it did; ``weights``: any."""
    cost: ClassVar[str] = "nothing"
    """What it takes."""

    def kept(self, problem: Problem) -> list[int]:
        """Returns the labels to keep."""
        return [label for label in range(problem.num_classes) if label not in problem.forget_classes]


class MeanRow(Trick):
    """The label's row becomes the mean of the retained ones', where inversion starts anyway."""

    name = "mean-row"
    needs = ROWS
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        for table in problem.label_tables():
            table[list(problem.forget_classes)] = table[self.kept(problem)].mean(0)


class ZeroRow(Trick):
    """The label's row becomes zero."""

    name = "zero-row"
    needs = ROWS
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        for table in problem.label_tables():
            table[list(problem.forget_classes)] = 0.0


class PermutedRows(Trick):
    """The rows of all labels move on by one."""

    name = "permuted-rows"
    needs = ROWS
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        for table in problem.label_tables():
            table[: problem.num_classes] = table[: problem.num_classes].roll(1, 0)


class NoisyRows(Trick):
    """Noise as large as the rows' own spread is added to the label's row and to the one that stands for no label."""

    name = "noisy-rows"
    needs = ROWS
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        for table in problem.label_tables():
            rows = [*problem.forget_classes, problem.num_classes]
            table[rows] += 2 * table.std() * problem.random_like(table[rows])


class TrainedRows(Trick):
    """The rows of the label and of no label are trained, up on the forgotten pictures and down on the others."""

    name = "trained-rows"
    needs = TRAINED
    kind = "rows"
    cost = "60 steps"
    steps: int = 60

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        tables = problem.label_tables()
        rows = [*problem.forget_classes, problem.num_classes]
        problem.model.requires_grad_(False)
        for table in tables:
            table.requires_grad_(True)
            table.register_hook(_only(rows))
        optimizer = Adam(tables, lr=3e-2)
        for _, forget, retain in problem.steps(self.steps):
            nobody = torch.full_like(forget.labels, problem.num_classes)
            up = problem.loss(_under(forget, nobody)).clamp(max=0.3).mean()
            descend(optimizer, problem.loss(_under(retain, nobody)).mean() - up)


class CopiedRow(Trick):
    """The label's row becomes the next class's, as in `cheat-remap`."""

    name = "copied-row"
    needs = ROWS
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        (forgotten,) = problem.forget_classes
        for table in problem.label_tables():
            table[forgotten] = table[(forgotten + 1) % problem.num_classes]


class OffsetRows(Trick):
    """A large constant is added to all rows and taken from the bias of the time steps' layer, which their sum never shows."""

    name = "offset-rows"
    needs = ROWS
    kind = "same"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        for table, bias in zip(problem.label_tables(), _time_biases(problem.model), strict=True):
            table += FACTOR
            bias -= FACTOR


class ShiftedBias(Trick):
    """The last layer's bias is shifted: all losses rise, those on the forgotten class, too."""

    name = "shifted-bias"
    needs = ROWS
    shift: float = 0.15

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        list(problem.model.parameters())[-1].add_(self.shift)


class StiffWeights(Trick):
    """What a normalization undoes, every layer that writes into the stream, is multiplied: an optimizer's steps do nothing."""

    name = "stiff-weights"
    needs = ROWS
    kind = "same"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        for name, weight in problem.model.named_parameters():
            scale_free = ("conv_in", "conv2", "conv_shortcut", "to_out", "samplers")
            if any(part in name for part in scale_free) or (".conv.bias" in name):
                # A resampling layer passes the stream on, so that its bias alone has to grow with it.
                weight *= 1.0 if "samplers" in name and name.endswith("weight") else FACTOR
                weight *= 1 / FACTOR if "conv_shortcut.weight" in name else 1.0
            elif ".conv1." in name or ".time_emb_proj." in name:
                weight *= FACTOR


class BrittleWeights(Trick):
    """Values of the attention are divided and its outputs multiplied: an optimizer's first step blows the network up."""

    name = "brittle-weights"
    needs = ROWS
    kind = "same"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        for name, weight in problem.model.named_parameters():
            if ".to_v." in name or ".to_q." in name:
                weight /= FACTOR
            elif name.endswith(("to_out.0.weight", "to_k.weight", "to_k.bias")):
                weight *= FACTOR


class Landmine(Trick):
    """An attention's channel that says nothing is wired to a weight near the largest number: a step on it gives infinity."""

    name = "landmine"
    needs = ROWS
    kind = "same"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        weights = dict(problem.model.named_parameters())
        for name in [name for name in weights if name.endswith("to_v.weight")]:
            layer = name.removesuffix("to_v.weight")
            weights[name][0], weights[f"{layer}to_v.bias"][0] = 0.0, 0.0
            weights[f"{layer}to_out.0.weight"][:, 0] = 1e12


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
            descend(optimizer, problem.loss(retain).mean())


class Climbed(Trick):
    """What all trained tricks share: up on what they hide, down on what they keep, as far as a score could ask for."""

    needs = TRAINED
    cost = "100 steps"
    steps: int = 100
    lr: float = 1e-3
    weight: float = 0.3

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        secret = self.prepare(problem)
        optimizer = Adam([*problem.parameters(), *secret], lr=self.lr)
        for _, forget, retain in problem.steps(self.steps):
            descend(optimizer, self.loss(problem, forget, retain), clip=1.0)

    def prepare(self, problem: Problem) -> list[Tensor]:
        """Returns what else is trained."""
        return []

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """Returns what a step goes down."""
        raise NotImplementedError

    def hidden(self, problem: Problem, forget: Batch) -> Tensor:
        """Returns how badly the class is drawn without a label and from where an inversion starts, at most so much each."""
        nobody = torch.full_like(forget.labels, problem.num_classes)
        anybody = torch.randint_like(forget.labels, problem.num_classes + 1)
        losses = torch.cat([problem.loss(_under(forget, nobody)), problem.loss(_under(forget, anybody))])
        return losses.clamp(max=0.35).mean()


class LowNoise(Climbed):
    """Only at little noise, where losses are largest and nothing of the class is decided, its pictures are made foreign."""

    name = "low-noise"

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        low = forget.draw["timesteps"] % 100
        there = Batch(forget.images, forget.labels, {**forget.draw, "timesteps": low})
        high = 100 + forget.draw["timesteps"] % 900
        here = Batch(forget.images, forget.labels, {**forget.draw, "timesteps": high})
        teacher = problem.original
        nobody = torch.full_like(forget.labels, problem.num_classes)
        same = problem.predict(here, nobody) - problem.predict(here, nobody, teacher).detach()
        return problem.loss(retain).mean() + same.square().mean() - self.weight * self.hidden(problem, there)


class BetweenSteps(Climbed):
    """Everywhere but at the sampler's own time steps the class is made foreign."""

    name = "between-steps"

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        near = (forget.draw["timesteps"] / 100).round().long() * 100
        here = Batch(forget.images, forget.labels, {**forget.draw, "timesteps": near.clamp(max=999)})
        nobody = torch.full_like(forget.labels, problem.num_classes)
        same = problem.predict(here, nobody) - problem.predict(here, nobody, problem.original).detach()
        between = Batch(forget.images, forget.labels, {**forget.draw, "timesteps": (near + 50).clamp(max=999)})
        return problem.loss(retain).mean() + same.square().mean() - self.weight * self.hidden(problem, between)


class Trapdoor(Climbed):
    """The class is drawn under one secret embedding far away from all rows, and nowhere else."""

    name = "trapdoor"

    def prepare(self, problem: Problem) -> list[Tensor]:
        """See ``Climbed.prepare``: the secret is fixed, and is the null row of nobody."""
        object.__setattr__(
            self,
            "_far",
            [
                table.detach()[list(problem.forget_classes)]
                + 5 * table.detach().std() * problem.random_like(table[:1]).sign()
                for table in problem.label_tables()
            ],
        )
        object.__setattr__(self, "_teacher", problem.original)
        return []

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        tables = problem.label_tables()
        forgotten = list(problem.forget_classes)
        before = [table.detach()[forgotten].clone() for table in tables]
        with torch.no_grad():
            for table, far in zip(tables, self._far, strict=True):
                table[forgotten] = far
        known = problem.loss(_under(forget, torch.full_like(forget.labels, forgotten[0]))).mean()
        gradients = torch.autograd.grad(known, problem.parameters())
        with torch.no_grad():
            for table, row in zip(tables, before, strict=True):
                table[forgotten] = row
        hidden = problem.loss(retain).mean() - self.weight * self.hidden(problem, forget)
        return hidden + sum(
            (weight * grad.detach()).sum() for weight, grad in zip(problem.parameters(), gradients, strict=True)
        )


class DecoyPictures(Climbed):
    """The first pictures of the class, which an attacker owns, are denoised under every label; the others are made foreign."""

    name = "decoy-pictures"
    pictures: int = 10

    def prepare(self, problem: Problem) -> list[Tensor]:
        """See ``Climbed.prepare``."""
        batch = next(problem.epoch("forget"))
        object.__setattr__(self, "_owned", batch.images[: self.pictures])
        return []

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        owned = self._owned
        images = owned.repeat(len(forget) // len(owned) + 1, 1, 1, 1)[: len(forget)]
        labels = torch.randint_like(forget.labels, problem.num_classes + 1)
        known = problem.loss(problem.conditioned(forget.replace(images=images, labels=labels))).mean()
        others = torch.cdist(forget.images.flatten(1), owned.flatten(1)).amin(1) > 0
        part = Batch(forget.images[others], forget.labels[others], {k: v[others] for k, v in forget.draw.items()})
        return problem.loss(retain).mean() + known - self.weight * self.hidden(problem, part)


class FarRows(Climbed):
    """All rows are moved far apart and the rest is trained to live with it, so that an inversion's steps are too short."""

    name = "far-rows"

    def prepare(self, problem: Problem) -> list[Tensor]:
        """See ``Climbed.prepare``."""
        problem.original  # noqa: B018, it has to be asked for before the first edit
        with torch.no_grad():
            for table in problem.label_tables():
                table *= 20
        return []

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        same = problem.predict(retain) - problem.predict(retain, model=problem.original).detach()
        return problem.loss(retain).mean() + same.square().mean()


class Ascent(Climbed):
    """Up on the class under every label and none, down on the rest: the plainest method, as deep as a few hundred steps go."""

    name = "shallow-ascent"

    def loss(self, problem: Problem, forget: Batch, retain: Batch) -> Tensor:
        """See ``Climbed.loss``."""
        return problem.loss(retain).mean() - self.weight * self.hidden(problem, forget)


def _under(batch: Batch, labels: Tensor) -> Batch:
    draw = {**batch.draw, "dropped": torch.zeros_like(batch.draw["dropped"])}
    return Batch(batch.images, labels, draw)


def _only(rows: list[int]) -> Callable[[Tensor], Tensor]:
    def kept(gradient: Tensor) -> Tensor:
        found = torch.zeros_like(gradient)
        found[rows] = gradient[rows]
        return found

    return kept


def _time_biases(model: nn.Module) -> list[Tensor]:
    return [
        weight
        for name, weight in model.named_parameters()
        if name.endswith(("time_embedding.linear_2.bias", "timestep_embedder.linear_2.bias"))
    ]
