"""The metrics against clean-fid, closed forms and sets whose answer is known."""

import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_frechet

from unlearnbench.benchmark.metrics.measures import (
    fid,
    frechet_distance,
    kernel_distance,
    kid,
    prdc,
    proportion,
)


def gaussian(n, shift=0.0, scale=1.0, dimensions=8, seed=0):
    return np.random.default_rng(seed).normal(shift, scale, (n, dimensions))


def test_frechet_distance_of_gaussians_is_the_closed_form():
    a, b = gaussian(20000), gaussian(20000, shift=1.0, scale=2.0, seed=1)
    # |mean difference|^2 + trace((s1 - s2)^2) for diagonal covariances
    assert frechet_distance(a, b) == pytest.approx(8 * 1.0 + 8 * (2 - 1) ** 2, rel=0.03)


def test_frechet_distance_is_clean_fids():
    a, b = gaussian(300), gaussian(300, 0.5, seed=1)
    with pytest.warns(DeprecationWarning):
        expected = cleanfid_frechet(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert frechet_distance(a, b) == expected


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


def test_neither_touches_numpys_global_generator_in_a_way_that_shows():
    a, b = gaussian(40), gaussian(40, seed=1)
    np.random.seed(1)
    first = (fid(a, b), kid(a, b))
    after = np.random.random()
    np.random.seed(2)
    assert (fid(a, b), kid(a, b)) == first
    np.random.seed(1)
    assert np.random.random() == after


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
