"""Trains a base model or an oracle from scratch. The oracle's recipe is the base's, without the forgotten class."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ...benchmark.problem import Pool
from ..training.checkpoint import Checkpoint, TrainingState
from ..training.recipe import TrainingRecipe
from . import diffusion

EMA_DECAY = 0.999
GRADIENT_CLIP = 1.0
WARM_UP_STEPS = 100


class DiffusionTraining(TrainingState):
    """The network, its average, the optimizer and its schedule.

    Args:
        model: The network, where it is trained.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and noise.
    """

    def __init__(self, model: nn.Module, recipe: TrainingRecipe, seed: int) -> None:
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        warm_up = min(WARM_UP_STEPS, recipe.steps - 1)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
        self.learning_rate = torch.optim.lr_scheduler.SequentialLR(
            self.optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=warm_up),
                torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, recipe.steps - warm_up),
            ],
            [warm_up],
        )
        super().__init__(
            seed,
            next(model.parameters()).device,
            model=model,
            average=self.average,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
        )

    def update(self, decay: float) -> None:
        """Takes the optimizer's step and moves the average along."""
        nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        self.learning_rate.step()
        # A short memory at first, so that the average forgets the initial weights.
        decay = min(decay, (self.step + 1) / (self.step + 10))
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        self.step += 1


def train(
    model: nn.Module,
    pool: Pool,
    null_label: int,
    recipe: TrainingRecipe,
    seed: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    *,
    device: torch.device | None = None,
    ema_decay: float = EMA_DECAY,
) -> dict[str, Tensor]:
    """Trains a noise predictor with Adam, a cosine schedule and an exponential moving average of the weights.

    On a GPU the network runs compiled, channels last and in bfloat16 where autocast finds it safe; its weights and the
    optimizer stay in single precision.

    Args:
        model: A freshly initialized network.
        pool: The images in [-1, 1] and their labels.
        null_label: Takes the place of dropped labels.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and noise.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on if it was killed.
        device: Where to train; the CPU unless given.
        ema_decay: The average's memory, once it is no shorter than the run so far.

    Returns:
        The averaged weights, on the CPU.

    Raises:
        BenchmarkError: The checkpoint is damaged or of another run, or cannot be written.
    """
    device = device or torch.device("cpu")
    schedule = diffusion.noise_schedule()
    state = DiffusionTraining(_placed(model, device), recipe, seed)
    network: nn.Module = torch.compile(state.model) if device.type == "cuda" else state.model  # type: ignore[assignment]
    checkpoint.resume(state)
    state.model.train()
    while state.step < recipe.steps:
        images, labels = (part.to(device) for part in pool.sample(recipe.batch_size, state.generator))
        draw = diffusion.draw_corruption(images, state.generator)
        with _mixed_precision(device):
            loss = diffusion.denoising_loss(network, schedule, images, labels, draw, null_label).mean()
        state.optimizer.zero_grad()
        loss.backward()
        state.update(ema_decay)
        progress(state.step, recipe.steps)
        checkpoint.keep(state)
    return {name: value.cpu() for name, value in state.average.state_dict().items()}


def _placed(model: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cuda":
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    return model


def _mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(
        "cuda", dtype=torch.bfloat16, enabled=device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
