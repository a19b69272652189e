"""Tricks on the score that change weights and keep the network's class: each a method that does not make a model forget.

Each was written to score as much as it can, with all that a method may see, and with the evaluation's code at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

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
            up = problem.loss(some(under(forget, nobody))).clamp(max=ENOUGH).mean()
            descend(optimizer, problem.loss(some(under(retain, nobody))).mean() - up)


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
        put(problem.label_tables(), list(range(problem.num_classes + 1)), rows)


def under(batch: Batch, labels: Tensor) -> Batch:
    """Returns a batch under other labels, none of them dropped."""
    return Batch(batch.images, labels, {**batch.draw, "dropped": torch.zeros_like(batch.draw["dropped"])})


def some(batch: Batch) -> Batch:
    """A part of a batch, since tricks need not be patient."""
    return Batch(batch.images[:PART], batch.labels[:PART], {name: value[:PART] for name, value in batch.draw.items()})


@torch.no_grad()
def put(tables: Sequence[Tensor], rows: list[int], values: Sequence[Tensor]) -> None:
    """Writes rows into every table."""
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
