"""The problem of a latent DiT: class forgetting whose images are scaled latents, with the loss that DiT was trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...benchmark.needs import Need
from ...benchmark.problem import Batch
from ..class_forgetting import diffusion
from ..class_forgetting.problem import ClassForgettingProblem
from .variance import variance_bound

Precision = Literal["fp32", "bf16"]


class LatentDiTProblem(ClassForgettingProblem):
    """See ``Problem``. An image is a latent of the autoencoder times its scale, which makes the deviation about one.

    Args:
        model: The transformer.
        *args: See ``Problem``.
        variance_loss: Whether the loss has the term of the learned variance.
        precision: Of the passes through the model; weights, gradients and sums stay in single precision.
        **options: See ``ClassForgettingProblem``.
    """

    offers = ClassForgettingProblem.offers - {Need.ORACLE}
    value_range = (-4.0, 4.0)
    """Four deviations; latents have no bounds of their own."""

    def __init__(self, model: nn.Module, *args: Any, variance_loss: bool, precision: Precision, **options: Any) -> None:
        super().__init__(model, *args, **options)
        self._variance_loss = variance_loss
        self._precision = precision

    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.loss``: the squared error of the noise prediction plus the term of the variance, as DiT was trained.

        DiT's training (``create_diffusion`` with ``learn_sigma`` and no rescaling, from ADM's code) adds the two with weight
        one. A model that learns no variance has the first alone.
        """
        draw, channels = batch.draw, batch.images.shape[1]
        noisy = self._schedule.add_noise(batch.images, draw["noise"], draw["timesteps"])
        conditions = diffusion.condition(batch.labels, draw, self.num_classes)
        network = in_precision(model or self.model, self._precision)
        output: Tensor = network(noisy, draw["timesteps"], class_labels=conditions, return_dict=False)[0]
        noise, fraction = output[:, :channels], output[:, channels:]
        error = (noise - draw["noise"]).square().flatten(1).mean(1)
        if not self._variance_loss or not fraction.shape[1]:
            return error
        return error + variance_bound(self._schedule, batch.images, noisy, draw["timesteps"], noise.detach(), fraction)

    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.predict``: the noise prediction without the variance behind it, ``(B, C, H, W)``."""
        return super().predict(batch, labels, in_precision(model or self.model, self._precision))

    def warm_up(self) -> None:
        """See ``Problem.warm_up``: one pass forwards and back on noise. A copy of the model might not fit."""
        images = torch.randn((self.batch_size, *self._shape)).to(self.device)
        draw = diffusion.draw_corruption(images, torch.Generator().manual_seed(0))
        labels = torch.zeros(self.batch_size, dtype=torch.long, device=self.device)
        self.loss(Batch(images, labels, draw)).mean().backward()
        self.model.zero_grad(set_to_none=True)

    def training_step(self, fresh: Callable[[], nn.Module]) -> Callable[[], None]:
        """See ``Problem.training_step``: the gradient alone, of the network that was given. A second one might not fit."""
        model, batch = self._given, self._noise()

        def step() -> None:
            try:
                self.loss(batch, model).mean().backward()
            finally:
                model.zero_grad(set_to_none=True)

        return step

    def _generate(self, labels: Tensor, model: nn.Module, seed: int) -> Tensor:
        network = in_precision(model, self._precision)
        drawn = self._sampler.batches(network, labels.to(self.device), self.num_classes, self._shape, seed)
        return torch.cat(list(drawn))


class _InPrecision(nn.Module):
    """A model whose passes run in bfloat16 where that is safe, and which answers in single precision."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **options: Any) -> tuple[Tensor]:
        """Passes through the model."""
        with torch.autocast(next(self.parameters()).device.type, torch.bfloat16):
            output: Tensor = self.model(*args, **options)[0]
        return (output.float(),)


def in_precision(model: nn.Module, precision: Precision) -> nn.Module:
    """Returns a model that computes in a precision, over the same weights."""
    return model if precision == "fp32" else _InPrecision(model)
