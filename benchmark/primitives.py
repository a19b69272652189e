"""What methods are made of: masks, sample weights, schedules, one optimizer step. Each stands here once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .problem import Batch, Problem

Mask = Sequence[Tensor]
"""One boolean tensor a weight, in the order of ``problem.parameters()``: which weights may move."""


PIECE = 2**22
"""Scores that are looked at in one go."""
DIGIT_BITS = 16
DIGITS = 2**DIGIT_BITS
"""Values of a digit of a score's bits, which are counted to find a threshold."""


def descend(optimizer: Optimizer, loss: Tensor, *, clip: float | None = None, mask: Mask | None = None) -> None:
    """Takes one optimizer step down a loss.

    The mask is applied after the backward pass and before clipping, and what it excludes is bit-identical after the step,
    whatever momentum or weight decay the optimizer holds.

    Args:
        optimizer: Over ``problem.parameters()``.
        loss: A scalar; its negative climbs.
        clip: The largest norm of the whole gradient.
        mask: Which weights may move.
    """
    optimizer.zero_grad()
    loss.backward()
    _step(optimizer, clip, mask)


def descend_along(
    optimizer: Optimizer, gradient: Sequence[Tensor], *, clip: float | None = None, mask: Mask | None = None
) -> None:
    """Takes one optimizer step against a gradient that the method composed, one tensor a weight. See ``descend``."""
    for parameter, value in zip(_weights(optimizer), gradient, strict=True):
        parameter.grad = value.detach().clone()
    _step(optimizer, clip, mask)


def _step(optimizer: Optimizer, clip: float | None, mask: Mask | None) -> None:
    parameters = _weights(optimizer)
    if mask is not None:
        for parameter, allowed in zip(parameters, mask, strict=True):
            if parameter.grad is not None:
                parameter.grad.mul_(allowed)
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    kept = None if mask is None else [parameter.detach().clone() for parameter in parameters]
    optimizer.step()
    if mask is not None and kept is not None:
        with torch.no_grad():
            for parameter, allowed, old in zip(parameters, mask, kept, strict=True):
                parameter.copy_(torch.where(allowed, parameter, old))


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def inverse_loss_weights(losses: Tensor, temper: float) -> Tensor:
    """Returns weights that grow as a sample's loss falls, ``1 / loss**temper``, detached, with a mean of one.

    SFRon's adaptive coefficients (Huang et al., 2024; released code, loss ``adaga``).

    Args:
        losses: ``(B,)``, positive.
        temper: 0 weighs all samples alike.
    """
    weights: Tensor = 1 / (losses.detach().pow(temper) + 1e-8)
    return weights / weights.mean()


