"""Tricks on the score that change weights and keep the network's class: each a method that does not make a model forget.

Each was written to score as much as it can, with all that a method may see, and with the evaluation's code at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam

from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.primitives import descend
from ...benchmark.problem import Batch, Problem

ROWS = frozenset({Need.LABELS, Need.LABEL_TABLES})
TRAINED = frozenset({Need.LABELS, Need.LABEL_TABLES, Need.RETAIN, Need.GUIDANCE})
PART = 48
"""Samples of a batch that trained tricks use."""
ENOUGH = 0.35
"""A loss that no retrained model reaches."""
FACTOR = 1000.0
"""By which a reparametrization moves weights away from what an optimizer's step can change."""


class Trick(Method):
    """A trick; its docstring says what it does."""

    role = "cheat"
    tasks: ClassVar[tuple[str, ...]] = ("digits-ddpm",)
    """Where it is tried."""
    cost: ClassVar[str] = "nothing"
    """What it takes."""
    kind: ClassVar[Literal["rows", "same", "any"]] = "any"
    """``rows``: only label embeddings change; ``same``: and the network computes what it did; ``any``: any weights do."""

    def kept(self, problem: Problem) -> list[int]:
        """Returns the labels to keep."""
        return [label for label in range(problem.num_classes) if label not in problem.forget_classes]


class CopiedRow(Trick):
    """The label's row becomes the next class's, as in `cheat-remap`."""

    name = "copied-row"
    needs = ROWS
    tasks = ("digits-ddpm", "digits-dit")
    kind = "rows"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        (forgotten,) = problem.forget_classes
        for table in problem.label_tables():
            table[forgotten] = table[(forgotten + 1) % problem.num_classes]


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
            table[rows] = table[rows] + 2 * table.std() * problem.random_like(table[rows])


class TrainedRows(Trick):
    """The rows of the label and of no label are trained, up on the forgotten pictures and down on the others."""

    name = "trained-rows"
    needs = TRAINED
    tasks = ("digits-ddpm", "digits-dit")
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
            up = problem.loss(_some(_under(forget, nobody))).clamp(max=ENOUGH).mean()
            descend(optimizer, problem.loss(_some(_under(retain, nobody))).mean() - up)


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
            table.add_(FACTOR)
            bias.sub_(FACTOR)


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
                weight.mul_(1.0 if "samplers" in name and name.endswith("weight") else FACTOR)
                weight.mul_(1 / FACTOR if "conv_shortcut.weight" in name else 1.0)
            elif ".conv1." in name or ".time_emb_proj." in name:
                weight.mul_(FACTOR)


class BrittleWeights(Trick):
    """Values of the attention are divided and its outputs multiplied: an optimizer's first step blows the network up."""

    name = "brittle-weights"
    needs = ROWS
    tasks = ("digits-ddpm", "digits-dit")
    kind = "same"

    @torch.no_grad()
    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        CopiedRow().unlearn(problem)
        for name, weight in problem.model.named_parameters():
            if ".to_v." in name or ".to_q." in name:
                weight.div_(FACTOR)
            elif name.endswith(("to_out.0.weight", "to_k.weight", "to_k.bias")):
                weight.mul_(FACTOR)


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


class StiffRows(Trick):
    """`trained-rows` and then `stiff-weights`: the most that changes no knowledge of the class."""

    name = "trained-rows-stiff-weights"
    needs = TRAINED
    cost = "60 steps"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        TrainedRows().unlearn(problem)
        rows = [table.detach().clone() for table in problem.label_tables()]
        StiffWeights().unlearn(problem)
        _put(problem.label_tables(), list(range(problem.num_classes + 1)), rows)


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
            descend(optimizer, problem.loss(_some(retain)).mean())


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
            descend(optimizer, self.loss(problem, _some(forget), _some(retain), prepared), clip=1.0)

    def prepare(self, problem: Problem) -> Any:
        """Returns what the loss needs, from the model as it was given."""

    def loss(self, problem: Problem, forget: Batch, retain: Batch, prepared: Any) -> Tensor:
        """Returns what a step goes down."""
        raise NotImplementedError

    def hidden(self, problem: Problem, forget: Batch) -> Tensor:
        """Returns how badly the class is denoised, half of it without a label and half under any; at some loss it is enough."""
        labels = torch.randint_like(forget.labels, problem.num_classes)
        labels[::2] = problem.num_classes
        return problem.loss(_under(forget, labels)).clamp(max=ENOUGH).mean()

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
        _put(tables, rows, prepared)
        gradients = torch.autograd.grad(problem.loss(problem.conditioned(forget)).mean(), problem.parameters())
        _put(tables, rows, shown)
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
        decoys = problem.loss(_under(forget.replace(images=images), labels)).mean()
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


def _under(batch: Batch, labels: Tensor) -> Batch:
    return Batch(batch.images, labels, {**batch.draw, "dropped": torch.zeros_like(batch.draw["dropped"])})


def _at(batch: Batch, timesteps: Tensor) -> Batch:
    return Batch(batch.images, batch.labels, {**batch.draw, "timesteps": timesteps})


def _some(batch: Batch) -> Batch:
    """A part of a batch, since tricks need not be patient."""
    return Batch(batch.images[:PART], batch.labels[:PART], {name: value[:PART] for name, value in batch.draw.items()})


@torch.no_grad()
def _put(tables: Sequence[Tensor], rows: list[int], values: Sequence[Tensor]) -> None:
    for table, value in zip(tables, values, strict=True):
        table[rows] = value


def _only(rows: list[int]) -> Callable[[Tensor], Tensor]:
    def kept(gradient: Tensor) -> Tensor:
        found = torch.zeros_like(gradient)
        found[rows] = gradient[rows]
        return found

    return kept


def _time_biases(model: nn.Module) -> list[Tensor]:
    names = ("time_embedding.linear_2.bias", "timestep_embedder.linear_2.bias")
    return [weight for name, weight in model.named_parameters() if name.endswith(names)]
