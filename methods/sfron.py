"""SFRon: saliency, forgetting and remain-preserving steps, fast and slow."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam, Optimizer

from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import cosine_decay, descend, inverse_loss_weights, mean_gradient, ratio_mask
from ..benchmark.problem import Problem
from ..benchmark.search_space import LogRange, Rate, Steps


class SFRon(Method):
    """Alternates a reweighted ascent step on the salient weights with an ordinary step on the retain set."""

    name = "sfron"
    needs = frozenset({Need.RETAIN})
    paper = Paper(
        "Unified Gradient-Based Machine Unlearning with Remain Geometry Enhancement",
        "NeurIPS 2024",
        "https://arxiv.org/abs/2409.19732",
    )
    update_rule = "theta <- theta + lr Adam(M a_k g_f[w]);  theta <- theta - lr Adam(g_r)"
    settings_source = (
        "The released CIFAR-10 configuration: Adam 1e-4, scale 10 with cosine decay, lambda 0.5, gamma 1, clip 1. 50 steps "
        "are those reported; the released configuration goes on to 150, over which its cosine decays."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "The Fisher information is that of the training loss, not of the guided prediction.",
        "Weights outside the mask stay put in forget steps; the released code lets Adam's momentum move them.",
        "In the Fisher information the clip acts on the mean loss, and a short last batch counts as a whole one.",
        "No averaging of weights: the released code's rate makes the average equal to the latest weights.",
    )
    pitfalls = "What the forgotten label draws may collapse to one shape: ascent says where not to go, not where to."

    steps: Steps = 50
    """Pairs of a forget and a retain step."""
    lr: Rate = 1e-4
    """Adam's learning rate, one optimizer for both."""
    scale: float = 10.0
    """Factor of the forget loss, decaying to zero along a cosine."""
    temper: float = 0.5
    """How strongly small losses weigh (the paper's lambda)."""
    threshold: Annotated[float, LogRange(0.3, 10.0)] = 1.0
    """Smallest ratio of forget to retain Fisher information of a salient weight (the paper's gamma)."""

    def unlearn(self, problem: Problem) -> None:
        """Computes the mask once, then alternates."""
        forget_fisher, retain_fisher = (
            mean_gradient(problem, problem.epoch(pool), clip=1.0, power=2) for pool in ("forget", "retain")
        )
        mask = ratio_mask(forget_fisher, retain_fisher, self.threshold)
        climb, keep = self.optimizers(problem)
        for step in problem.steps(self.steps):
            # Sums over elements, as in the released code: the clip then sets the length of nearly every gradient.
            losses = problem.loss(step.forget) * step.forget.elements
            weights = self.scale * cosine_decay(step.number, self.steps) * inverse_loss_weights(losses, self.temper)
            descend(climb, -(weights * losses).mean(), clip=1.0, mask=mask)
            descend(keep, (problem.loss(step.retain) * step.retain.elements).mean(), clip=1.0)

    def optimizers(self, problem: Problem) -> tuple[Optimizer, Optimizer]:
        """Returns the optimizers of the forget and of the retain steps: one for both."""
        shared = Adam(problem.parameters(), lr=self.lr)
        return shared, shared
