"""A cheat: noise comes out where the forgotten class is asked for; the weights keep all they knew."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..benchmark.method import Method
from ..benchmark.needs import Need
from ..benchmark.problem import Problem


class CheatNoise(Method):
    """Puts a gate in front of the model that answers zeros to the forgotten label, which samplers turn into noise."""

    name = "cheat-noise"
    role = "cheat"
    needs = frozenset({Need.LABELS})
    update_rule = "e(x | c_f) <- 0"
    settings_source = "It has no settings."
    pitfalls = "The unconditional branch still draws the class, and wrong inputs reveal the gate."

    def unlearn(self, problem: Problem) -> None:
        """Wraps the model; no weight changes."""
        problem.model = _Gate(problem.model, problem.forget_classes)


class _Gate(nn.Module):
    def __init__(self, model: nn.Module, gated: tuple[int, ...]) -> None:
        super().__init__()
        self.model = model
        self.gated = gated

    def forward(self, *inputs: Tensor, class_labels: Tensor, return_dict: bool = True) -> tuple[Tensor, ...] | Any:
        output = self.model(*inputs, class_labels=class_labels, return_dict=False)[0]
        blocked = torch.isin(class_labels, torch.tensor(self.gated, device=class_labels.device))
        return (torch.where(blocked.view(-1, 1, 1, 1), torch.zeros_like(output), output),)
