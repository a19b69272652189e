"""Trains an in-painter from scratch. The oracle's recipe is the base's, without the forgotten classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..data.pools import LabelledPool
from ..retraining.retrained import CPU
from ..training.checkpoint import Checkpoint, TrainingState
from ..training.recipe import TrainingRecipe
from .holes import Hole
from .inpainter import Filling, Inpainter, blank
from .problem import draw_holes

WEIGHT_DECAY = 0.05
GRADIENT_CLIP = 1.0
WARM_UP_SHARE = 0.1


def train(
    model: Inpainter,
    filling: Filling,
    holes: tuple[Hole, ...],
    pool: LabelledPool,
    recipe: TrainingRecipe,
    seed: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    device: torch.device = CPU,
) -> dict[str, Tensor]:
    """Trains with AdamW and one cycle of the learning rate, on the kinds of holes that the problem draws; bf16 on a GPU.

    Args:
        model: A freshly initialized network.
        filling: How it is trained.
        holes: The kinds of holes.
        pool: The images in [-1, 1] and their labels.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and holes.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on, and where it leaves its state from time to time.
        device: Where the network is trained.

    Returns:
        The weights.
    """
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.lr, total_steps=recipe.steps, pct_start=WARM_UP_SHARE
    )
    state = TrainingState(seed, device, model=model, optimizer=optimizer, schedule=schedule)
    checkpoint.resume(state)
    model.train()
    while state.step < recipe.steps:
        images, _ = pool.sample(recipe.batch_size, state.generator)
        images = images.to(device)
        draw = draw_holes(filling, holes, images, state.generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            predicted = model(blank(images, draw["hole"]), draw["hole"], **filling.inputs(images, draw["hole"], draw))
        loss = filling.error(predicted.float(), images, draw["hole"], draw).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        schedule.step()
        state.step += 1
        progress(state.step, recipe.steps)
        checkpoint.keep(state)
    return model.state_dict()
