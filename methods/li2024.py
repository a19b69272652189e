"""Li et al.'s image-to-image unlearning: the encoder sends forget images where it used to send noise."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Batch, Problem
from ..benchmark.search_space import Choice, LogRange, Rate, Steps
from ..benchmark.targets import Noise, noise_images, squared_error


class EncoderMethod(Method):
    """Trains the encoder alone: retain embeddings stay the original's, forget embeddings become what ``target`` says.

    The decoder stays bit-identical. Student and teacher see the same hole, since it belongs to the batch.
    """

    needs = frozenset({Need.RETAIN, Need.ENCODER})
    paper = Paper(
        "Machine Unlearning for Image-to-Image Generative Models", "ICLR 2024", "https://arxiv.org/abs/2402.00351"
    )
    settings_source = (
        "The released code: alpha 0.25, Adam (0.9, 0.95), 5e-5, clip 3, batch noise; 1,000 steps are ours."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "The encoder's own weights alone move; both released forks let parts of the decoder move, too.",
        "The learning rate falls along a cosine from the start, without five epochs of warm-up before.",
        "No weight decay, which would move the student even with alpha 0.",
    )
    steps: Steps = 1000
    """Joint steps."""
    lr: Rate = 5e-5
    """Adam's learning rate at the start; it falls to zero along a cosine."""
    alpha: Annotated[float, LogRange(0.01, 10.0)] = 0.25
    """Weight of the forget term."""
    retain_weight: float = 1.0
    """Weight of the retain term; 0 does without retain data, and a task's retain pool may be a proxy for the real one."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on both embedding errors."""
        teacher = problem.original
        optimizer = Adam(problem.encoder().parameters(), lr=self.lr, betas=(0.9, 0.95))
        schedule = CosineAnnealingLR(optimizer, max(self.steps, 1))
        for step in problem.steps(self.steps):
            keep = squared_error(problem.encode(step.retain), problem.encode(step.retain, teacher))
            drop = squared_error(problem.encode(step.forget), self.target(problem, step.forget))
            descend(optimizer, self.retain_weight * keep.mean() + self.alpha * drop.mean(), clip=3.0)
            schedule.step()

    @abstractmethod
    def target(self, problem: Problem, forget: Batch) -> Tensor:
        """Returns where forget embeddings are sent, ``(B, ...)``; taken as fixed."""


class Li2024(EncoderMethod):
    """Sends forget embeddings where the original sends noise behind the same hole."""

    name = "li2024"
    update_rule = "L = |E(x_r) - E0(x_r)|^2 + alpha |E(x_f) - E0(n)|^2 over the encoder E; n noise, E0 the original"
    pitfalls = (
        "The public encoder in front of the unchanged decoder brings everything back; noise reveals what was forgotten."
    )

    noise: Annotated[Noise, Choice(("batch", "uniform", "normal"))] = "batch"
    """What noise the forget embeddings become."""

    def target(self, problem: Problem, forget: Batch) -> Tensor:
        """See ``EncoderMethod.target``: the original's embeddings of noise."""
        noise = forget.replace(images=noise_images(problem, forget.images, self.noise))
        return problem.encode(noise, problem.original)
