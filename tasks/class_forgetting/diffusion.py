"""A class-conditional noise-prediction model: its noise schedule and its training loss.

Any module with the call ``model(noisy, timesteps, class_labels=labels)`` of diffusers' class-conditional networks serves;
the label ``num_classes`` is the null class of classifier-free guidance (Ho and Salimans, 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

TRAIN_TIMESTEPS = 1000
LABEL_DROP = 0.1
"""The share of samples trained without their label (SFRon, SalUn, Selective Amnesia: 0.1)."""


def noise_schedule() -> DDPMScheduler:
    """Returns the linear schedule of Ho et al. (2020): beta from 1e-4 to 0.02 in 1,000 steps."""
    return make_scheduler("ddpm")


def without_label_dropout(network: nn.Module) -> nn.Module:
    """Returns a DiT that drops no labels by itself: the batch's draw says which are dropped, for teacher and student alike."""
    from diffusers.models.embeddings import LabelEmbedding

    for module in network.modules():
        if isinstance(module, LabelEmbedding):
            module.dropout_prob = 0.0
    return network


def predict_noise(model: nn.Module, noisy: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
    """Returns the model's noise prediction, ``(B, C, H, W)``; a network that learns the variance, too, gives it behind."""
    output = model(noisy, timesteps, class_labels=labels, return_dict=False)[0]
    assert isinstance(output, Tensor)
    return output[:, : noisy.shape[1]]


def draw_corruption(images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Draws noise, antithetic time steps (half of them ``t``, half ``T - 1 - t``) and which labels are dropped."""
    count, at = len(images), generator.device
    half = torch.randint(TRAIN_TIMESTEPS, ((count + 1) // 2,), generator=generator, device=at)
    draw = {
        "noise": torch.randn(images.shape, generator=generator, device=at),
        "timesteps": torch.cat([half, TRAIN_TIMESTEPS - 1 - half])[:count],
        "dropped": torch.rand(count, generator=generator, device=at) < LABEL_DROP,
    }
    return {name: value.to(images.device) for name, value in draw.items()}


def condition(labels: Tensor, draw: Mapping[str, Tensor], null_label: int) -> Tensor:
    """Returns the labels with the dropped ones replaced by the null label."""
    return labels.masked_fill(draw["dropped"], null_label)


def denoising_loss(
    model: nn.Module,
    schedule: DDPMScheduler,
    images: Tensor,
    labels: Tensor,
    draw: Mapping[str, Tensor],
    null_label: int,
) -> Tensor:
    """Returns the squared error of the noise prediction, ``(B,)``, the mean over an image's elements.

    The published code of SFRon, SalUn and Selective Amnesia sums over the elements instead: C x H x W times as much.
    """
    noisy = schedule.add_noise(images, draw["noise"], draw["timesteps"])
    prediction = predict_noise(model, noisy, draw["timesteps"], condition(labels, draw, null_label))
    return (prediction - draw["noise"]).square().flatten(1).mean(1)


def make_scheduler(solver: str, **options: Any) -> Any:
    """Returns one of diffusers' schedulers. The first one, a problem's noise schedule, loads all, so that no clock sees it.

    It is not made from another one's configuration, of which diffusers drops every field that was left at its default.
    """
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    classes = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm": DPMSolverMultistepScheduler}
    return classes[solver](num_train_timesteps=TRAIN_TIMESTEPS, beta_start=1e-4, beta_end=0.02, **options)
