"""Trains a base model or an oracle from scratch. The oracle's recipe is the base's, without the forgotten class."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...benchmark.problem import TensorPool
from ..common.retrained import TrainingRecipe
from . import diffusion

EMA_DECAY = 0.999
GRADIENT_CLIP = 1.0
WARM_UP_STEPS = 100


def train(
    model: nn.Module,
    pool: TensorPool,
    null_label: int,
    recipe: TrainingRecipe,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, Tensor]:
    """Trains a noise predictor with Adam, a cosine schedule and an exponential moving average of the weights.

    Args:
        model: A freshly initialized network.
        pool: The images in [-1, 1] and their labels.
        null_label: Takes the place of dropped labels.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and noise.
        progress: Called with the step and the number of steps.

    Returns:
        The averaged weights.
    """
    generator = torch.Generator().manual_seed(seed)
    schedule = diffusion.noise_schedule()
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    learning_rate = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=WARM_UP_STEPS),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps - WARM_UP_STEPS),
        ],
        [WARM_UP_STEPS],
    )
    average = copy.deepcopy(model).requires_grad_(False)
    model.train()
    for step in range(recipe.steps):
        images, labels = pool.sample(recipe.batch_size, generator)
        draw = diffusion.draw_corruption(images, generator)
        loss = diffusion.denoising_loss(model, schedule, images, labels, draw, null_label).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        learning_rate.step()
        # A short memory at first, so that the average forgets the initial weights.
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        for kept, new in zip(average.parameters(), model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        progress(step + 1, recipe.steps)
    return average.state_dict()
