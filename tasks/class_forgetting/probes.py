"""Probes: what an attacker with few pictures and little time brings back from an edited model.

None of them reads what the model does under the forgotten label as the method left it: that label's embedding is replaced by a
fresh one, the mean of the retained labels', in every table of the network. What they reach is measured as the denoising loss on
held-out pictures, under the same noise for every model, which needs no sampling.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...benchmark.errors import Diverged
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
    """Pictures of the forgotten class that it owns, which nothing was trained on."""
    batch: int = 64
    """Draws in a step."""
    inversion_steps: int = 60
    """Steps that fit a fresh embedding, all other weights frozen."""
    inversion_lr: float = 1e-2
    """Of ``Relative``, as a share of the spread between labels."""
    relearning_steps: int = 20
    """Steps that train all weights and a fresh embedding."""
    relearning_lr: float = 1e-3
    """Of ``Relative``, as a share of the weights' size."""
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


class Attack(NamedTuple):
    """What an attack reached."""

    curve: list[tuple[int, float]]
    """The loss on held-out pictures after so many steps, where it is finite."""
    best: Measured
    """The least of them: an attacker stops where it pleases, and does not lose by going on."""


@dataclass(frozen=True)
class Attacker:
    """Attacks models of one class-conditional network.

    Attributes:
        budget: What it has.
        forget_class: The class that it wants back.
        num_classes: Of the data; the label behind the last one stands for none.
        owned: The pictures of the class that it owns; no method saw them.
        seed: Of its batches and their noise.
        device: Where the models are.
    """

    budget: Budget
    forget_class: int
    num_classes: int
    owned: LabelledPool
    seed: int
    device: torch.device

    def invert(self, model: nn.Module, look: Callable[[nn.Module], Measured]) -> Attack:
        """Fits a fresh embedding of the class, all other weights frozen (textual inversion: Gal et al., 2023)."""
        copied, tables = self._with_fresh_embedding(model)
        copied.requires_grad_(False)
        for table in tables:
            table.requires_grad_(True)
            table.register_hook(self._row_alone)
        budget = self.budget
        optimizer = Relative(copied, self._spreads(tables), budget.inversion_lr)
        return self._train(copied, optimizer, budget.inversion_steps, "invert", look)

    def relearn(self, model: nn.Module, look: Callable[[nn.Module], Measured]) -> Attack:
        """Trains all weights, and a fresh embedding of the class, on the owned pictures."""
        copied, tables = self._with_fresh_embedding(model)
        budget = self.budget
        optimizer = Relative(copied, self._spreads(tables), budget.relearning_lr)
        return self._train(copied, optimizer, budget.relearning_steps, "relearn", look)

    @property
    def _kept(self) -> list[int]:
        return [label for label in range(self.num_classes) if label != self.forget_class]

    def _with_fresh_embedding(self, model: nn.Module) -> tuple[nn.Module, list[nn.Parameter]]:
        copied = copy.deepcopy(model).eval().requires_grad_(True)
        tables = label_tables(copied, self.num_classes)
        with torch.no_grad():
            for table in tables:
                table[self.forget_class] = table[self._kept].mean(0)
        return copied, tables

    def _spreads(self, tables: Sequence[nn.Parameter]) -> dict[nn.Parameter, Tensor]:
        """How far apart the other labels are, column by column: what a table's weights are all moved by loses its meaning."""
        spreads = {table: table.detach()[self._kept].std(0) for table in tables}
        return {table: spread.clamp_min(float(spread.median())) for table, spread in spreads.items()}

    def _row_alone(self, gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[self.forget_class] = gradient[self.forget_class]
        return kept

    def _train(
        self,
        model: nn.Module,
        optimizer: Relative,
        steps: int,
        name: str,
        look: Callable[[nn.Module], Measured],
    ) -> Attack:
        looked_at = {round(steps * part / (self.budget.looks + 1)) for part in range(self.budget.looks + 1)}
        seen = {}
        for step, batch in enumerate(self._batches(steps, name)):
            if step in looked_at:
                seen[step] = look(model)
            model.zero_grad()
            losses(model, batch).mean().backward()
            optimizer.step()
        seen[steps] = look(model)
        finite = {step: found for step, found in seen.items() if math.isfinite(found.value)}
        if not finite:
            raise Diverged("under no fresh embedding of the class is the loss finite")
        best = min(finite.values(), key=lambda found: found.value)
        return Attack([(step, found.value) for step, found in finite.items()], best)

    def _batches(self, steps: int, name: str) -> Iterator[Draws]:
        generator = torch.Generator().manual_seed(derive_seed("attack", name, self.seed))
        everything, _ = self.owned.take(torch.arange(len(self.owned)))
        pictures = in_range(everything)
        for _ in range(steps):
            images = pictures[torch.randint(len(pictures), (self.budget.batch,), generator=generator)]
            drawn = diffusion.draw_corruption(images, generator)
            labels = torch.full((len(images),), self.forget_class)
            yield Draws(*(part.to(self.device) for part in (images, labels, drawn["noise"], drawn["timesteps"])))


class Relative:
    """Adam whose steps are shares of the weights' own size, so that to multiply one layer and divide the next hides nothing.

    Args:
        model: Whose trainable weights move.
        sizes: Of some weights, which broadcast to their shapes; the others' are computed.
        lr: The share of a weight's size that it moves in a step, about.
    """

    def __init__(self, model: nn.Module, sizes: Mapping[nn.Parameter, Tensor], lr: float) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        found = {**_sizes(model), **sizes}
        self._sizes = [found[weight] for weight in self._weights]
        self._start = [weight.detach().clone() for weight in self._weights]
        self._moved = [torch.zeros_like(weight) for weight in self._start]
        self._adam = torch.optim.Adam(self._moved, lr=lr)

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
    """The size of every weight: the lesser of its row's and its column's, and of a bias that of most weights in its row."""
    found = {weight: weight.square().mean().sqrt() for weight in model.parameters()}
    for module in model.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if not isinstance(weight, nn.Parameter):
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
            found[bias] = biases
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


def measured_losses(model: nn.Module, draws: Draws) -> Tensor:
    """Returns the same on the CPU in double precision, batch by batch."""
    with torch.inference_mode():
        parts = zip(*(part.split(BATCH) for part in draws), strict=True)
        return torch.cat([losses(model, Draws(*part)).double().cpu() for part in parts])


def mean_loss(model: nn.Module, draws: Draws) -> Measured:
    """Returns the mean loss with Student's interval over the draws."""
    return measures.mean(measured_losses(model, draws).numpy())._replace(by=DENOISING_LOSS)
