"""Probes: what an attacker with few pictures and little time brings back from an edited model. A picture may be a latent.

None of them reads what the model does under the forgotten label as the method left it: that label's embedding is replaced by a
fresh one, the mean of the retained labels', in every table of the network. What they reach is measured as the denoising loss on
held-out pictures, under the same noise for every model, which needs no sampling. Where a loss is compared with that on retained
pictures, a model that was merely damaged gains nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.errors import Diverged
from ...benchmark.metrics import measures
from ...benchmark.metrics.intervals import welch
from ...benchmark.metrics.measures import Computation, Measured
from ...benchmark.seeds import derive_seed
from ..data.pools import LabelledPool, in_range
from . import diffusion
from .label_tables import label_tables

DENOISING_LOSS = Computation("denoising-loss")
LOSS_GAP = Computation("loss-gap")
BATCH = 256
"""Draws that pass through the network at a time when nothing is trained."""


@dataclass(frozen=True)
class Budget:
    """What an attacker has. Part of the task's identity."""

    pictures: int = 10
    """Pictures of the forgotten class that it owns, which nothing was trained on."""
    batch: int = 64
    """Draws in a step."""
    inversion_steps: int = 60
    """Steps that fit a fresh embedding, all other weights frozen."""
    inversion_lr: float = 0.1
    """Of ``Relative``, as a share of the spread between labels."""
    relearning_steps: int = 20
    """Steps that train all weights, after an inversion."""
    relearning_lr: float = 1e-3
    """Of ``Relative``, as a share of the weights' size."""
    relearning_embedding_lr: float = 1e-2
    """The same of the label embeddings, as a share of the spread between labels."""
    benign_steps: int = 30
    """Steps that train all weights on retained pictures, as one does who wants no harm; none where samples tell nothing."""
    benign_lr: float = 1e-4
    samples: int = 100
    """Samples with the forgotten label that are drawn after each attack; none where they tell nothing."""
    looks: int = 3
    """Times that an attack is looked at before its end, for its curve."""
    draws: int = 768
    """Held-out picture and noise pairs of the forgotten class that losses are measured on, and as many of the others."""

    def describe(self) -> dict[str, Any]:
        """Returns it for the task's identity."""
        return asdict(self)

    def brief(self) -> Budget:
        """Returns one of a few steps, which shows that everything works; what it reaches says little."""
        few = {"inversion_steps": 5, "relearning_steps": 3, "benign_steps": 3, "samples": 20, "looks": 1, "draws": 96}
        return replace(self, batch=16, **{name: min(count, getattr(self, name)) for name, count in few.items()})


class Draws(NamedTuple):
    """Pictures with everything that the denoising loss draws for them; the same for every model and every seed."""

    images: Tensor
    labels: Tensor
    noise: Tensor
    timesteps: Tensor

    @classmethod
    def of(cls, pool: LabelledPool, count: int, seed: int, device: torch.device) -> Draws:
        """Takes every picture of a pool in turn until there are enough, each time with other noise.

        Args:
            pool: The pictures.
            count: How many draws.
            seed: Of noise and time steps.
            device: Where they are used.
        """
        images, labels = pool.take(torch.arange(count) % len(pool))
        images = in_range(images)
        drawn = diffusion.draw_corruption(images, torch.Generator().manual_seed(seed))
        parts = images, labels, drawn["noise"], drawn["timesteps"]
        return cls(*(part.to(device) for part in parts))

    def labelled(self, label: int) -> Draws:
        """Returns the same draws under one label."""
        return self._replace(labels=torch.full_like(self.labels, label))


class Attack(NamedTuple):
    """What an attack reached."""

    end: nn.Module
    """The attacked copy of the model."""
    curve: list[tuple[int, float]]
    """The mean loss on held-out pictures after so many steps, where it is finite."""
    best: Tensor
    """``(N,)``, the losses at the best of these looks: an attacker stops where it pleases, and does not lose by going on."""


