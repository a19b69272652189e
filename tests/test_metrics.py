"""The metrics against clean-fid, closed forms and sets whose answer is known."""

import numpy as np
import pytest
import torch

import clean_fid
from unlearnbench.benchmark.metrics.intervals import jackknife
from unlearnbench.benchmark.metrics.kernel import kernel_distance, kernel_interval
from unlearnbench.benchmark.metrics.measures import Reference, fid, frechet_distance, kid, prdc, proportion
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.judges.judge import features


def gaussian(n, shift=0.0, scale=1.0, dimensions=8, seed=0):
    return np.random.default_rng(seed).normal(shift, scale, (n, dimensions))


def test_frechet_distance_of_gaussians_is_the_closed_form():
    a, b = gaussian(20000), gaussian(20000, shift=1.0, scale=2.0, seed=1)
    # |mean difference|^2 + trace((s1 - s2)^2) for diagonal covariances
    assert frechet_distance(a, b) == pytest.approx(8 * 1.0 + 8 * (2 - 1) ** 2, rel=0.03)


@pytest.mark.parametrize(("n", "m", "dimensions"), [(300, 200, 8), (90, 300, 3), (61, 61, 40)])
def test_both_distances_are_clean_fids_and_so_are_their_jackknifes(n, m, dimensions):
    a, b = gaussian(n, dimensions=dimensions), gaussian(m, 0.5, dimensions=dimensions, seed=1)
    assert_clean_fids(a, b, rel=1e-9)


def assert_clean_fids(a, b, rel):
    """Values and intervals of both distances; the interval by as many calls of clean-fid's functions as there are groups."""
    found = fid(a, b)
    assert found.value == pytest.approx(clean_fid.frechet(a, b), rel=rel)
    assert found.value == pytest.approx(frechet_distance(a, b), rel=rel)
    expected = jackknife(lambda rows: clean_fid.frechet(a[rows], b), len(a))
    assert found.interval == pytest.approx(expected, rel=rel)
    found, n = kid(a, b), min(len(a), len(b))
    assert found.n == n
    # Near zero its terms cancel, so that what is held is a share of the kernel's own size.
    near = rel * float(((a[:n] ** 2).sum(1) / a.shape[1] + 1).mean() ** 3)
    assert found.value == pytest.approx(clean_fid.kernel(a[:n], b[:n]), rel=rel, abs=near)
    expected = jackknife(lambda rows: clean_fid.kernel(a[:n][rows], b[:n][rows]), n)
    assert found.interval == pytest.approx(expected, rel=rel, abs=near)


@pytest.fixture(scope="module")
def seen():
    """What a judge of the digits sees in real ones and in what an oracle draws, set by set."""
    task = make_task("digits-ddpm", {})
    judge, pool = task.load_judge("resnet"), task.training_pool()
    real = features(judge, pool.images[pool.labels != task.forget_class])
    oracle = {name: task.oracle_samples(name, [0])[:400] for name in ("forget", "retain")}
    return real, {name: features(judge, images) for name, images in oracle.items()}


@pytest.mark.parametrize("pool", ["forget", "retain"])
def test_both_are_clean_fids_in_features_of_a_real_judge(seen, pool):
    real, drawn = seen
    assert_clean_fids(drawn[pool], real, rel=1e-9)


def test_samples_that_repeat_themselves_are_at_clean_fids_distance_but_for_what_rounding_leaves_it(seen):
    real, drawn = seen
    few = np.tile(drawn["retain"][:7], (60, 1))
    assert fid(few, real).value == pytest.approx(clean_fid.frechet(few, real), rel=1e-6)
    constant = np.tile(drawn["retain"][:1], (60, 1))
    assert fid(constant, real).value == pytest.approx(clean_fid.frechet(constant, real), rel=1e-9)


def test_what_depends_on_the_reference_alone_is_computed_once(seen):
    real, drawn = seen
    reference = Reference(real)
    for measure in (fid, kid, prdc):
        assert measure(drawn["retain"], reference) == measure(drawn["retain"], real)
    assert Reference.of(reference) is reference
    assert reference.frechet is reference.frechet
    assert reference.manifold is reference.manifold


def test_frechet_distance_of_collapsed_samples_is_finite():
    assert np.isfinite(frechet_distance(np.zeros((50, 4)), gaussian(50, dimensions=4)))


def test_kernel_distance_is_unbiased_on_equal_distributions():
    values = [kernel_distance(gaussian(60, seed=2 * i), gaussian(60, seed=2 * i + 1)) for i in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)


def test_kernel_distance_is_the_double_sum():
    a, b = gaussian(12, dimensions=3), gaussian(12, 1.0, dimensions=3, seed=1)
    kernel = lambda x, y: (x @ y / 3 + 1) ** 3  # noqa: E731
    inside = sum(kernel(x[i], x[j]) for x in (a, b) for i in range(12) for j in range(12) if i != j)
    across = sum(kernel(x, y) for x in a for y in b)
    assert kernel_distance(a, b) == pytest.approx(inside / (12 * 11) - 2 * across / 144)


def test_kernel_distance_refuses_sets_of_different_size():
    with pytest.raises(ValueError, match="12 generated"):
        kernel_distance(gaussian(12), gaussian(13))


@pytest.mark.parametrize("rows", [7, 60, 1000])
def test_the_kernel_distance_does_not_depend_on_how_many_rows_are_in_memory(monkeypatch, rows):
    a, b = gaussian(61), gaussian(61, seed=1)
    expected = kernel_interval(a, b)
    monkeypatch.setattr("unlearnbench.benchmark.metrics.kernel.ROWS_AT_ONCE", rows)
    value, interval = kernel_interval(a, b)
    assert value == pytest.approx(expected[0], rel=1e-9)
    assert interval == pytest.approx(expected[1], rel=1e-9)


def test_too_few_samples_for_a_kernel_distance_are_refused():
    with pytest.raises(ValueError, match="of 1 samples"):
        kernel_distance(gaussian(1), gaussian(1))
    with pytest.raises(ValueError, match="2 samples are too few"):
        kernel_interval(gaussian(2), gaussian(2))


def test_intervals_contain_their_value():
    a, b = gaussian(200), gaussian(200, 0.3, seed=1)
    for measured in (fid(a, b), kid(a, b)):
        assert measured.interval.low < measured.value < measured.interval.high


def test_precision_is_of_the_generated_and_recall_of_the_reference():
    reference = gaussian(400)
    narrow = gaussian(400, scale=0.3, seed=1)
    found = prdc(narrow, reference)
    assert found.precision.value > 0.95
    assert found.recall.value < 0.5
    swapped = prdc(reference, narrow)
    assert swapped.precision.value < 0.5
    assert swapped.recall.value > 0.95


def test_samples_far_away_score_zero():
    found = prdc(gaussian(100, shift=50.0, seed=1), gaussian(100))
    assert [measured.value for measured in found] == [0, 0, 0, 0]


def test_equal_distributions_have_a_density_of_one():
    found = prdc(gaussian(1000, dimensions=2), gaussian(1000, dimensions=2, seed=1))
    assert found.density.value == pytest.approx(1.0, abs=0.1)
    # Naeem et al. (2020): 1 - 1 / 2^k for equal sizes
    assert found.coverage.value == pytest.approx(1 - 0.5**5, abs=0.02)


def test_proportion_counts():
    measured = proportion(torch.tensor([True, False, True, True]))
    assert (measured.value, measured.n) == (0.75, 4)
