"""The part of the training loss that teaches a model its variance (Nichol and Dhariwal, 2021), as DiT was trained with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import DDPMScheduler

BITS = 1 / math.log(2)
LEVEL = 1 / 255
"""Half a step between two grey levels of an image in [-1, 1]; the released code of DiT uses it on latents, too."""


def variance_bound(
    schedule: DDPMScheduler, clean: Tensor, noisy: Tensor, timesteps: Tensor, noise: Tensor, fraction: Tensor
) -> Tensor:
    """Returns a time step's term of the variational bound, ``(B,)``, in bits an element.

    The Kullback-Leibler divergence from the posterior ``q(x_{t-1} | x_t, x_0)`` to the model's step, and at the first step
    the negative log-likelihood of the data, to which a grey level's width is given.

    Args:
        schedule: The training's noise schedule.
        clean: ``(B, C, H, W)``.
        noisy: The same with the noise of its time step.
        timesteps: ``(B,)``.
        noise: The model's noise prediction. The released code detaches it here, so that the bound moves the variance alone.
        fraction: What the model says of its variance, in [-1, 1]: between the smallest and the largest, on a logarithmic scale.
    """
    terms = _Terms(schedule, timesteps, clean)
    mean = terms.posterior_mean(terms.denoised(noisy, noise), noisy)
    share = (fraction + 1) / 2
    log_variance = share * terms.largest + (1 - share) * terms.smallest
    distance = terms.posterior_mean(clean, noisy) - mean
    divergence = 0.5 * (
        log_variance
        - terms.smallest
        + torch.exp(terms.smallest - log_variance)
        + distance.square() * torch.exp(-log_variance)
        - 1
    )
    first = (timesteps == 0).view(-1, 1, 1, 1)
    return BITS * torch.where(first, -_log_likelihood(clean, mean, log_variance), divergence).flatten(1).mean(1)


class _Terms:
    """The coefficients of the time steps of a batch, each ``(B, 1, 1, 1)``."""

    def __init__(self, schedule: DDPMScheduler, timesteps: Tensor, like: Tensor) -> None:
        products = schedule.alphas_cumprod.double()
        before = torch.cat([torch.ones(1, dtype=torch.float64), products[:-1]])
        betas = schedule.betas.double()
        variances = betas * (1 - before) / (1 - products)
        # The posterior of the first step is a point; like the released code this takes the second step's variance.
        variances[0] = variances[1]

        def at(values: Tensor) -> Tensor:
            return values.to(like.device)[timesteps].to(like.dtype).view(-1, 1, 1, 1)

        self.smallest, self.largest = at(variances.log()), at(betas.log())
        self._clean = at(betas * before.sqrt() / (1 - products))
        self._noisy = at((1 - before) * (1 - betas).sqrt() / (1 - products))
        self._signal, self._noise = at(products.sqrt()), at((1 - products).sqrt())

    def denoised(self, noisy: Tensor, noise: Tensor) -> Tensor:
        """Returns what a noise prediction says the clean image is."""
        return (noisy - self._noise * noise) / self._signal

    def posterior_mean(self, clean: Tensor, noisy: Tensor) -> Tensor:
        """Returns the mean of ``q(x_{t-1} | x_t, x_0)``."""
        return self._clean * clean + self._noisy * noisy


def _log_likelihood(clean: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The log-probability of the grey level around each value under a normal distribution; the outermost levels are open."""
    precision = torch.exp(-0.5 * log_variance)
    above = torch.special.ndtr(precision * (clean - mean + LEVEL))
    below = torch.special.ndtr(precision * (clean - mean - LEVEL))
    inside = torch.where(clean < -0.999, above, torch.where(clean > 0.999, 1 - below, above - below))
    return inside.clamp(min=1e-12).log()
