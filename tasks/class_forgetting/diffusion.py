"""A class-conditional noise-prediction model: its training loss and its guided sampler.

Any module with the call ``model(noisy, timesteps, class_labels=labels)`` of diffusers' class-conditional networks serves;
the label ``num_classes`` is the null class of classifier-free guidance (Ho and Salimans, 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.models.embeddings import LabelEmbedding
from torch import Tensor, nn

from ...benchmark.errors import Diverged

TRAIN_TIMESTEPS = 1000
LABEL_DROP = 0.1
"""The share of samples trained without their label (SFRon, SalUn, Selective Amnesia: 0.1)."""


def noise_schedule() -> DDPMScheduler:
    """Returns the linear schedule of Ho et al. (2020): beta from 1e-4 to 0.02 in 1,000 steps."""
    return DDPMScheduler(num_train_timesteps=TRAIN_TIMESTEPS, beta_start=1e-4, beta_end=0.02)


def without_label_dropout(network: nn.Module) -> nn.Module:
    """Returns a DiT that drops no labels by itself: the batch's draw says which are dropped, for teacher and student alike."""
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
    count = len(images)
    half = torch.randint(TRAIN_TIMESTEPS, ((count + 1) // 2,), generator=generator)
    draw = {
        "noise": torch.randn(images.shape, generator=generator),
        "timesteps": torch.cat([half, TRAIN_TIMESTEPS - 1 - half])[:count],
        "dropped": torch.rand(count, generator=generator) < LABEL_DROP,
    }
    return {name: value.to(images.device) for name, value in draw.items()}


def condition(labels: Tensor, draw: Mapping[str, Tensor], null_label: int) -> Tensor:
    """Returns the labels with the dropped ones replaced by the null label."""
    return torch.where(draw["dropped"], null_label, labels)


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


@dataclass(frozen=True)
class Sampler:
    """How samples are drawn: part of every number's identity.

    Attributes:
        solver: ``ddpm`` is ancestral sampling, ``ddim`` and ``dpm`` (DPM-Solver++ 2M) are deterministic.
        steps: Solver steps.
        guidance: The scale ``s`` of ``eps_null + s (eps_class - eps_null)``; the papers' ``w`` is ``s - 1``.
        batch_size: Images in one batched pass; the pass itself holds twice as many.
    """

    solver: Literal["ddpm", "ddim", "dpm"]
    steps: int
    guidance: float
    batch_size: int = 125

    def describe(self) -> str:
        """Returns the sampler in one line."""
        return f"{self.solver} {self.steps} steps, guidance {self.guidance:g}, uint8"

    @torch.inference_mode()
    def sample(self, model: nn.Module, labels: Tensor, null_label: int, shape: tuple[int, ...], seed: int) -> Tensor:
        """Draws one image a label.

        The noise depends on the seed and the position only, so that models are compared on the same noise.

        Args:
            model: The noise predictor.
            labels: ``(N,)`` classes; the null label draws unconditionally.
            null_label: The label of the null class.
            shape: ``(C, H, W)`` of an image.
            seed: Of the noise.

        Returns:
            ``(N, C, H, W)`` bytes, 0 to 255, rounded as a PNG file would be.

        Raises:
            Diverged: An image is not finite.
        """
        device = next(model.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn((len(labels), *shape), generator=generator)
        batches = zip(noise.split(self.batch_size), labels.split(self.batch_size), strict=True)
        return torch.cat([self._batch(model, x.to(device), y.to(device), null_label, generator) for x, y in batches])

    def _batch(
        self, model: nn.Module, images: Tensor, labels: Tensor, null_label: int, generator: torch.Generator
    ) -> Tensor:
        scheduler = self._scheduler()
        unconditional = bool((labels == null_label).all())
        conditions = labels if unconditional else torch.cat([labels, torch.full_like(labels, null_label)])
        copies = len(conditions) // len(labels)
        for timestep in scheduler.timesteps:
            times = timestep.to(images.device).expand(len(conditions))
            prediction = predict_noise(model, images.repeat(copies, 1, 1, 1), times, conditions)
            if not unconditional:
                conditional, free = prediction.chunk(2)
                prediction = free + self.guidance * (conditional - free)
            images = scheduler.step(prediction, timestep, images, return_dict=False, **self._randomness(generator))[0]
        if not torch.isfinite(images).all():
            raise Diverged("the model draws images that are not finite")
        return self.to_bytes(images).cpu()

    def to_bytes(self, images: Tensor) -> Tensor:
        """Returns images ``(N, C, H, W)`` in [-1, 1] as bytes, rounded as a PNG file would be."""
        return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)

    def scheduler_options(self) -> dict[str, Any]:
        """Returns what the solver's scheduler is told beside the noise schedule."""
        return {"clip_sample": self.solver == "ddpm"}

    def _scheduler(self) -> DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler:
        classes = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm": DPMSolverMultistepScheduler}
        config = {**noise_schedule().config, **self.scheduler_options()}
        scheduler = classes[self.solver].from_config(config)
        scheduler.set_timesteps(self.steps)
        return scheduler

    def _randomness(self, generator: torch.Generator) -> dict[str, torch.Generator]:
        return {"generator": generator} if self.solver == "ddpm" else {}
