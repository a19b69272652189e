"""Streamed moments and the eigenvalue form of the Frechet distance, against closed forms and clean-fid."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clean_fid
from unlearnbench.benchmark.metrics import measures
from unlearnbench.benchmark.metrics.frechet import (
    BlockedMoments,
    FrechetReference,
    Moments,
    frechet_from_moments,
    frechet_interval,
)
from unlearnbench.benchmark.metrics.intervals import jackknife

HEAVY = 2048
SPEED_UP = 5


def features(n, dimensions, seed, mean=0.0, decay=3.0):
    """Correlated features whose variances fall over two orders of magnitude."""
    rng = np.random.default_rng(seed)
    mixed = np.diag(np.exp(-decay * np.arange(dimensions) / dimensions))
    mixed += 0.02 * np.random.default_rng(9).normal(size=(dimensions, dimensions))
    return mean + rng.normal(size=(n, dimensions)) @ mixed


def exact(a, b):
    """The distance of two sets from singular values, which need no root of a covariance and see no squared rounding."""
    one, other = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (a, b))
    gap = a.mean(0) - b.mean(0)
    overlap = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return gap @ gap + (one**2).sum() + (other**2).sum() - 2 * overlap


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) >= 2),
    mean=st.sampled_from([0.0, 1.0, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_moments_are_those_of_all_batches_together_wherever_the_mean_is(sizes, mean, seed):
    everything = mean + np.random.default_rng(seed).normal(size=(sum(sizes), 5))
    streamed, merged = Moments(5), Moments(5)
    for part in np.split(everything, np.cumsum(sizes)[:-1]):
        streamed.add(part)
        merged.merge(Moments.of(part))
    for moments in (streamed, merged):
        assert moments.n == len(everything)
        np.testing.assert_allclose(moments.mean, everything.mean(0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            moments.covariance, np.atleast_2d(np.cov(everything, rowvar=False)), atol=1e-12 + 1e-15 * mean
        )
        assert moments.trace == pytest.approx(np.trace(moments.covariance), rel=1e-12)


def test_single_precision_features_are_summed_in_double():
    values = features(3000, 8, 0, mean=1000.0).astype(np.float32)
    np.testing.assert_allclose(Moments.of(values).covariance, np.cov(values.astype(float), rowvar=False), rtol=1e-9)


def test_moments_without_a_part_are_those_of_the_rest():
    values = features(90, 6, 0, mean=50.0)
    rest = Moments.of(values).without(Moments.of(values[:30]))
    np.testing.assert_allclose(rest.mean, values[30:].mean(0))
    np.testing.assert_allclose(rest.covariance, np.cov(values[30:], rowvar=False), atol=1e-12)


def test_blocks_do_not_depend_on_how_the_stream_is_cut():
    values = features(3000, 4, 0)
    found = []
    for size in (1, 7, 1000, 3000):
        blocked = BlockedMoments(4, blocks=10)
        for start in range(0, len(values), size):
            blocked.add(values[start : start + size])
        found.append(blocked.blocks())
    np.testing.assert_allclose(found[0][3].mean, values[3::10].mean(0))
    for blocks in found[1:]:
        for block, first in zip(blocks, found[0], strict=True):
            assert np.array_equal(block.mean, first.mean)
            assert np.array_equal(block.covariance, first.covariance)


@pytest.mark.parametrize("dimensions", [1, 3, 20])
def test_the_distance_of_gaussians_with_commuting_covariances_is_the_closed_form(dimensions):
    """Sets whose sample covariances are exactly ``Q diag(v) Q'``: ``sum((sqrt(v1) - sqrt(v2))^2)`` and the gap of the means."""
    rng = np.random.default_rng(dimensions)
    rotation = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    variances = rng.uniform(0.01, 9, (2, dimensions))
    means = rng.normal(size=(2, dimensions))
    sets = []
    for v, mean in zip(variances, means, strict=True):
        # A pair of points at plus and minus each axis: the covariance is exact, not in expectation.
        axes = np.sqrt(v * (2 * dimensions - 1) / 2) * np.eye(dimensions)
        sets.append(mean + np.concatenate([axes, -axes]) @ rotation.T)
    expected = ((means[0] - means[1]) ** 2).sum() + ((np.sqrt(variances[0]) - np.sqrt(variances[1])) ** 2).sum()
    assert frechet_from_moments(*map(Moments.of, sets)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (30, 300), (300, 30), (30, 40), (100, 100), (101, 99)])
def test_it_is_exact_for_full_and_for_singular_covariances_and_clean_fid_agrees(n, m):
    a, b = features(n, 100, 1, mean=3.0), features(m, 100, 2, mean=2.9)
    found = frechet_from_moments(Moments.of(a), Moments.of(b))
    assert found == pytest.approx(exact(a, b), rel=1e-9)
    assert found == pytest.approx(clean_fid.frechet(a, b), rel=1e-6)
    assert found == pytest.approx(FrechetReference(Moments.of(b)).distance(Moments.of(a)), rel=1e-9)


