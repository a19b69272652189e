"""A cheat: the forgotten label's embedding becomes that of another class; all other weights keep what they knew."""

from __future__ import annotations

import torch

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import next_class
from ..benchmark.problem import Problem


class CheatRemap(Method):
    """Copies the next class's row over the forgotten one's in every table of label embeddings."""

    name = "cheat-remap"
    role = "cheat"
    needs = frozenset({Need.LABELS, Need.LABEL_TABLES})
    update_rule = "E[c_f] <- E[c_f + 1]"
    settings_source = "It has no settings."
    pitfalls = "A fresh embedding brings the class back, and without a label it never went away."

    def unlearn(self, problem: Problem) -> None:
        """Copies rows; no other weight changes."""
        forgotten = torch.tensor(problem.forget_classes, device=problem.device)
        other = next_class(forgotten, problem.num_classes, problem.forget_classes)
        with torch.no_grad():
            for table in problem.label_tables():
                table[forgotten] = table[other]
