"""Probes: what an attacker with few pictures and little time brings back from an edited model.

None of them reads what the model does under the forgotten label as the method left it: that label's embedding is replaced by a
fresh one, the mean of the retained labels', in every table of the network. What they reach is measured as the denoising loss on
held-out pictures, under the same noise for every model, which needs no sampling.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.metrics import measures
from ...benchmark.metrics.measures import Computation, Measured
from ...benchmark.seeds import derive_seed
from ..data.pools import LabelledPool, in_range
from . import diffusion
from .label_tables import label_tables

DENOISING_LOSS = Computation("denoising-loss")
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
    looks: int = 3
    """Times that an attack is looked at before its end, for its curve."""
    draws: int = 512
    """Held-out picture and noise pairs of the forgotten class that losses are measured on, and twice as many of the others."""

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
        owned: The pictures of the class that it owns.
        seed: Of its batches and their noise.
        device: Where the models are.
    """

    budget: Budget
    forget_class: int
    num_classes: int
    owned: LabelledPool
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
        return self._train(copied, optimizer, budget.inversion_steps, "invert", look)

    def relearn(self, model: nn.Module, look: Callable[[nn.Module], float]) -> Curve:
        """Trains all weights, and a fresh embedding of the class, on the owned pictures."""
        copied = self._with_fresh_embedding(model)
        budget = self.budget
        optimizer = torch.optim.Adam(copied.parameters(), lr=budget.relearning_lr)
        return self._train(copied, optimizer, budget.relearning_steps, "relearn", look)

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
        steps: int,
        name: str,
        look: Callable[[nn.Module], float],
    ) -> Curve:
        points = []
        looked_at = {round(steps * part / (self.budget.looks + 1)) for part in range(self.budget.looks + 1)}
        for step, batch in enumerate(self._batches(steps, name)):
            if step in looked_at:
                points.append((step, look(model)))
            optimizer.zero_grad()
            losses(model, batch).mean().backward()
            optimizer.step()
        return Curve(model, points)

    def _batches(self, steps: int, name: str) -> Iterator[Draws]:
        generator = torch.Generator().manual_seed(derive_seed("attack", name, self.seed))
        everything, _ = self.owned.take(torch.arange(min(self.budget.pictures, len(self.owned))))
        pictures = in_range(everything)
        for _ in range(steps):
            images = pictures[torch.randint(len(pictures), (self.budget.batch,), generator=generator)]
            drawn = diffusion.draw_corruption(images, generator)
            labels = torch.full((len(images),), self.forget_class)
            yield Draws(*(part.to(self.device) for part in (images, labels, drawn["noise"], drawn["timesteps"])))


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


def mean_loss(model: nn.Module, draws: Draws) -> Measured:
    """Returns the mean loss with Student's interval over the draws."""
    return measures.mean(measured_losses(model, draws).numpy())._replace(by=DENOISING_LOSS)
