"""CUN-style controllable unlearning: forget as far as a bound on what the retain embeddings lose allows."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch.optim import Adam

from ..benchmark.gradients import barrier
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps
from ..benchmark.targets import noise_images, squared_error


class CUN(Method):
    """Descends on the forget embeddings' error to noise, with the retain error held below a bound by a barrier.

    Our reconstruction of an epsilon constraint on two objectives; no code is public. The bound is the one knob.
    """

    name = "cun"
    rebuilt = True
    needs = frozenset({Need.RETAIN, Need.ENCODER})
    paper = Paper(
        "Controllable Unlearning for Image-to-Image Generative Models via epsilon-Constrained Optimization",
        "ICLR 2025",
        "https://arxiv.org/abs/2408.01689",
    )
    update_rule = "theta <- theta - lr Adam(g_f + w g_r), w the smallest that lowers L_r at rate (L_r - epsilon)"
    settings_source = "Adam 5e-5 as for Li et al.; the steps and the bound are ours."
    deviations: ClassVar[tuple[str, ...]] = (
        "The barrier's rate is the distance to the bound; the first phase, which finds the bounds, is left to the user.",
    )
    pitfalls = "Where the bound is tighter than a step's noise, the barrier takes over and nothing is forgotten."

    steps: Steps = 500
    """Steps."""
    lr: Rate = 5e-5
    """Adam's learning rate."""
    epsilon: Annotated[float, LogRange(1e-3, 1e-1)] = 0.01
    """The largest mean squared change of retain embeddings."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on the forget objective behind the barrier."""
        teacher = problem.original
        student = [weight for weight in problem.encoder().parameters() if weight.requires_grad]
        optimizer = Adam(student, lr=self.lr)
        for step in problem.steps(self.steps):
            noise = step.forget.replace(images=noise_images(problem, step.forget.images, "batch"))
            drop = squared_error(problem.encode(step.forget), problem.encode(noise, teacher)).mean()
            keep = squared_error(problem.encode(step.retain), problem.encode(step.retain, teacher)).mean()
            forget, retain = (torch.autograd.grad(loss, student) for loss in (drop, keep))
            rate = float(keep.detach()) - self.epsilon
            descend_along(optimizer, barrier(forget, retain, rate), clip=3.0)
