"""The one training loop, of base models, oracles and judges. What differs is handed in: the batch, its loss, the descent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ...benchmark import numerics
from ...benchmark.measuring.device import CPU
from .checkpoint import Checkpoint, TrainingState

Network = TypeVar("Network", bound=nn.Module)
Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""Draws a batch of images and labels; the loop brings it to the device."""
Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""The mean loss of the network on images and labels; what it draws beside comes from the generator."""


class Descent(NamedTuple):
    """How a loss is descended."""

    optimizer: Callable[..., torch.optim.Optimizer]
    """Takes the parameters and, on a GPU, options that make it faster."""
    schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None
    """Of the learning rate, moved on after every step; the rate is constant without."""
    clip: float | None = None
    """The largest norm of a gradient."""
    ema_decay: float | None = None
    """The memory of the weights' average, which then takes the place of the last weights."""

    def memory(self, step: int) -> float:
        """Returns the average's memory at a step: short at first, so that the average forgets the initial weights."""
        return min(self.ema_decay or 0.0, (step + 1) / (step + 10))


class Speed(NamedTuple):
    """What a GPU does to be faster. A CPU does none of it, so that its outcome is the same to the last bit."""

    bf16: bool = False
    """Passes in bfloat16 where autocast finds it safe; weights and the optimizer stay in single precision."""
    channels_last: bool = False
    compiled: bool = False


PLAIN = Speed()


def train(
    model: Network,
    draw: Draw,
    loss: Loss,
    descent: Descent,
    *,
    steps: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    device: torch.device = CPU,
    speed: Speed = PLAIN,
) -> Network:
    """Trains a network and returns it, or its average, on the CPU and in evaluation mode.

    Args:
        model: A freshly initialized network.
        draw: See ``Draw``.
        loss: See ``Loss``.
        descent: Optimizer, schedule, clipping, average.
        steps: How many.
        generator: Of batches and of what the loss draws.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on if it was killed, and where it leaves its state from time to time.
        device: Where to train.
        speed: What a GPU may do to be faster.

    Raises:
        BenchmarkError: The checkpoint is damaged or of another run, or cannot be written.
    """
    on_gpu = speed if device.type == "cuda" else PLAIN
    state = _Training(_placed(model, device, on_gpu), descent, generator, device)
    network: nn.Module = torch.compile(state.model) if on_gpu.compiled else state.model  # type: ignore[assignment]
    checkpoint.resume(state)
    state.model.train()
    with numerics.training(device):
        while state.step < steps:
            images, labels = (part.to(device) for part in draw(generator))
            with _precision(device, on_gpu):
                found = loss(network, images, labels, generator)
            state.descend(found)
            progress(state.step, steps)
            checkpoint.keep(state)
    return trained(state.model, state.average)


def trained(model: Network, average: Network | None) -> Network:
    """Returns what training leaves, the average where there is one, on the CPU and in evaluation mode."""
    return (model if average is None else average).cpu().eval()


class _Training(TrainingState, Generic[Network]):
    """The network, its average, the optimizer and its schedule."""

    def __init__(self, model: Network, descent: Descent, generator: torch.Generator, device: torch.device) -> None:
        self.model = model
        self.average = None if descent.ema_decay is None else copy.deepcopy(model).requires_grad_(False)
        self._descent = descent
        self._optimizer = descent.optimizer(model.parameters())
        self._schedule = None if descent.schedule is None else descent.schedule(self._optimizer)
        parts = {"average": self.average, "optimizer": self._optimizer, "schedule": self._schedule}
        super().__init__(
            generator, device, model=model, **{name: part for name, part in parts.items() if part is not None}
        )

    def descend(self, loss: Tensor) -> None:
        """Takes a step, and moves schedule and average along."""
        self._optimizer.zero_grad()
        loss.backward()
        if self._descent.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._descent.clip)
        self._optimizer.step()
        if self._schedule is not None:
            self._schedule.step()
        if self.average is not None:
            decay = self._descent.memory(self.step)
            with torch.no_grad():
                for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                    kept.lerp_(new, 1 - decay)
        self.step += 1


def _placed(model: Network, device: torch.device, speed: Speed) -> Network:
    if speed.channels_last:
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    return model.to(device)


def _precision(device: torch.device, speed: Speed) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=speed.bf16 and torch.cuda.is_bf16_supported())
