"""Draws samples from a noise predictor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, Diverged
from ...benchmark.numerics import FAST, computing
from ..data.pools import to_bytes
from .diffusion import make_scheduler, predict_noise

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

Prediction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps noisy images, time steps and labels to the noise prediction."""


@dataclass(frozen=True)
class Sampler:
    """How samples are drawn: part of every number's identity.

    Attributes:
        solver: ``ddpm`` is ancestral sampling, ``ddim`` and ``dpm`` (DPM-Solver++ 2M) are deterministic.
        steps: Solver steps.
        guidance: The scale ``s`` of ``eps_null + s (eps_class - eps_null)``; the papers' ``w`` is ``s - 1``.
        batch_size: Images in one batched pass; the pass itself holds those with a label twice.
        spacing: Which of the training's time steps are taken, in diffusers' words; None leaves it to the solver.
        bounded: Whether what is drawn lies in [-1, 1], as images do and latents do not; ancestral sampling clips then.
        relaxed: Lets a GPU use TF32 and fused attention kernels. For a GPU only.
        bf16: Runs the network under autocast to bfloat16; the solver stays in single precision. For a GPU only.
        channels_last: Runs the network with channels innermost in memory. For a GPU only.
        compiled: Runs the network through ``torch.compile``. For a GPU only.
    """

    solver: Literal["ddpm", "ddim", "dpm"]
    steps: int
    guidance: float
    batch_size: int = 125
    spacing: Literal["leading", "linspace"] | None = None
    bounded: bool = True
    relaxed: bool = False
    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False

    def describe(self) -> str:
        """Returns the sampler in one line; what speeds it up changes the numbers' last digits, so it is named, too."""
        plain = f"{self.solver} {self.steps} steps, guidance {self.guidance:g}, uint8"
        return ", ".join([plain, *self._accelerations()])

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
            BenchmarkError: The sampler's options are for a GPU, and the model is not on one.
        """
        return torch.cat(list(self.stream(model, labels, null_label, shape, seed)))

    def stream(
        self, model: nn.Module, labels: Tensor, null_label: int, shape: tuple[int, ...], seed: int
    ) -> Iterator[Tensor]:
        """Yields what ``sample`` returns a batch at a time, so that any number of images takes the memory of one batch."""
        for images in self.batches(model, labels, null_label, shape, seed):
            yield self.to_bytes(images).cpu()

    def batches(
        self, model: nn.Module, labels: Tensor, null_label: int, shape: tuple[int, ...], seed: int
    ) -> Iterator[Tensor]:
        """Yields what the model itself draws, images or latents, a batch at a time and on its device. See ``sample``."""
        device = next(model.parameters()).device
        # A stream of its own for what ancestral sampling draws on the way: it goes on where the initial noise ends.
        initial, later = (torch.Generator().manual_seed(seed) for _ in range(2))
        batches = labels.split(self.batch_size)
        if self.solver == "ddpm":
            for batch in batches:
                torch.randn((len(batch), *shape), generator=later)
        with self._network(model, device) as predict:
            for batch in batches:
                noise = torch.randn((len(batch), *shape), generator=initial)
                yield self._batch(predict, noise.to(device), batch.to(device), null_label, later)

    @torch.inference_mode()
    def _batch(
        self, predict: Prediction, images: Tensor, labels: Tensor, null_label: int, generator: torch.Generator
    ) -> Tensor:
        with self.computing():
            return self._solve(predict, images, labels, null_label, generator)

    def _solve(
        self, predict: Prediction, images: Tensor, labels: Tensor, null_label: int, generator: torch.Generator
    ) -> Tensor:
        scheduler = self.scheduler()
        # By number and not by mask, whose true entries the host would count in every step.
        guided = (labels != null_label).nonzero().flatten()
        conditions = torch.cat([labels, torch.full_like(guided, null_label)])
        # Moved at once: a copy to the device in every step would make the host wait for it.
        all_times = scheduler.timesteps.to(images.device)[:, None].expand(-1, len(conditions))
        for timestep, times in zip(scheduler.timesteps, all_times, strict=True):
            found = predict(torch.cat([images, images[guided]]), times, conditions)
            prediction, free = found.split([len(labels), len(guided)])
            prediction[guided] = free + self.guidance * (prediction[guided] - free)
            images = scheduler.step(prediction, timestep, images, return_dict=False, **self._randomness(generator))[0]
        if not torch.isfinite(images).all():
            raise Diverged("the model draws images that are not finite")
        return images

    def to_bytes(self, images: Tensor) -> Tensor:
        """Returns images in [-1, 1] as bytes, rounded as a PNG file would be."""
        return to_bytes(images)

    def _accelerations(self) -> list[str]:
        options = {
            "tf32 and fused attention": self.relaxed,
            "bf16": self.bf16,
            "channels-last": self.channels_last,
            "compiled": self.compiled,
        }
        return [name for name, wanted in options.items() if wanted]

    def computing(self) -> AbstractContextManager[None]:
        """Returns what has a GPU compute as the sampler asks: for its passes, and for what turns latents into images."""
        return computing(FAST) if self.relaxed else nullcontext()

    @contextmanager
    def _network(self, model: nn.Module, device: torch.device) -> Iterator[Prediction]:
        """Yields the noise prediction with the options in force, and leaves the model as it was."""
        self.check(device)
        network = cast(nn.Module, torch.compile(model)) if self.compiled else model

        def predict(noisy: Tensor, times: Tensor, conditions: Tensor) -> Tensor:
            if self.channels_last:
                noisy = noisy.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                return predict_noise(network, noisy, times, conditions).float()

        if self.channels_last:
            _lay_out(model, torch.channels_last)
        try:
            yield predict
        finally:
            if self.channels_last:
                _lay_out(model, torch.contiguous_format)

    def fast(self) -> Self:
        """Returns the same sampler with all that makes it faster on a GPU."""
        return replace(self, bf16=True, channels_last=True, compiled=True)

    def check(self, device: torch.device) -> None:
        """Raises unless the sampler can draw on a device.

        Raises:
            BenchmarkError: Its options are for a GPU.
        """
        options = self._accelerations()
        if options and device.type != "cuda":
            raise BenchmarkError(
                f"The sampler's {', '.join(options)} is for a GPU and brings nothing on '{device.type}'; "
                "leave out what asks for it, such as `--set fast_sampling=true`, or run on a CUDA device."
            )

    def scheduler(self) -> DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler:
        """Returns the solver, its time steps set."""
        options: dict[str, Any] = (
            {} if self.solver == "dpm" else {"clip_sample": self.solver == "ddpm" and self.bounded}
        )
        if self.spacing is not None:
            options["timestep_spacing"] = self.spacing
        scheduler = make_scheduler(self.solver, **options)
        scheduler.set_timesteps(self.steps)
        return scheduler

    def _randomness(self, generator: torch.Generator) -> dict[str, torch.Generator]:
        return {"generator": generator} if self.solver == "ddpm" else {}


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    # Weights that inference mode made could not be trained any more, and methods sample in the middle of unlearning.
    with torch.inference_mode(False):
        model.to(memory_format=memory_format)  # type: ignore[call-overload]
