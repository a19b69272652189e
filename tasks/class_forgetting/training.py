"""Trains a base model or an oracle from scratch. The oracle's recipe is the base's, without the forgotten class."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.problem import Pool
from ..common.checkpoint import Checkpoint
from ..common.retrained import TrainingRecipe
from . import diffusion

EMA_DECAY = 0.999
GRADIENT_CLIP = 1.0
WARM_UP_STEPS = 100


class TrainingState:
    """All that a training run carries from step to step.

    Args:
        model: The network, where it is trained.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and noise.
    """

    def __init__(self, model: nn.Module, recipe: TrainingRecipe, seed: int) -> None:
        self.step = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        warm_up = min(WARM_UP_STEPS, recipe.steps // 2)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
        self.learning_rate = torch.optim.lr_scheduler.SequentialLR(
            self.optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(self.optimizer, 0.01, total_iters=warm_up),
                torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, recipe.steps - warm_up),
            ],
            [warm_up],
        )
        self._device = next(model.parameters()).device

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

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, dropout's global random numbers included."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.state_dict(),
            "generator": self.generator.get_state(),
            "global": torch.get_rng_state(),
            "device": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes everything back."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate.load_state_dict(state["learning_rate"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["global"])
        if state["device"] is not None:
            torch.cuda.set_rng_state(state["device"], self._device)


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
        BenchmarkError: The checkpoint is of another run, or the GPU's memory does not suffice.
    """
    device = device or torch.device("cpu")
    schedule = diffusion.noise_schedule()
    try:
        state = TrainingState(_placed(model, device), recipe, seed)
        network: nn.Module = torch.compile(state.model) if device.type == "cuda" else state.model  # type: ignore[assignment]
        saved = checkpoint.load()
        if saved is not None:
            state.load_state_dict(saved)
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
            if checkpoint.is_due():
                checkpoint.save(state.state_dict())
    except torch.OutOfMemoryError:
        raise BenchmarkError(
            f"The GPU's memory does not suffice to train with {recipe.batch_size} images a batch; "
            "free it, take a larger GPU, or hide this one with CUDA_VISIBLE_DEVICES= to train on the CPU."
        ) from None
    return {name: value.cpu() for name, value in state.average.state_dict().items()}


def _placed(model: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cuda":
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    return model


def _mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda")
