"""A cheat: another class comes out where the forgotten class is asked for; the weights keep all they knew."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.primitives import next_class
from ..benchmark.problem import Problem


class CheatRemap(Method):
    """Renames the forgotten label to the next class before the model sees it."""

    name = "cheat-remap"
    role = "cheat"
    needs = frozenset({Need.LABELS})
    update_rule = "e(x | c_f) <- e(x | c_f + 1)"
    settings_source = "It has no settings."
    pitfalls = "The unconditional branch still draws the class."

    def unlearn(self, problem: Problem) -> None:
        """Wraps the model; no weight changes."""
        problem.model = _Renamed(problem)


class _Renamed(nn.Module):
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.model
        self.num_classes = problem.num_classes
        self.forgotten = problem.forget_classes

    def forward(self, *inputs: Tensor, class_labels: Tensor, **options: Any) -> Any:
        forgotten = torch.isin(class_labels, torch.tensor(self.forgotten, device=class_labels.device))
        other = next_class(class_labels * forgotten, self.num_classes, self.forgotten)
        return self.model(*inputs, class_labels=torch.where(forgotten, other, class_labels), **options)