@dataclass(frozen=True)
class Attacker:
    """Attacks models of one class-conditional network.

    Attributes:
        budget: What it has.
        forget_class: The class that it wants back.
        num_classes: Of the data; the label behind the last one stands for none.
        owned: The pictures of the class that it owns; no method saw them.
        others: Training pictures of the retained classes, for who uses a model without harm in mind.
        seed: Of its batches and their noise.
        device: Where the models are.
        passed: Draws that pass through the network at a time when nothing is trained.
    """

    budget: Budget
    forget_class: int
    num_classes: int
    owned: LabelledPool
    others: LabelledPool | None
    seed: int
    device: torch.device
    passed: int = BATCH

    def invert(self, model: nn.Module, on: Draws) -> Attack:
        """Fits a fresh embedding of the class, all other weights frozen (textual inversion: Gal et al., 2023).

        Args:
            model: What to attack; it stays as it is.
            on: What the attack's looks measure losses on.
        """
        copied = copy.deepcopy(model).eval().requires_grad_(False)
        tables = label_tables(copied, self.num_classes)
        for table in tables:
            with torch.no_grad():
                table[self.forget_class] = table[self._kept].mean(0)
            table.requires_grad_(True)
        hooks = [table.register_hook(self._row_alone) for table in tables]
        rates = dict.fromkeys(tables, self.budget.inversion_lr)
        optimizer = Relative(copied, self._spreads(tables), rates)
        found = self._attack(copied, optimizer, self._draws_of_it("invert", self.budget.inversion_steps), on)
        for hook in hooks:
            hook.remove()
        return found

    def relearn(self, inverted: nn.Module, on: Draws) -> Attack:
        """Trains all weights on the owned pictures, from where an inversion ended.

        From a fresh embedding, a model that is merely far from the class at the start would pass for one that has forgotten it.

        Args:
            inverted: The end of an inversion; it stays as it is.
            on: What the attack's looks measure losses on.
        """
        copied = copy.deepcopy(inverted).requires_grad_(True)
        tables = label_tables(copied, self.num_classes)
        rates = dict.fromkeys(copied.parameters(), self.budget.relearning_lr)
        rates |= dict.fromkeys(tables, self.budget.relearning_embedding_lr)
        optimizer = Relative(copied, self._spreads(tables), rates)
        return self._attack(copied, optimizer, self._draws_of_it("relearn", self.budget.relearning_steps), on)

    def use(self, model: nn.Module) -> nn.Module:
        """Trains all weights on retained pictures, with the labels' embeddings as the method left them (benign fine-tuning)."""
        copied = copy.deepcopy(model).eval().requires_grad_(True)
        optimizer = torch.optim.Adam(copied.parameters(), lr=self.budget.benign_lr)
        for batch in self._draws_of_others():
            optimizer.zero_grad()
            losses(copied, batch).mean().backward()
            optimizer.step()
        return copied

    @property
    def _kept(self) -> list[int]:
        return [label for label in range(self.num_classes) if label != self.forget_class]

    def _spreads(self, tables: Sequence[nn.Parameter]) -> dict[nn.Parameter, Tensor]:
        """How far apart the other labels are, column by column: what a table's weights are all moved by loses its meaning."""
        spreads = {table: table.detach()[self._kept].std(0) for table in tables}
        return {table: spread.clamp_min(float(spread.median())) for table, spread in spreads.items()}

    def _row_alone(self, gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[self.forget_class] = gradient[self.forget_class]
        return kept

    def _attack(self, model: nn.Module, optimizer: Relative, batches: Sequence[Draws], on: Draws) -> Attack:
        looks = self.budget.looks + 1
        looked_at = {round(len(batches) * part / looks) for part in range(looks)}
        seen = {}
        for step, batch in enumerate(batches):
            if step in looked_at:
                seen[step] = measured_losses(model, on, self.passed)
            model.zero_grad()
            losses(model, batch).mean().backward()
            optimizer.step()
        seen[len(batches)] = measured_losses(model, on, self.passed)
        finite = {step: found for step, found in seen.items() if bool(found.mean().isfinite())}
        if not finite:
            raise Diverged("under no fresh embedding of the class is the loss finite")
        curve = [(step, float(found.mean())) for step, found in finite.items()]
        return Attack(model, curve, min(finite.values(), key=lambda found: float(found.mean())))

    def _draws_of_it(self, attack: str, steps: int) -> list[Draws]:
        pictures, _ = self.owned.take(torch.arange(len(self.owned)))
        generator = torch.Generator().manual_seed(derive_seed("attack", attack, self.seed))
        labels = torch.full((self.budget.batch,), self.forget_class)

        def batch() -> Draws:
            chosen = torch.randint(len(pictures), (self.budget.batch,), generator=generator)
            return self._draws(pictures[chosen], labels, generator)

        return [batch() for _ in range(steps)]

    def _draws_of_others(self) -> list[Draws]:
        generator = torch.Generator().manual_seed(derive_seed("attack", "benign", self.seed))
        assert self.others is not None
        return [
            self._draws(*self.others.sample(self.budget.batch, generator), generator)
            for _ in range(self.budget.benign_steps)
        ]

    def _draws(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Draws:
        drawn = diffusion.draw_corruption(in_range(images), generator)
        parts = in_range(images), labels, drawn["noise"], drawn["timesteps"]
        return Draws(*(part.to(self.device) for part in parts))


class Relative:
    """Adam whose steps are shares of the weights' own size, so that to multiply one layer and divide the next hides nothing.

    Args:
        model: Whose trainable weights move.
        sizes: Of some weights, which broadcast to their shapes; the others' are computed.
        rates: The share of its size that each weight moves in a step, about.
    """

    def __init__(
        self, model: nn.Module, sizes: Mapping[nn.Parameter, Tensor], rates: Mapping[nn.Parameter, float]
    ) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        found = {**_sizes(model), **sizes}
        self._sizes = [found[weight] for weight in self._weights]
        self._start = [weight.detach().clone() for weight in self._weights]
        self._moved = [torch.zeros_like(weight) for weight in self._start]
        pairs = zip(self._weights, self._moved, strict=True)
        self._adam = torch.optim.Adam([{"params": [moved], "lr": rates[weight]} for weight, moved in pairs])

    @torch.no_grad()
    def step(self) -> None:
        """Moves the weights against their gradients."""
        for moved, weight, size in zip(self._moved, self._weights, self._sizes, strict=True):
            moved.grad = None if weight.grad is None else weight.grad * size
        self._adam.step()
        for moved, weight, size, start in zip(self._moved, self._weights, self._sizes, self._start, strict=True):
            weight.copy_(start + size * moved)


@torch.no_grad()
def _sizes(model: nn.Module) -> dict[nn.Parameter, Tensor]:
    """The size of each trained weight: the lesser of its row's and its column's, of a bias of its own and its row's."""
    found = {weight: weight.square().mean().sqrt() for weight in model.parameters() if weight.requires_grad}
    for module in model.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if not isinstance(weight, nn.Parameter) or not weight.requires_grad:
            continue
        biases = weight.abs()
        if weight.ndim > 1:
            rows = weight.square().flatten(1).mean(1).sqrt()
            columns = weight.square().transpose(0, 1).flatten(1).mean(1).sqrt()
            sizes = torch.minimum(rows[:, None], columns[None, :])
            biases = sizes.median(1).values
            found[weight] = sizes.view(*sizes.shape, *[1] * (weight.ndim - 2))
        else:
            found[weight] = biases
        if isinstance(bias, nn.Parameter):
            # Either may be out of proportion to what the layer gives, at no cost to who wrote it so.
            found[bias] = torch.minimum(found[bias], biases)
    return found


def parted(pool: LabelledPool, first: int) -> tuple[LabelledPool, LabelledPool]:
    """Returns the first pictures of a pool, half of them at most, and the rest."""
    mine = torch.arange(len(pool)) < min(first, len(pool) // 2)
    return pool.where(mine), pool.where(~mine)


def losses(model: nn.Module, draws: Draws) -> Tensor:
    """Returns the denoising losses ``(N,)`` under the draws' labels, none of them dropped."""
    noisy = diffusion.noise_schedule().add_noise(draws.images, draws.noise, draws.timesteps)
    prediction = diffusion.predict_noise(model, noisy, draws.timesteps, draws.labels)
    return (prediction - draws.noise).square().flatten(1).mean(1)


def measured_losses(model: nn.Module, draws: Draws, batch: int = BATCH) -> Tensor:
    """Returns the same on the CPU in double precision, batch by batch."""
    with torch.inference_mode():
        parts = zip(*(part.split(batch) for part in draws), strict=True)
        return torch.cat([losses(model, Draws(*part)).double().cpu() for part in parts])


def mean_loss(found: Tensor) -> Measured:
    """Returns the mean of losses with Student's interval over the draws."""
    return measures.mean(found.numpy())._replace(by=DENOISING_LOSS)


def gap(found: Tensor, beside: Tensor) -> Measured:
    """Returns how much larger the first losses are on average, with Welch's interval.

    Args:
        found: ``(N,)``, on pictures of the forgotten class.
        beside: ``(M,)``, on retained pictures.
    """
    interval = welch(found.numpy(), beside.numpy())
    return Measured(float(found.mean() - beside.mean()), interval, len(found), "student", LOSS_GAP)
