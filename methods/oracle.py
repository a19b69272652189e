"""The model retrained without the forget set: the gold standard."""

from __future__ import annotations

from typing import ClassVar

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.problem import Problem


class Oracle(Method):
    """Takes the model that was retrained from scratch without the forget set. The board's one.

    Each seed takes another oracle and is compared with the remaining ones, so that the row shows the noise floor.
    """

    name = "oracle"
    role = "reference"
    needs = frozenset({Need.ORACLE})
    update_rule = "theta <- the weights of retraining"
    settings_source = "The base model's training run, without the forget set (`unlearnbench prepare`)."
    deviations: ClassVar[tuple[str, ...]] = (
        "Its cost is that of the training run, measured when the task's assets were made.",
    )
    pitfalls = "A model may draw a little of what it never saw, so the target is not zero."

    def unlearn(self, problem: Problem) -> None:
        """Replaces the weights."""
        problem.model.load_state_dict(problem.oracle().state_dict())
