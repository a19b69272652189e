"""Projection, the shortest combination and the barrier, on random gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearnbench.benchmark.gradients import barrier, dot, min_norm, plus, project, squared_cosine
from unlearnbench.benchmark.primitives import descend_along

SHAPES = ((3, 2), (4,), (2, 2))
LAYERS = [[0, 1], [2]]
seeds = st.integers(0, 10_000)


def gradient(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def length(a):
    return math.sqrt(float(dot(a, a)))


@given(seeds, seeds, st.sampled_from(["global", "layer", "tensor"]))
def test_what_is_projected_is_orthogonal_within_its_scope(first, second, scope):
    a, b = gradient(first), gradient(second + 20_000)
    projected = project(a, off=b, scope=scope, layers=LAYERS)
    groups = {"global": [[0, 1, 2]], "layer": LAYERS, "tensor": [[0], [1], [2]]}[scope]
    for group in groups:
        left, right = ([g[i] for i in group] for g in (projected, b))
        assert abs(float(dot(left, right))) <= 1e-9 * (1 + length(left) * length(right))


@given(seeds, st.floats(-5, 5).filter(lambda x: abs(x) > 1e-3))
def test_parallel_gradients_leave_nothing(seed, factor):
    b = gradient(seed)
    assert length(project([factor * x for x in b], off=b)) <= 1e-9 * abs(factor) * length(b)


@given(seeds, seeds)
def test_orthogonal_gradients_stay_as_they_are(first, second):
    b = gradient(second + 20_000)
    a = project(gradient(first), off=b)
    again = project(a, off=b)
    assert length(plus(a, again, -1.0)) <= 1e-9 * (1 + length(a))


@given(seeds, seeds)
def test_on_conflict_only_opposed_gradients_are_projected(first, second):
    a, b = gradient(first), gradient(second + 20_000)
    found = project(a, off=b, when="conflict")
    expected = project(a, off=b) if dot(a, b) < 0 else a
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_projection_off_nothing_changes_nothing():
    a = gradient(1)
    nothing = [torch.zeros_like(x) for x in a]
    assert all(torch.equal(x, y) for x, y in zip(project(a, off=nothing), a, strict=True))


def test_a_layer_scope_needs_layers():
    with pytest.raises(ValueError, match=r"problem\.layers"):
        project(gradient(1), off=gradient(2), scope="layer")


@given(seeds, seeds, st.floats(0.01, 100))
def test_the_min_norm_point_is_never_longer_and_opposes_neither(first, second, scale):
    a, b = gradient(first), gradient(second + 20_000, scale)
    found = min_norm(a, b)
    assert length(found) <= min(length(a), length(b)) * (1 + 1e-9)
    square = float(dot(found, found))
    # The closed form: along the min-norm point both losses fall by at least its squared length.
    assert float(dot(found, a)) >= square - 1e-8 * (1 + square)
    assert float(dot(found, b)) >= square - 1e-8 * (1 + square)


def test_the_min_norm_point_of_opposites_is_zero_and_of_equals_is_itself():
    a = gradient(3)
    assert length(min_norm(a, [-x for x in a])) <= 1e-12
    assert length(plus(min_norm(a, a), a, -1.0)) <= 1e-12


@given(seeds, seeds, st.floats(-2, 2))
def test_the_barrier_lowers_the_constraint_at_the_rate_and_moves_no_more_than_it_must(first, second, margin):
    objective, constraint = gradient(first), gradient(second + 20_000)
    found = barrier(objective, constraint, margin)
    before = float(dot(constraint, objective))
    if before >= margin:
        assert all(torch.equal(x, y) for x, y in zip(found, objective, strict=True))
    else:
        assert float(dot(constraint, found)) == pytest.approx(margin, abs=1e-8)


@given(seeds, seeds)
def test_the_squared_cosine_is_a_squared_cosine(first, second):
    a, b = gradient(first), gradient(second + 20_000)
    assert float(squared_cosine(a, b)) == pytest.approx((float(dot(a, b)) / (length(a) * length(b))) ** 2)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_one_step_of_surgery_moves_the_retain_loss_by_the_square_of_the_rate(seed):
    """Halve the rate and the retain loss moves a quarter as far, while plain ascent moves half as far."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn((2, 8, 5), generator=generator, dtype=torch.float64)

    def moved(rate, surgery):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
        losses = [lambda: (x @ weight).tanh().square().mean(), lambda: (y @ weight - 1).square().mean()]
        forget, retain = (list(torch.autograd.grad(loss(), [weight])) for loss in losses)
        before = losses[1]().item()
        down = [-g for g in forget]
        descend_along(torch.optim.SGD([weight], lr=rate), project(down, off=retain) if surgery else down)
        return losses[1]().item() - before

    small, large = moved(1e-4, True), moved(2e-4, True)
    assert large == pytest.approx(4 * small, rel=0.05, abs=1e-11)
