"""Cost against a baseline: counts exactly; time by blocks, only in turns, only on one device."""

import itertools

import numpy as np
import pytest
from scipy import stats

from helpers import anchors, make_record
from unlearnbench.benchmark.records.record import Device
from unlearnbench.leaderboard.regression.costs import COST_ALPHA, compare_times
from unlearnbench.leaderboard.regression.regress import compare
from unlearnbench.leaderboard.regression.verdicts import Verdict


def timed(seed, minute, steps, **counts):
    """A run that ended in some minute of a day, with the times of its steps."""
    record = make_record("mine", seed)
    cost = record.cost.model_copy(update={"step_seconds": list(steps), "steps": len(steps), **counts})
    return record.model_copy(update={"cost": cost, "created": f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z"})


def in_turns(slower=1.0, runs=6, seed=0, steps=20, drift=0.1):
    """ABBA; every run has the machine's state of its minute, which all its steps share."""
    generator = np.random.default_rng(seed)
    before, after = [], []
    for turn, after_is_on in enumerate(itertools.islice(itertools.cycle([0, 1, 1, 0]), 2 * runs)):
        state = np.exp(drift * generator.standard_normal() * 0.1)
        times = 0.1 * state * np.exp(0.02 * generator.standard_normal(steps)) * (slower if after_is_on else 1.0)
        side = after if after_is_on else before
        side.append(timed(len(side), turn, times))
    return before, after


def time_finding(before, after, **options):
    found = compare(before, after, references=anchors(), **options)
    return next(finding for finding in found.findings if finding.what == "step_time")


def test_the_rank_test_is_exact_and_the_ratio_that_of_medians():
    before, now = np.arange(1.0, 7.0), np.arange(11.0, 17.0)
    found = compare_times(before, now)
    # All of now above all of before: one of the binomial(12, 6) arrangements.
    assert found.p_value == pytest.approx(1 / 924)
    assert found.ratio == pytest.approx(13.5 / 3.5)
    assert found.interval.low < found.ratio < found.interval.high
    assert compare_times(before, before).p_value > 0.5
    assert compare_times(np.full(6, 2.0), np.full(6, 3.0)).interval == (1.5, 1.5)


def test_slower_runs_in_turns_are_a_regression_and_equal_ones_are_fine():
    assert time_finding(*in_turns(slower=1.3)).verdict is Verdict.REGRESSION
    assert compare(*in_turns(slower=1.3), references=anchors()).exit_code == 1
    assert time_finding(*in_turns()).verdict is Verdict.FINE
    assert time_finding(*in_turns(slower=0.7)).verdict is Verdict.FINE
    # 3 % is less than the margin of 5 %, however sure.
    assert time_finding(*in_turns(slower=1.03, drift=0.01)).verdict is Verdict.FINE
    assert time_finding(*in_turns(slower=1.3), margins={"step_time": 0.5}).verdict is Verdict.FINE


def test_noise_makes_it_inconclusive():
    assert time_finding(*in_turns(slower=1.06, drift=4.0, seed=3)).verdict is Verdict.INCONCLUSIVE


def test_unchanged_histories_are_hardly_ever_flagged_where_steps_would_be():
    """Steps of a run share its state: a rank test over steps would see differences that are not there."""
    flagged = naive = 0
    histories = 200
    for seed in range(histories):
        before, after = in_turns(seed=seed, drift=0.5)
        flagged += time_finding(before, after).verdict is Verdict.REGRESSION
        steps = [np.concatenate([record.cost.step_seconds for record in side]) for side in (after, before)]
        naive += stats.mannwhitneyu(*steps, alternative="greater").pvalue < COST_ALPHA
    assert flagged <= 0.02 * histories
    assert naive > 0.1 * histories


def test_planted_slow_histories_are_caught():
    caught = sum(time_finding(*in_turns(slower=1.25, seed=seed)).verdict is Verdict.REGRESSION for seed in range(200))
    assert caught >= 0.95 * 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda before, after: (before[:3], after[:3]), "3 runs a side are too few"),
        (
            lambda before, after: (before, [r.model_copy(update={"created": "2026-01-02T00:00:00Z"}) for r in after]),
            "turns",
        ),
        (
            lambda before, after: (
                before,
                [r.model_copy(update={"device": Device(kind="cpu", name="Other", threads=1)}) for r in after],
            ),
            "one device alone",
        ),
        (lambda before, after: (before, [r.model_copy(update={"cost": None}) for r in after]), "no times"),
    ],
)
def test_what_cannot_be_judged_is_not_and_changes_nothing_unless_it_has_to(change, says):
    before, after = change(*in_turns(slower=2.0))
    finding = time_finding(before, after)
    assert finding.verdict is Verdict.NOT_JUDGED
    assert says in finding.sentence
    assert compare(before, after, references=anchors()).exit_code == 0
    needed = compare(before, after, references=anchors(), cost="required")
    assert needed.exit_code == (3 if "device" in says else 2)
    off = compare(before, after, references=anchors(), cost="off")
    assert not {"step_time", "counts"} & {f.what for f in off.findings}


def test_counts_are_compared_as_they_are_on_any_device():
    before = [timed(seed, seed, [0.1] * 20, forward_passes=40) for seed in range(3)]
    same = compare(before, before, references=anchors())
    assert next(f for f in same.findings if f.what == "counts").verdict is Verdict.FINE
    dearer = [timed(seed, seed, [0.1] * 20, forward_passes=60) for seed in range(3)]
    elsewhere = [r.model_copy(update={"device": Device(kind="cuda", name="GPU", threads=1)}) for r in dearer]
    for after in (dearer, elsewhere):
        found = compare(before, after, references=anchors())
        assert found.exit_code == 1
        assert "forward passes 120 to 180" in found.sentence
    assert compare(dearer, before, references=anchors()).exit_code == 0
    assert compare(before, dearer, references=anchors(), margins={"counts": 0.6}).exit_code == 0
