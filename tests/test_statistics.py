"""Every interval and test against a closed form, a textbook value or a simulation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from unlearnbench.benchmark.metrics.intervals import jackknife, student, welch, wilson
from unlearnbench.leaderboard.significance import bootstrap_mean, holm, paired_p_value, seeds_to_separate


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(case):
    successes, n = case
    low, high = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((low, high), abs=1e-15)


def test_wilson_of_no_hit_in_500_bounds_the_share_below_one_percent():
    interval = wilson(0, 500)
    assert interval.low == 0
    assert interval.high == pytest.approx(0.00762, abs=1e-4)


@pytest.mark.parametrize("case", [(1, 0), (5, 4), (-1, 4)])
def test_wilson_refuses_impossible_counts(case):
    with pytest.raises(ValueError, match="successes"):
        wilson(*case)


def test_student_is_its_closed_form():
    values = [1.0, 2.0, 4.0]
    half = 4.302652729911275 * np.std(values, ddof=1) / math.sqrt(3)
    assert student(values) == pytest.approx((7 / 3 - half, 7 / 3 + half))


def test_one_value_has_no_interval_over_seeds():
    assert student([1.0]) is None


numbers = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=2, max_size=9)


@given(numbers, numbers)
def test_welch_is_scipys(first, second):
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert welch(np.array(first), np.array(second)) == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-6)


def test_welch_of_values_that_are_all_equal_is_a_point():
    assert welch(np.ones(3), np.zeros(4)) == (1.0, 1.0)


@given(st.integers(2, 6).flatmap(lambda k: st.tuples(st.just(k), st.integers(1, 8))))
def test_jackknife_of_a_mean_is_the_classical_interval_of_group_means(case):
    groups, size = case
    values = np.random.default_rng(groups * 10 + size).normal(size=groups * size)
    interval = jackknife(lambda rows: float(values[rows].mean()), len(values), groups)
    group_means = [values[np.arange(len(values)) % groups == group].mean() for group in range(groups)]
    half = stats.t.ppf(0.975, groups - 1) * stats.sem(group_means)
    assert interval.high - interval.low == pytest.approx(2 * half)
    assert (interval.high + interval.low) / 2 == pytest.approx(values.mean())


def test_jackknife_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        values = generator.exponential(size=200)
        interval = jackknife(lambda rows, v=values: float(v[rows].mean()), 200)
        hits += interval.low <= 1 <= interval.high
    assert 0.91 <= hits / 400 <= 0.98


def test_paired_test_is_scipys_and_handles_the_degenerate_cases():
    a, b = [0.9, 0.8, 0.95], [0.5, 0.6, 0.4]
    assert paired_p_value(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert paired_p_value(a, a) == 1.0
    assert paired_p_value([0.5, 0.6], [0.4, 0.5]) == 0.0
    assert paired_p_value([1.0], [0.0]) == 1.0


def test_holm_is_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values):
    adjusted = holm(p_values)
    assert all(new >= min(1.0, old) - 1e-12 for new, old in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(np.diff(np.asarray(adjusted)[order]) >= -1e-12)


def test_the_bootstrap_of_normal_values_is_students_interval():
    generator = np.random.default_rng(0)
    for n, tolerance in ((3, 0.25), (10, 0.15), (200, 0.08)):
        values = generator.normal(0.3, 1.0, n)
        half = stats.t.ppf(0.975, n - 1) * stats.sem(values)
        interval = bootstrap_mean(values)
        assert interval.low == pytest.approx(values.mean() - half, abs=tolerance * half)
        assert interval.high == pytest.approx(values.mean() + half, abs=tolerance * half)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_bootstrap_of_few_values_covers_the_truth_as_often_as_it_says(n):
    generator = np.random.default_rng(n)
    intervals = [bootstrap_mean(generator.normal(0.2, 1.0, n), draws=400) for _ in range(1500)]
    assert np.mean([low <= 0.2 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.018)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6))
def test_the_bootstrap_of_values_with_their_signs_turned_is_the_interval_turned(values):
    interval, turned = bootstrap_mean(values, draws=200), bootstrap_mean([-value for value in values], draws=200)
    assert turned == pytest.approx((-interval.high, -interval.low), abs=1e-9)


def test_the_bootstrap_of_equal_values_is_a_point_and_of_one_value_nothing():
    assert bootstrap_mean([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert bootstrap_mean([0.5]) is None


@pytest.mark.parametrize(("mean", "significance"), [(1.0, 0.05), (1.5, 0.05 / 3), (-0.7, 0.05)])
def test_so_many_seeds_separate_as_often_as_they_are_said_to(mean, significance):
    seeds = seeds_to_separate(mean, 1.0, significance)
    generator = np.random.default_rng(0)
    for n, enough in ((seeds, True), (seeds - 1, False)):
        p_values = stats.ttest_1samp(generator.normal(mean, 1.0, (20_000, n)), 0.0, axis=1).pvalue
        # The simulation's own error is 0.003.
        assert (np.mean(p_values < significance) > 0.8 - 0.01) if enough else (np.mean(p_values < significance) < 0.81)


def test_seeds_to_separate_at_the_edges():
    assert seeds_to_separate(0.5, 1.0, 0.05) == 34  # the textbook's number for half a deviation, paired
    assert seeds_to_separate(0.0, 1.0, 0.05) is None
    assert seeds_to_separate(0.01, 1.0, 0.05) is None
    assert seeds_to_separate(1.0, 0.0, 0.05) == 2
    assert seeds_to_separate(1.0, 1e-6, 0.05) == 2
    assert seeds_to_separate(-0.5, 1.0, 0.05) == 34
