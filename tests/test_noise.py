"""The moderated variance: closed forms, and whether a fit finds what made the numbers."""

import math

import numpy as np
import pytest
from scipy import special, stats

from helpers import ROOT, make_metric
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.docs.make.guarding import fitted, templates
from unlearnbench.leaderboard.regression import noise
from unlearnbench.leaderboard.regression.noise import (
    NOTHING,
    Moderated,
    Prior,
    fit,
    fit_all,
    moderate,
    sampling_variance,
)


def test_the_sampling_variance_is_read_off_the_interval():
    # Half an interval of 0.01 is 1.96 standard errors.
    assert sampling_variance([make_metric("coverage", 0.5)] * 3) == pytest.approx((0.01 / stats.norm.ppf(0.975)) ** 2)
    assert sampling_variance([make_metric("coverage", 0.5).model_copy(update={"ci_low": None})]) == 0.0


def test_moderation_weighs_by_degrees_of_freedom():
    # (4 * 2 + 12 * 0.5 * 1) / 16
    assert moderate(2.0, 4, 1.0, Prior(0.5, 12.0)) == Moderated(pytest.approx(0.875), 16)
    assert moderate(2.0, 4, 1.0, NOTHING) == Moderated(2.0, 4)
    # Without an interval nothing can be borrowed; with a single seed and nothing borrowed nothing is known.
    assert moderate(2.0, 4, 0.0, Prior(0.5, 12.0)) == Moderated(2.0, 4)
    assert moderate(0.0, 0, 0.0, Prior(0.5, 12.0)).variance == math.inf


@pytest.mark.parametrize("value", [1e-3, 0.1, 1.0, 30.0, 1e4])
def test_the_inverse_of_the_trigamma_function(value):
    assert special.polygamma(1, noise._inverse_trigamma(value)) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(("ratio", "freedom"), [(1.5, 4.0), (0.3, 1.0), (2.0, 20.0)])
def test_a_fit_finds_the_ratio_and_the_freedom_that_made_the_numbers(ratio, freedom):
    generator = np.random.default_rng(0)
    true = ratio * freedom / generator.chisquare(freedom, size=20_000)
    found = fit(list(true * generator.chisquare(2, size=20_000) / 2), 2)
    assert found.ratio == pytest.approx(ratio, rel=0.05)
    assert found.freedom == pytest.approx(freedom, rel=0.25)


def test_a_ratio_that_never_changes_is_worth_much_and_few_rows_are_worth_nothing():
    generator = np.random.default_rng(0)
    assert fit(list(generator.chisquare(2, size=200_000) / 2), 2).freedom > 50
    assert fit([1.0, 2.0], 2) == NOTHING
    assert fit_all([("fid", 1.0, 0.0)] * 9, 2) == {}


def test_the_file_is_a_fit_to_the_committed_records():
    again = fitted(templates(load_records([ROOT / "leaderboard" / "results"]).records))
    assert noise.priors().keys() == again.keys()
    for metric, prior in again.items():
        on_file = noise.prior_for(metric)
        # New records move a fit a little; a file that was forgotten is further off.
        assert on_file.freedom == pytest.approx(prior.freedom, rel=0.5), metric
        assert abs(math.log(on_file.ratio / prior.ratio)) < 1.0, metric
    assert noise.prior_for("unheard_of") == NOTHING
