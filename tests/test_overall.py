"""Methods over all boards: held to what can be counted by hand, and to the closed form of a bootstrap of three cases."""

import itertools
import math

import numpy as np
import pytest

from helpers import TASK, anchors, between, make_record
from unlearnbench.leaderboard.overall import (
    Contender,
    chosen_rows,
    share_draws,
    standard_boards,
    standings,
)
from unlearnbench.leaderboard.ranking import rank_all


def board_of(number, methods, **changes):
    """Records of a board on which methods lie shares of the way to the oracle, one a seed."""
    task = TASK.model_copy(update={"name": f"task-{number}", "sha256": f"{number:064x}"} | changes)
    runs = [
        make_record(name, seed, between(share)) for name, shares in methods.items() for seed, share in enumerate(shares)
    ]
    return [
        record.model_copy(update={"task": task, "run_id": f"{number:02}{record.run_id[2:]}"})
        for record in [*anchors(), *runs]
    ]


def placed(*boards):
    found = standings(standard_boards(rank_all([record for board in boards for record in board])))
    return {one.contender.name: one for one in found}


def test_a_share_is_of_the_rivals_of_a_board_and_boards_of_any_size_count_the_same():
    small = board_of(0, {"a": [0.9] * 3, "b": [0.2] * 3})
    large = board_of(1, {"a": [0.1] * 3} | {f"m-{index}": [0.2 + index / 20] * 3 for index in range(10)})
    found = placed(small, large)
    assert found["a"].share == pytest.approx((1 + 0) / 2)
    assert found["b"].share == 0
    assert found["m-9"].share == 1
    assert found["m-4"].share == pytest.approx(5 / 10)
    assert found["a"].boards == 2
    assert next(iter(found)) == "m-9"


def test_a_method_is_not_punished_for_a_board_that_it_is_not_on_and_reference_rows_are_no_rivals():
    found = placed(board_of(0, {"a": [0.9] * 3, "b": [0.2] * 3}), board_of(1, {"b": [0.5] * 3, "c": [0.6] * 3}))
    assert (found["a"].share, found["b"].share, found["c"].share) == (1, 0, 1)
    assert found["oracle"].share is None
    assert found["oracle"].interval is None


def test_one_method_alone_beats_nobody():
    (alone,) = [one for one in placed(board_of(0, {"a": [0.9] * 3})).values() if one.role == "method"]
    assert (alone.share, alone.boards) == (None, 0)


def test_a_tie_is_half_a_win():
    found = placed(board_of(0, {"a": [0.5] * 3, "b": [0.5] * 3}))
    assert found["a"].share == found["b"].share == 0.5
    assert tuple(found["a"].interval) == (0.5, 0.5)


def test_the_interval_is_that_of_drawing_the_cases_again():
    (board,) = [
        one for one in rank_all(board_of(0, {"a": [0.6, 0.55, 0.33], "b": [0.5, 0.5, 0.5]})) if "forg" in one.title
    ]
    rows = chosen_rows(board)
    a, b = rows[Contender("a", False)], rows[Contender("b", False)]
    apart = [a.scores[case] - b.scores[case] for case in sorted(a.scores)]
    wins = [sum(drawn) > 0 for drawn in itertools.product(apart, repeat=3)]
    exact = sum(wins) / len(wins)
    assert 0 < exact < 1
    draws = 20_000
    found = share_draws([a, b], np.random.default_rng(1), draws)
    assert found[0].tolist() == [float(sum(apart) > 0), float(sum(apart) < 0)]
    assert found[1:, 0].mean() == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / draws))
    assert np.allclose(found.sum(axis=1), 1)


def test_a_single_shared_case_is_drawn_from_what_sampling_leaves_open():
    (board,) = [one for one in rank_all(board_of(0, {"a": [0.52], "b": [0.5]})) if "forg" in one.title]
    a, b = (chosen_rows(board)[Contender(name, False)] for name in "ab")
    (case,) = a.scores
    apart, error = a.scores[case] - b.scores[case], math.hypot(a.error(case), b.error(case))
    expected = 0.5 * (1 + math.erf(apart / error / math.sqrt(2)))
    assert share_draws([a, b], np.random.default_rng(1), 20_000)[1:, 0].mean() == pytest.approx(expected, abs=0.02)


def test_rows_that_share_no_case_are_no_rivals():
    records = board_of(0, {"a": [0.9] * 3, "b": [0.5] * 3})
    kept = [
        one
        for one in records
        if not (one.method.name == "a" and one.seed) and not (one.method.name == "b" and not one.seed)
    ]
    assert placed(kept)["a"].share is None


def test_a_method_stands_by_its_tuned_settings_else_its_defaults_else_its_best_by_hand():
    def row(settings, config, score):
        (board, *_) = rank_all(board_of(0, {"a": [0.5]}))
        (found,) = [one for one in board.rows if one.method == "a"]
        return found._replace(settings=settings, config=config, score=score)

    (board, *_) = rank_all(board_of(0, {"a": [0.5]}))
    tuned, plain = row("tuned (40 trials)", "", 0.3), row("defaults of then", "", 0.4)
    hand, better = row("set by hand", "lr=1", 0.5), row("set by hand", "lr=2", 0.6)
    for rows, wanted in (([hand, plain, tuned], tuned), ([hand, better, plain], plain), ([hand, better], better)):
        (chosen,) = chosen_rows(board._replace(rows=rows)).values()
        assert chosen is wanted


def test_a_task_stands_by_its_first_track_as_it_is_by_default():
    changed = board_of(
        1, {"a": [0.5] * 3}, name="task-0", config_passed={"samples": 9}, config={"samples": 9, "forget_class": 3}
    )
    (board,) = standard_boards(rank_all([*board_of(0, {"a": [0.5] * 3}), *changed]))
    assert board.title == "task-0 · forgetting"
    (only,) = standard_boards(rank_all(changed))
    assert only.task_config == "samples=9"


def test_rows_with_all_cases_are_counted_as_if_every_two_were_compared():
    names = {f"m-{index}": [0.5 + 0.03 * ((index * 7 + seed * 5) % 6) for seed in range(3)] for index in range(6)}
    (board,) = [one for one in rank_all(board_of(0, names)) if "forg" in one.title]
    rows = [row for row in board.rows if row.role == "method"]
    quick = share_draws(rows, np.random.default_rng(2), 200)
    # A row that lacks a case makes the slow way necessary; among the others it changes nothing.
    for index, row in enumerate(rows):
        beaten = sum(
            0.5 if math.isclose(row.score, other.score) else row.score > other.score
            for other in rows
            if other is not row
        )
        assert quick[0, index] == pytest.approx(beaten / (len(rows) - 1))
    short = rows[0]._replace(scores=dict(list(rows[0].scores.items())[:2]))
    slow = share_draws([short, *rows[1:]], np.random.default_rng(2), 200)
    others = share_draws(rows[1:], np.random.default_rng(2), 200)
    without_first = slow[:, 1:] * 5 - slow_wins_over_first(rows, short)
    assert np.allclose(without_first, others * 4)


def slow_wins_over_first(rows, short):
    """What each of the other rows wins against the first, draw by draw."""
    return np.stack([share_draws([short, row], np.random.default_rng(2), 200)[:, 1] for row in rows[1:]], axis=1)
