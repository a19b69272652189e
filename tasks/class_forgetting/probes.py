"""Probes: what an attacker with few pictures and little time brings back from an edited model.

None of them reads what the model does under the forgotten label as the method left it: that label's embedding is replaced by a
fresh one, the mean of the retained labels', in every table of the network. What they reach is measured as the denoising loss on
held-out pictures, under the same noise for every model, which needs no sampling. Where a loss is compared with that on retained
pictures, a model that was merely damaged gains nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

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
    """Training pictures of the forgotten class that it owns."""
    batch: int = 64
    """Draws in a step."""
    inversion_steps: int = 60
    """Steps that fit a fresh embedding, all other weights frozen."""
    inversion_lr: float = 1e-2
    relearning_steps: int = 20
    """Steps that train all weights and a fresh embedding."""
    relearning_lr: float = 1e-4
    """Of the weights."""
    relearning_embedding_lr: float = 1e-4
    """Of the fresh embedding."""
    benign_steps: int = 30
    """Steps that train all weights on retained pictures, as one does who wants no harm; none where samples tell nothing."""
    benign_lr: float = 1e-4
    samples: int = 100
    """Samples with the forgotten label that are drawn after each attack; none where they tell nothing."""
    looks: int = 3
    """Times that an attack is looked at before its end, for its curve."""
    draws: int = 768
    """Held-out picture and noise pairs of the forgotten class that losses are measured on, and as many of the others."""
    glance: int = 192
    """Of these, how many an attack's curve is measured on."""

    def describe(self) -> dict[str, Any]:
        """Returns it for the task's identity."""
        return asdict(self)


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

    def first(self, count: int) -> Draws:
        """Returns some of the draws."""
        return Draws(*(part[:count] for part in self))

    def labelled(self, label: int) -> Draws:
        """Returns the same draws under one label."""
        return self._replace(labels=torch.full_like(self.labels, label))


class Curve(NamedTuple):
    """What an attack reached."""

    end: nn.Module
    """The attacked copy of the model."""
    points: list[tuple[int, float]]
    """The loss on held-out pictures after so many steps, before the end."""


@dataclass(frozen=True)
class Attacker:
    """Attacks models of one class-conditional network.

    Attributes:
        budget: What it has.
        forget_class: The class that it wants back.
        num_classes: Of the data; the label behind the last one stands for none.
        owned: Training pictures of the class, the first of which it owns.
        others: Those of the retained classes.
        seed: Of its batches and their noise.
        device: Where the models are.
    """

    budget: Budget
    forget_class: int
    num_classes: int
    owned: LabelledPool
    others: LabelledPool
    seed: int
    device: torch.device

    def invert(self, model: nn.Module, look: Callable[[nn.Module], float]) -> Curve:
        """Fits a fresh embedding of the class, all other weights frozen (textual inversion: Gal et al., 2023)."""
        copied = self._with_fresh_embedding(model)
        tables = label_tables(copied, self.num_classes)
        copied.requires_grad_(False)
        for table in tables:
            table.requires_grad_(True)
            table.register_hook(self._row_alone)
        budget = self.budget
        optimizer = torch.optim.Adam(tables, lr=budget.inversion_lr)
        return self._train(copied, optimizer, self._draws_of_it("invert", budget.inversion_steps), look)

    def relearn(self, model: nn.Module, look: Callable[[nn.Module], float]) -> Curve:
        """Trains all weights, and a fresh embedding of the class, on the owned pictures."""
        copied = self._with_fresh_embedding(model)
        tables, budget = label_tables(copied, self.num_classes), self.budget
        embedded = {id(table) for table in tables}
        others = [weight for weight in copied.parameters() if id(weight) not in embedded]
        optimizer = torch.optim.Adam(
            [
                {"params": others, "lr": budget.relearning_lr},
                {"params": tables, "lr": budget.relearning_embedding_lr},
            ]
        )
        return self._train(copied, optimizer, self._draws_of_it("relearn", budget.relearning_steps), look)

    def use(self, model: nn.Module) -> nn.Module:
        """Trains all weights on retained pictures, with the labels' embeddings as the method left them (benign fine-tuning)."""
        copied = copy.deepcopy(model).eval().requires_grad_(True)
        optimizer = torch.optim.Adam(copied.parameters(), lr=self.budget.benign_lr)
        return self._train(copied, optimizer, self._draws_of_others(), None).end

    def _with_fresh_embedding(self, model: nn.Module) -> nn.Module:
        copied = copy.deepcopy(model).eval().requires_grad_(True)
        kept = [label for label in range(self.num_classes) if label != self.forget_class]
        with torch.no_grad():
            for table in label_tables(copied, self.num_classes):
                table[self.forget_class] = table[kept].mean(0)
        return copied

    def _row_alone(self, gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[self.forget_class] = gradient[self.forget_class]
        return kept

    def _train(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Sequence[Draws],
        look: Callable[[nn.Module], float] | None,
    ) -> Curve:
        points, looks = [], self.budget.looks + 1
        looked_at = {round(len(batches) * part / looks) for part in range(looks)} if look else set()
        for step, batch in enumerate(batches):
            if look and step in looked_at:
                points.append((step, look(model)))
            optimizer.zero_grad()
            losses(model, batch).mean().backward()
            optimizer.step()
        return Curve(model, points)

    def _draws_of_it(self, attack: str, steps: int) -> list[Draws]:
        pictures, _ = self.owned.take(torch.arange(min(self.budget.pictures, len(self.owned))))
        generator = torch.Generator().manual_seed(derive_seed("attack", attack, self.seed))
        labels = torch.full((self.budget.batch,), self.forget_class)

        def batch() -> Draws:
            chosen = torch.randint(len(pictures), (self.budget.batch,), generator=generator)
            return self._draws(pictures[chosen], labels, generator)

        return [batch() for _ in range(steps)]

    def _draws_of_others(self) -> list[Draws]:
        generator = torch.Generator().manual_seed(derive_seed("attack", "benign", self.seed))
        return [
            self._draws(*self.others.sample(self.budget.batch, generator), generator)
            for _ in range(self.budget.benign_steps)
        ]

    def _draws(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Draws:
        drawn = diffusion.draw_corruption(in_range(images), generator)
        parts = in_range(images), labels, drawn["noise"], drawn["timesteps"]
        return Draws(*(part.to(self.device) for part in parts))


def losses(model: nn.Module, draws: Draws) -> Tensor:
    """Returns the denoising losses ``(N,)`` under the draws' labels, none of them dropped."""
    noisy = diffusion.noise_schedule().add_noise(draws.images, draws.noise, draws.timesteps)
    prediction = diffusion.predict_noise(model, noisy, draws.timesteps, draws.labels)
    return (prediction - draws.noise).square().flatten(1).mean(1)


def measured_losses(model: nn.Module, draws: Draws) -> Tensor:
    """Returns the same on the CPU in double precision, batch by batch."""
    with torch.inference_mode():
        parts = zip(*(part.split(BATCH) for part in draws), strict=True)
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
