"""The model as it is: what no unlearning reaches."""

from __future__ import annotations

from ..benchmark.method import Method
from ..benchmark.problem import Problem


class Original(Method):
    """Does nothing. The board's zero: every score is measured from here."""

    name = "original"
    role = "reference"
    update_rule = "theta <- theta"
    settings_source = "It has no settings."
    pitfalls = "None: it is where every method starts."

    def unlearn(self, problem: Problem) -> None:
        """Leaves the model alone."""