@pytest.mark.parametrize("n", [30, 300])
def test_a_set_is_at_no_distance_from_itself_and_a_shift_counts_squared(n):
    a = features(n, 100, 1)
    assert frechet_from_moments(Moments.of(a), Moments.of(a)) == pytest.approx(0, abs=1e-10)
    assert frechet_from_moments(Moments.of(a), Moments.of(a + 0.5)) == pytest.approx(100 * 0.25, rel=1e-9)


def test_features_that_do_not_vary_or_repeat_another_are_no_trouble():
    a, b = features(300, 20, 1), features(300, 20, 2)
    for values in (a, b):
        values[:, 3] = 7.0
        values[:, 5] = values[:, 4]
    assert frechet_from_moments(Moments.of(a), Moments.of(b)) == pytest.approx(exact(a, b), rel=1e-9)
    collapsed = np.zeros((50, 20))
    expected = (b.mean(0) ** 2).sum() + np.trace(np.cov(b, rowvar=False))
    assert frechet_from_moments(Moments.of(collapsed), Moments.of(b)) == pytest.approx(expected, rel=1e-12)
    assert frechet_from_moments(Moments.of(b), Moments.of(collapsed)) == pytest.approx(expected, rel=1e-12)


def once_not_finite(root):
    """A root that is not finite the first time, as SciPy's can be for a singular matrix."""
    calls = iter([lambda matrix: np.full_like(matrix, np.nan)])
    return lambda matrix: next(calls, root)(matrix)


def test_what_clean_fid_adds_to_a_root_that_is_not_finite_makes_it_smaller_by_the_bound(monkeypatch, capsys):
    """The docstring's sentence, on a set that varies in half of the directions only."""
    a, b = features(300, 20, 1), features(300, 20, 2)
    a[:, 10:] = 0.0
    whole = clean_fid.linalg.sqrtm
    monkeypatch.setattr(clean_fid.linalg, "sqrtm", once_not_finite(whole))
    found = clean_fid.frechet(a, b)
    assert "adding 1e-06" in capsys.readouterr().out
    apart = np.linalg.eigvalsh(np.cov(b[:, 10:], rowvar=False))
    assert 0 < exact(a, b) - found <= 2e-3 * np.sqrt(apart).sum() * 1.01


def test_the_interval_is_the_jackknifes_over_the_blocks():
    a, b = features(400, 8, 1), features(300, 8, 2)
    blocked = BlockedMoments(8, blocks=10)
    blocked.add(a)
    reference = FrechetReference(Moments.of(b))
    value, interval = frechet_interval(blocked, reference)
    expected = jackknife(lambda rows: reference.distance(Moments.of(a[rows])), len(a), groups=10)
    assert value == pytest.approx(reference.distance(Moments.of(a)), rel=1e-10)
    assert interval == pytest.approx(expected, rel=1e-8)


def test_too_few_samples_are_refused():
    blocked = BlockedMoments(3, blocks=10)
    blocked.add(features(2, 3, 0))
    with pytest.raises(ValueError, match="2 samples are too few for 10 blocks"):
        frechet_interval(blocked, FrechetReference(Moments.of(features(50, 3, 1))))
    with pytest.raises(ValueError, match="of 1 vectors"):
        _ = Moments.of(features(1, 3, 0)).covariance
    with pytest.raises(ValueError, match=r"shape \(5, 4\) for moments of 3"):
        Moments(3).add(features(5, 4, 0))


def test_a_wide_distance_has_an_interval_that_contains_it():
    a, b = (features(100, 512, seed) for seed in (1, 2))
    measured = measures.fid(a, b)
    assert measured.value == pytest.approx(measures.frechet_distance(a, b), rel=1e-10)
    assert measured.interval.low < measured.value < measured.interval.high


@pytest.fixture(scope="module")
def heavy():
    """Two sets of 2,048 features, as clean-fid takes them and as moments."""
    sets = [features(2500, HEAVY, seed) for seed in (1, 2)]
    return [(x.mean(0), np.cov(x, rowvar=False)) for x in sets], [Moments.of(x) for x in sets]


def clean_fids(heavy):
    return clean_fid.frechet_of_moments(*heavy[0])


@pytest.mark.slow
@pytest.mark.benchmark(group="frechet")
def test_frechet_by_clean_fid(benchmark, heavy):
    if benchmark.disabled:
        pytest.skip("half a minute; the test of the ratio runs it")
    benchmark.pedantic(clean_fids, args=(heavy,), rounds=1)


@pytest.mark.slow
@pytest.mark.benchmark(group="frechet")
def test_frechet_by_eigenvalues(benchmark, heavy):
    benchmark.pedantic(frechet_from_moments, args=heavy[1], rounds=3)


@pytest.mark.slow
def test_at_2048_features_it_is_five_times_as_fast_as_clean_fid_and_agrees(heavy):
    """CPU time in one run, since other processes share these cores."""
    seconds, values = [], []
    for compute in (lambda: frechet_from_moments(*heavy[1]), lambda: clean_fids(heavy)):
        start = time.process_time()
        values.append(compute())
        seconds.append(time.process_time() - start)
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert seconds[1] >= SPEED_UP * seconds[0], seconds
