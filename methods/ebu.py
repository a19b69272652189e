"""EBU, reconstructed: forget towards noise and keep the original, each with the weights that matter to it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch.optim import Adam

from ..benchmark.gradients import gradient_of, min_norm
from ..benchmark.method import Method, Paper
from ..benchmark.needs import Need
from ..benchmark.primitives import descend_along, top_fraction_mask
from ..benchmark.problem import Problem
from ..benchmark.search_space import Range, Rate, Steps
from ..benchmark.targets import as_noise, as_original


class EBU(Method):
    """Each loss moves its own most salient weights, and where they overlap the shortest combination of both does.

    Our reconstruction: neither text nor code is public, only the abstract and the reviews of the submission.
    """

    name = "ebu"
    rebuilt = True
    needs = frozenset({Need.RETAIN, Need.LABELS})
    paper = Paper(
        "Efficient Machine Unlearning for Deep Generative Models by Mitigating Optimization Conflicts",
        "ICLR 2025 submission, withdrawn",
        "https://openreview.net/forum?id=A2muypu61H",
    )
    update_rule = "theta <- theta - lr Adam(M_f g_f + M_r g_r; on M_f and M_r the min-norm point of both; else 0)"
    settings_source = (
        "None are public. All are ours: Adam 1e-4 as for the baselines of SFRon, 150 steps, 40 % of the weights."
    )
    deviations: ClassVar[tuple[str, ...]] = (
        "A reconstruction from the abstract and the reviews; the authors' method may differ in any detail.",
        "Forget loss: the training loss on Gaussian noise under the forgotten label, for the divergence to a normal.",
        "Retain loss: distillation of the original's predictions, for the divergence to the initial model.",
        "The min-norm point stands for the interior point that balances the gradients; masks are made anew each step.",
    )
    pitfalls = "Noise comes out for the forgotten label, which retraining would not draw."

    steps: Steps = 150
    """Steps."""
    lr: Rate = 1e-4
    """Adam's learning rate."""
    fraction: Annotated[float, Range(0.1, 0.9)] = 0.4
    """Share of the weights that matter to each loss."""

    def unlearn(self, problem: Problem) -> None:
        """Descends along the composed direction."""
        problem.original  # noqa: B018 - it is copied before the first update
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            forget = gradient_of(problem, as_noise(problem, step.forget, "normal").mean())
            retain = gradient_of(problem, as_original(problem, step.retain).mean())
            ours, theirs = (top_fraction_mask([x.abs() for x in g], self.fraction) for g in (forget, retain))
            shared = [a & b for a, b in zip(ours, theirs, strict=True)]
            both = min_norm(*([x * s for x, s in zip(g, shared, strict=True)] for g in (forget, retain)))
            direction = [
                f * (a & ~s) + r * (b & ~s) + m
                for f, r, a, b, s, m in zip(forget, retain, ours, theirs, shared, both, strict=True)
            ]
            moving = [a | b for a, b in zip(ours, theirs, strict=True)]
            descend_along(optimizer, direction, clip=1.0, mask=moving)
