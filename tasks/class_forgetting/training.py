"""Trains a base model or an oracle from scratch. The oracle's recipe is the base's, without the forgotten class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...benchmark.measuring.device import CPU
from ...benchmark.problem import Pool
from ..data.pools import BytePool, from_bytes
from ..training import loop, resident
from ..training.checkpoint import Checkpoint
from ..training.loop import Descent, Speed
from ..training.recipe import TrainingRecipe
from ..training.resident import WAYS, Way
from . import diffusion

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

EMA_DECAY = 0.999
GRADIENT_CLIP = 1.0
WARM_UP_STEPS = 100
SPEED = Speed(bf16=True, channels_last=True, compiled=True)


def train(
    model: nn.Module,
    pool: Pool,
    null_label: int,
    recipe: TrainingRecipe,
    seed: int,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    *,
    device: torch.device = CPU,
    ema_decay: float = EMA_DECAY,
    ways: Sequence[Way] = WAYS,
) -> dict[str, Tensor]:
    """Trains a noise predictor with Adam, a cosine schedule and an exponential moving average of the weights.

    On a GPU the network runs compiled, channels last and in bfloat16 where autocast finds it safe; its weights and the
    optimizer stay in single precision. A pool of bytes moves there as a whole, and everything is drawn there.

    Args:
        model: A freshly initialized network.
        pool: The images in [-1, 1] and their labels.
        null_label: Takes the place of dropped labels.
        recipe: Steps, batch size and peak learning rate.
        seed: Of batches and noise.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on if it was killed.
        device: Where to train.
        ema_decay: The average's memory, once it is no shorter than the run so far.
        ways: How a GPU may run a step on a pool of bytes, see ``resident.train``.

    Returns:
        The averaged weights, on the CPU.

    Raises:
        BenchmarkError: The checkpoint is damaged or of another run, or cannot be written.
    """
    loss = partial(loss_of_inputs, diffusion.noise_schedule(), null_label)
    descent = Descent(partial(torch.optim.Adam, lr=recipe.lr), partial(_rates, recipe.steps), GRADIENT_CLIP, ema_decay)
    if device.type == "cuda" and isinstance(pool, BytePool):
        moved = BytePool(pool.images.to(device), pool.labels.to(device), pool.mirrored)
        trained = resident.train(
            model,
            partial(draw_inputs, moved, recipe.batch_size),
            loss,
            descent,
            steps=recipe.steps,
            generator=torch.Generator(device).manual_seed(seed),
            progress=progress,
            checkpoint=checkpoint,
            ways=ways,
        )
    else:
        trained = loop.train(
            model,
            partial(pool.sample, recipe.batch_size),
            lambda network, images, labels, generator: loss(network, images, labels, *_corruption(images, generator)),
            descent,
            steps=recipe.steps,
            generator=torch.Generator().manual_seed(seed),
            progress=progress,
            checkpoint=checkpoint,
            device=device,
            speed=SPEED,
        )
    return trained.state_dict()


def draw_inputs(pool: BytePool, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Draws images, labels and what ``draw_corruption`` draws, where pool and generator are, without the host's waiting.

    Returns:
        Images ``(B, C, H, W)`` in [-1, 1], labels, noise, time steps and which labels are dropped.
    """
    index = torch.randint(len(pool), (size,), generator=generator, device=generator.device)
    images = from_bytes(pool.images[index])
    if pool.mirrored:
        turned = torch.rand((size, 1, 1, 1), generator=generator, device=generator.device) < 0.5
        images = torch.where(turned, images.flip(-1), images)
    return images, pool.labels[index], *_corruption(images, generator)


def _corruption(images: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
    draw = diffusion.draw_corruption(images, generator)
    return draw["noise"], draw["timesteps"], draw["dropped"]


def loss_of_inputs(
    schedule: DDPMScheduler,
    null_label: int,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    noise: Tensor,
    timesteps: Tensor,
    dropped: Tensor,
) -> Tensor:
    """Returns the mean loss on what ``draw_inputs`` drew."""
    draw = {"noise": noise, "timesteps": timesteps, "dropped": dropped}
    return diffusion.denoising_loss(network, schedule, images, labels, draw, null_label).mean()


def _rates(steps: int, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    """A short rise, then half a cosine."""
    warm_up = min(WARM_UP_STEPS, steps - 1)
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=warm_up)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warm_up)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [warm_up])
