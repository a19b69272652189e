"""The arithmetic of two gradients: one projection, one shortest combination, one barrier. Methods combine these.

A gradient is a list with one tensor a weight, in the order of ``problem.parameters()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .problem import Problem

Gradient = list[Tensor]
When = Literal["always", "conflict"]
Scope = Literal["global", "layer", "tensor"]

_TINY = 1e-30


def gradient_of(problem: Problem, loss: Tensor, *, differentiable: bool = False) -> Gradient:
    """Returns the gradient of a scalar loss with respect to ``problem.parameters()``.

    Args:
        problem: Gives the weights.
        loss: A scalar.
        differentiable: Keeps the graph, so that a loss made of the gradient can be differentiated again.
    """
    found = torch.autograd.grad(
        loss, problem.parameters(), create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return list(found)


def twice_differentiable() -> AbstractContextManager[None]:
    """Returns a context in which gradients can be differentiated: the fused attention kernels have no second derivative."""
    context: AbstractContextManager[None] = sdpa_kernel(SDPBackend.MATH)
    return context


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Returns the inner product of two gradients."""
    total: Tensor = torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()
    return total


def plus(a: Sequence[Tensor], b: Sequence[Tensor], weight: Tensor | float = 1.0) -> Gradient:
    """Returns ``a + weight * b``."""
    return [x + weight * y for x, y in zip(a, b, strict=True)]


def project(
    a: Sequence[Tensor],
    *,
    off: Sequence[Tensor],
    when: When = "always",
    scope: Scope = "global",
    layers: Sequence[Sequence[int]] | None = None,
) -> Gradient:
    """Returns ``a`` without its part along ``off``: ``a - <a, off> / |off|^2 off``.

    Args:
        a: The gradient to project.
        off: The gradient whose normal plane it is projected onto.
        when: ``conflict`` projects only where the two point against each other, ``<a, off> < 0`` (Yu et al., 2020).
        scope: What counts as one vector: all weights, those of a layer, or those of a tensor.
        layers: ``problem.layers()``, for the scope ``layer``.

    Raises:
        ValueError: The scope is ``layer`` and the layers are missing.
    """
    if scope == "layer" and layers is None:
        raise ValueError("scope='layer' needs layers=problem.layers()")
    everything = list(range(len(a)))
    groups = {"global": [everything], "tensor": [[index] for index in everything], "layer": layers or []}[scope]
    projected = list(a)
    for group in groups:
        normal = [off[index] for index in group]
        overlap = dot([a[index] for index in group], normal)
        if when == "conflict" and overlap >= 0:
            continue
        share = overlap / (dot(normal, normal) + _TINY)
        for index in group:
            projected[index] = a[index] - share * off[index]
    return projected


def min_norm(a: Sequence[Tensor], b: Sequence[Tensor]) -> Gradient:
    """Returns the shortest vector between two gradients (Desideri, 2012; Sener and Koltun, 2018, algorithm 1).

    Descending along it lowers both losses to first order, unless it is zero.
    """
    difference = plus(b, a, -1.0)
    share = (dot(difference, b) / (dot(difference, difference) + _TINY)).clamp(0, 1)
    return plus([share * x for x in a], [(1 - share) * y for y in b])


def barrier(objective: Sequence[Tensor], constraint: Sequence[Tensor], margin: Tensor | float) -> Gradient:
    """Returns ``g_o + w g_c`` with the smallest ``w >= 0`` for which descent lowers the constraint at rate ``margin``.

    The dynamic barrier of bilevel optimization (Ye et al., 2022): ``w = max(0, (margin - <g_c, g_o>) / |g_c|^2)``.
    """
    weight = (margin - dot(constraint, objective)) / (dot(constraint, constraint) + _TINY)
    return plus(objective, constraint, weight.clamp(min=0))


def squared_cosine(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Returns the squared cosine of the angle between two gradients."""
    return dot(a, b).square() / (dot(a, a) * dot(b, b) + _TINY)
