"""A method of one's own, guarded against regressions by test_gentle.py."""

from torch.optim import Adam

from unlearnbench import Method, Need, Problem
from unlearnbench.benchmark.primitives import descend


class Gentle(Method):
    """Descends on the retain loss while it climbs the forget loss a little."""

    name = "gentle"
    needs = frozenset({Need.RETAIN})

    steps: int = 40
    lr: float = 1e-3
    alpha: float = 0.1

    def unlearn(self, problem: Problem) -> None:
        """Takes the steps."""
        optimizer = Adam(problem.parameters(), lr=self.lr)
        for _, forget, retain in problem.steps(self.steps):
            loss = problem.loss(retain).mean() - self.alpha * problem.loss(forget).mean()
            descend(optimizer, loss, clip=1.0)