def cosine_decay(step: int, steps: int) -> float:
    """Returns ``(1 + cos(pi step / steps)) / 2``: one at the start, near zero at the end."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def mean_gradient(
    problem: Problem, batches: Iterable[Batch], *, clip: float | None = None, power: int = 1
) -> list[Tensor]:
    """Returns the mean over batches of the training loss's gradient, each clipped and then raised to a power.

    Args:
        problem: Gives the loss and the weights.
        batches: One pass, usually ``problem.epoch(...)``.
        clip: The largest norm of a batch's gradient.
        power: 2 gives the diagonal of the empirical Fisher information, a batch at a time.
    """
    parameters = problem.parameters()
    total = [torch.zeros_like(parameter) for parameter in parameters]
    count = 0
    for batch in batches:
        gradients = torch.autograd.grad(
            problem.loss(batch).mean(), parameters, allow_unused=True, materialize_grads=True
        )
        scale = 1.0 if clip is None else min(1.0, clip / (float(global_norm(gradients)) + 1e-6))
        for sum_, gradient in zip(total, gradients, strict=True):
            sum_.add_((gradient * scale).pow(power))
        count += 1
    return [sum_ / max(count, 1) for sum_ in total]


def global_norm(tensors: Iterable[Tensor]) -> Tensor:
    """Returns the norm of some tensors taken as one vector."""
    norms = [tensor.norm() for tensor in tensors]
    total: Tensor = torch.stack(norms).norm()
    return total


def ratio_mask(numerator: Sequence[Tensor], denominator: Sequence[Tensor], threshold: float) -> Mask:
    """Returns the weights at which one quantity is at least ``threshold`` times another. Zero over zero counts as one."""
    return [(a + 1e-15) / (b + 1e-15) >= threshold for a, b in zip(numerator, denominator, strict=True)]


def top_fraction_mask(scores: Sequence[Tensor], fraction: float) -> Mask:
    """Returns the weights with the largest scores over all tensors together: exactly as many as asked for.

    The threshold is found by counting and not by sorting, a piece of the scores at a time, so beside the mask no memory is
    needed that grows with the model.

    Args:
        scores: One tensor a weight, such as absolute gradients. What is no number counts as the largest. Of scores at the
            threshold the first ones are taken, in the order of the tensors and of their elements.
        fraction: The share of all weights that may move, in (0, 1].
    """
    count = max(1, round(fraction * sum(score.numel() for score in scores)))
    double = any(score.dtype == torch.float64 for score in scores)
    least, ties = _threshold(scores, count, double)
    mask = []
    for score in scores:
        chosen = torch.empty(score.shape, dtype=torch.bool, device=score.device)
        for part, out in zip(_pieces(score), chosen.flatten().split(PIECE), strict=True):
            keys = _sortable(part, double)
            level = (keys == least).nonzero().flatten()[:ties]
            torch.gt(keys, least, out=out)
            out[level] = True
            ties -= len(level)
        mask.append(chosen)
    return mask


def _threshold(scores: Sequence[Tensor], count: int, double: bool) -> tuple[int, int]:
    """Returns the ``count``-th largest score as ``_sortable`` has it, and how many of its equals are among the ``count``.

    It is found digit by digit from the highest, as a radix sort does: the numbers of scores with each digit, among those that
    agree with it in the digits before, say which digit is next.
    """
    prefix, wanted, highest = 0, count, (64 if double else 32) - DIGIT_BITS
    for shift in range(highest, -1, -DIGIT_BITS):
        counts = torch.zeros(DIGITS, dtype=torch.long, device=scores[0].device)
        for part in (part for score in scores for part in _pieces(score)):
            keys = _sortable(part, double)
            if shift == highest:
                # The highest digit has the sign.
                digits = (keys >> shift) + DIGITS // 2
            else:
                digits = (keys[(keys >> (shift + DIGIT_BITS)) == prefix] >> shift) & (DIGITS - 1)
            counts += torch.bincount(digits, minlength=DIGITS)
        falling = counts.cpu().flip(0)
        reached = falling.cumsum(0)
        place = int((reached < wanted).sum())
        wanted -= int(reached[place] - falling[place])
        digit = DIGITS - 1 - place
        prefix = digit - DIGITS // 2 if shift == highest else (prefix << DIGIT_BITS) + digit
    return prefix, wanted


def _pieces(score: Tensor) -> tuple[Tensor, ...]:
    pieces: tuple[Tensor, ...] = score.detach().flatten().split(PIECE)
    return pieces


def _sortable(values: Tensor, double: bool) -> Tensor:
    """Returns integers in the order of floating-point numbers: their bits, of negative ones turned round; -0 is 0."""
    kind, same, largest = (torch.float64, torch.int64, 2**63 - 1) if double else (torch.float32, torch.int32, 2**31 - 1)
    values = values.to(kind) + 0.0
    bits = values.view(same)
    return torch.where(bits < 0, bits ^ largest, bits).masked_fill_(values.isnan(), largest)


def next_class(labels: Tensor, num_classes: int, forgotten: Sequence[int]) -> Tensor:
    """Returns for each label the following class, skipping the forgotten ones (SalUn's released code: ``c + 1``)."""
    allowed = [(label + 1) % num_classes for label in range(num_classes)]
    for label in range(num_classes):
        while allowed[label] in forgotten:
            allowed[label] = (allowed[label] + 1) % num_classes
    return torch.tensor(allowed, device=labels.device)[labels]
