"""Trains an in-painter from scratch. The oracle's recipe is the base's, without the forgotten classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ...benchmark.measuring.device import CPU
from ..data.pools import LabelledPool
from ..training import loop
from ..training.checkpoint import Checkpoint
from ..training.loop import Descent, Speed
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

    def loss(network: nn.Module, images: Tensor, _: Tensor, generator: torch.Generator) -> Tensor:
        draw = draw_holes(filling, holes, images, generator)
        hole = draw["hole"]
        predicted = network(blank(images, hole), hole, **filling.inputs(images, hole, draw))
        return filling.error(predicted.float(), images, hole, draw).mean()

    optimizer = partial(torch.optim.AdamW, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    cycle = partial(
        torch.optim.lr_scheduler.OneCycleLR, max_lr=recipe.lr, total_steps=recipe.steps, pct_start=WARM_UP_SHARE
    )
    trained = loop.train(
        model,
        partial(pool.sample, recipe.batch_size),
        loss,
        Descent(optimizer, cycle, GRADIENT_CLIP),
        steps=recipe.steps,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
        checkpoint=checkpoint,
        device=device,
        speed=Speed(bf16=True),
    )
    return trained.state_dict()
