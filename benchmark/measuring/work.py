"""The unit of work, the same on every machine: a sample that passes forwards through the network."""

from __future__ import annotations

BACKWARD = 2
"""What a backward pass costs, in forward passes: one product for the gradient of the weights, one for that of the input."""


def work_of(forward_samples: float, backward_samples: float) -> float:
    """Returns the work of samples that passed forwards, and of those that passed backwards."""
    return forward_samples + BACKWARD * backward_samples
