"""Fine-tuning on the retain set alone: catastrophic forgetting at work, if anything."""

from __future__ import annotations

from torch.optim import Adam

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import descend
from ..benchmark.problem import Problem


class Finetune(Method):
    """Trains on the retain set as before. A method that does not beat it has not used the forget set."""

    name = "finetune"
    role = "reference"
    needs = frozenset({Need.RETAIN})
    update_rule = "theta <- theta - lr Adam(g_r)"
    settings_source = "Adam at the learning rate of SFRon's and SalUn's CIFAR-10 runs; steps scaled to the task."
    pitfalls = "Lowers the FID of most models, forgotten or not, so a better FID proves nothing."

    steps: int = 100
    """Steps on retain batches."""
    lr: float = 1e-4
    """Adam's learning rate."""

    def unlearn(self, problem: Problem) -> None:
        """Descends on retain batches."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for retain in problem.batches("retain", self.steps):
            descend(optimizer, problem.loss(retain).mean(), clip=1.0)
