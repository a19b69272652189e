"""The primitives' promises, on random weights."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearnbench.benchmark import primitives
from unlearnbench.benchmark.primitives import (
    cosine_decay,
    descend,
    inverse_loss_weights,
    next_class,
    ratio_mask,
    top_fraction_mask,
)

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
}


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_masked_weights_are_bit_identical_after_steps_with_momentum_and_decay(optimizer, seed, share):
    model = network(seed)
    parameters = list(model.parameters())
    step = OPTIMIZERS[optimizer](parameters)
    inputs = torch.randn(5, 3)
    descend(step, model(inputs).square().mean())
    before = [parameter.detach().clone() for parameter in parameters]
    mask = [torch.rand_like(parameter) < share for parameter in parameters]
    for _ in range(3):
        descend(step, model(inputs).square().mean(), mask=mask)
    for parameter, old, allowed in zip(parameters, before, mask, strict=True):
        assert torch.equal(parameter[~allowed], old[~allowed])


def test_the_mask_comes_before_the_clip():
    model = torch.nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.weight.detach().clone()
    loss = model(torch.tensor([[100.0, 1.0]])).sum()
    descend(optimizer, loss, clip=1.0, mask=[torch.tensor([[False, True]])])
    assert torch.allclose(before - model.weight, torch.tensor([[0.0, 1.0]]), atol=1e-4)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.floats(0, 2))
def test_loss_weights_average_one_and_fall_with_the_loss(losses, temper):
    values = torch.tensor(losses, dtype=torch.float64).requires_grad_()
    weights = inverse_loss_weights(values, temper)
    assert not weights.requires_grad
    assert float(weights.mean()) == pytest.approx(1.0)
    order = values.argsort()
    assert bool((weights[order].diff() <= 1e-9).all())


def test_a_temper_of_zero_weighs_all_alike():
    assert torch.allclose(inverse_loss_weights(torch.tensor([1.0, 5.0]), 0.0), torch.ones(2))


def test_cosine_decay_starts_at_one_and_ends_near_zero():
    assert cosine_decay(0, 50) == 1.0
    assert cosine_decay(25, 50) == pytest.approx(0.5)
    assert cosine_decay(50, 50) == pytest.approx(0.0, abs=1e-12)
    assert cosine_decay(49, 50) == pytest.approx((1 + math.cos(math.pi * 49 / 50)) / 2)


@given(st.floats(0.01, 1.0))
def test_the_top_fraction_is_global_and_of_the_asked_size(fraction):
    scores = [torch.arange(6.0).view(2, 3), 10 + torch.arange(4.0)]
    mask = top_fraction_mask(scores, fraction)
    assert sum(int(part.sum()) for part in mask) == max(1, round(fraction * 10))
    chosen = torch.cat([s[m] for s, m in zip(scores, mask, strict=True)])
    left = torch.cat([s[~m] for s, m in zip(scores, mask, strict=True)])
    assert not len(left) or chosen.min() >= left.max()


def largest_first(scores, count):
    """What sorting would choose: the largest, of equal ones the first."""
    flat = torch.cat([score.flatten() for score in scores]).double()
    flat[flat.isnan()] = torch.inf
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[flat.sort(descending=True, stable=True).indices[:count]] = True
    return chosen


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45])


@given(
    st.lists(st.lists(FLOATS, min_size=1, max_size=9), min_size=1, max_size=5),
    st.floats(0.01, 1.0),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(1, 7),
)
def test_the_top_fraction_is_what_sorting_chooses_and_of_equal_scores_the_first(values, fraction, kind, piece):
    scores = [torch.tensor(part, dtype=kind) for part in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(primitives, "PIECE", piece)
        mask = torch.cat(top_fraction_mask(scores, fraction))
    assert torch.equal(mask, largest_first(scores, max(1, round(fraction * len(mask)))))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_the_top_fraction_has_the_scores_that_topk_has(kind):
    generator = torch.Generator().manual_seed(0)
    scores = [torch.randn(shape, generator=generator).abs().to(kind) for shape in ((40, 3, 3, 7), (1000,), (), (9, 1))]
    scores[0] = scores[0].to(memory_format=torch.channels_last)
    flat = torch.cat([score.flatten() for score in scores])
    for fraction in (0.001, 0.3, 0.5, 1.0):
        mask = top_fraction_mask(scores, fraction)
        assert [part.shape for part in mask] == [score.shape for score in scores]
        chosen = torch.cat([score[part] for score, part in zip(scores, mask, strict=True)])
        expected = flat.topk(max(1, round(fraction * len(flat)))).values
        assert torch.equal(chosen.sort(descending=True).values, expected)


def test_a_mask_over_many_weights_takes_little_memory_beside_itself():
    """Sorting takes sixteen bytes a weight and more; in a process of its own, whose peak is its own."""
    code = (
        "import resource, torch\n"
        "from unlearnbench.benchmark.primitives import top_fraction_mask\n"
        "scores = [torch.rand(4_000_000) for _ in range(4)]\n"
        "top_fraction_mask([torch.rand(4_200_000)], 0.5)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "mask = top_fraction_mask(scores, 0.5)\n"
        "assert sum(int(part.sum()) for part in mask) == 8_000_000\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 5 * 16_000_000


def test_the_ratio_mask_counts_zero_over_zero_as_one():
    zero, one = torch.zeros(2), torch.tensor([0.0, 1.0])
    assert ratio_mask([zero], [zero], 1.0)[0].all()
    assert not ratio_mask([zero], [one], 1.0)[0][1]
    assert ratio_mask([one], [zero], 100.0)[0][1]


@given(st.integers(2, 12).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=n - 1))))
def test_the_next_class_is_never_a_forgotten_one(case):
    count, forgotten = case
    labels = torch.arange(count)
    other = next_class(labels, count, sorted(forgotten))
    assert not set(other.tolist()) & forgotten
    if not forgotten:
        assert torch.equal(other, (labels + 1) % count)
