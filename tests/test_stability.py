"""What becomes of a board without one of its seeds or requests."""

import numpy as np
import pytest
from scipy import stats

from helpers import anchors, asked_for, between, make_record
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.stability import kendall_tau, stability


def board(shares, digits=(0, 3), seeds=(0, 1, 2)):
    """Shares by method, request by request and seed by seed."""
    tasks = [asked_for(digit) for digit in digits]
    records = [record for task in tasks for record in anchors(seeds, task=task)]
    for name, values in shares.items():
        cases = [(task, seed) for task in tasks for seed in seeds]
        records += [
            make_record(name, seed, between(s), task=task) for (task, seed), s in zip(cases, values, strict=True)
        ]
    (found,) = rank_all(records)
    return found


def test_kendalls_tau_is_scipys():
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.integers(0, 6, (2, 8)).astype(float)
        expected = stats.kendalltau(a, b).statistic
        assert np.isnan(expected) or kendall_tau(a, b) == pytest.approx(expected)


def test_every_seed_and_every_request_is_left_out_in_turn():
    found = stability(board({"a": [0.9, 0.91, 0.92, 0.9, 0.91, 0.92], "b": [0.5, 0.5, 0.51, 0.5, 0.52, 0.51]}))
    assert [part.what for part in found] == ["seed 0", "seed 1", "seed 2", "forget_class=0", "forget_class=3"]
    assert {(part.tau, part.changed, part.reversed, part.pairs) for part in found} == {(1.0, 0.0, 0.0, 1)}


def test_a_verdict_that_hangs_on_one_request_changes_without_it():
    steady, unlike = [0.80, 0.81, 0.82, 0.80, 0.81, 0.82], [0.60, 0.61, 0.62, 0.80, 0.79, 0.83]
    found = {part.what: part for part in stability(board({"a": steady, "b": unlike}))}
    assert found["forget_class=3"].changed == 1  # told apart on the other alone, and not on both
    assert found["forget_class=0"].changed == 0
    assert not any(part.reversed for part in found.values())


def test_an_order_that_turns_round_without_a_request_shows_in_tau():
    shares = {"a": [0.9, 0.91, 0.92, 0.4, 0.41, 0.43], "b": [0.4, 0.41, 0.42, 0.80, 0.82, 0.83]}
    found = {part.what: part.tau for part in stability(board(shares))}
    assert (found["forget_class=0"], found["forget_class=3"]) == (-1, 1)


def test_a_board_of_one_seed_and_request_or_one_row_has_nothing_to_leave_out():
    assert stability(board({"a": [0.9], "b": [0.5]}, digits=(3,), seeds=(0,))) == []
    assert stability(board({"a": [0.9] * 6})) == []
