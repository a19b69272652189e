"""Trains an in-painter from scratch. The oracle's recipe is the base's, without the forgotten classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..common.checkpoint import Checkpoint
from ..common.pools import LabelledPool
from ..common.retrained import CPU, TrainingRecipe
from .holes import Hole
from .inpainter import Inpainter, blank
from .problem import draw_holes, hole_error

WEIGHT_DECAY = 0.05
GRADIENT_CLIP = 1.0
WARM_UP_SHARE = 0.1


def train(
    model: Inpainter,
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
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.lr, total_steps=recipe.steps, pct_start=WARM_UP_SHARE
    )
    first = 0
    kept = checkpoint.load()
    if kept is not None:
        first = int(kept["step"])
        for part, state in ((model, "model"), (optimizer, "optimizer"), (schedule, "schedule")):
            part.load_state_dict(kept[state])
        generator.set_state(kept["generator"])
    model.train()
    for step in range(first, recipe.steps):
        images, _ = pool.sample(recipe.batch_size, generator)
        images = images.to(device)
        draw = draw_holes(type(model), holes, images, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            predicted = model(blank(images, draw["hole"]), draw["hole"], **model.inputs(images, draw["hole"], draw))
        loss = hole_error(predicted.float(), model.target(images, draw), draw["hole"]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        schedule.step()
        progress(step + 1, recipe.steps)
        if checkpoint.is_due():
            checkpoint.save(
                {
                    "step": step + 1,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "generator": generator.get_state(),
                }
            )
    return model.state_dict()
