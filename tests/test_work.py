"""What a run took, as a share of retraining and in training steps."""

import pytest

from helpers import RETRAINING, anchors, asked_for, between, make_cost, make_record
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard.columns import Where, columns_of
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.work import Share, percent, share_of_retraining, time_in_steps, unsteady, work

EXACT = {"backward_samples": 100}


def test_work_counts_samples_and_those_that_pass_backwards_twice():
    assert work(make_cost(1.0, 300, backward_samples=100)) == Share(500.0, False)
    assert work(make_cost(1.0, 300, forward_passes=6, backward_passes=2)) == Share(300 + 2 * 100, True)
    assert work(make_cost(1.0, 300, backward_passes=0)) == Share(300.0, False)
    assert work(make_cost(1.0, 0, forward_passes=0)) is None


def with_cost(method, seed=0, task=None, **changes):
    return make_record(method, seed, between(0.5), task=task or asked_for(3), cost=make_cost(10.0, **changes))


def test_the_share_is_of_the_oracles_of_the_same_request_mean_over_runs():
    oracles = {
        "forget_class=3": [with_cost("oracle", seed, samples=1000 * (seed + 1), **EXACT) for seed in (0, 1)],
        "forget_class=8": [with_cost("oracle", 0, asked_for(8), samples=800, **EXACT)],
    }
    runs = [with_cost("a", samples=200, **EXACT), with_cost("a", 0, asked_for(8), samples=300, **EXACT)]
    assert share_of_retraining(runs, oracles) == pytest.approx(((400 / 1700 + 500 / 1000) / 2, False))
    estimated = with_cost("a", samples=200)
    assert share_of_retraining([estimated], oracles).about
    assert share_of_retraining([with_cost("a", 0, asked_for(0), samples=1)], oracles) is None
    assert share_of_retraining(runs, {}) is None


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (0.00042, "0.042 %"), (0.056, "5.6 %"), (0.27, "27 %")])
def test_small_shares_are_not_rounded_away(share, text):
    assert percent(share) == text
    assert str(Share(share, True)) == f"about {text}"


def test_over_a_quarter_of_retraining_is_shown_and_placed_and_not_ranked():
    dear = [make_record("dear", s, between(0.9), cost=make_cost(1.0, RETRAINING // 3)) for s in range(3)]
    cheap = [make_record("cheap", s, between(0.5)) for s in range(3)]
    (board,) = rank_all([*anchors(), *dear, *cheap])
    found = {row.name: row for row in board.rows}
    assert [row.name for row in board.rows] == ["oracle", "dear", "cheap", "original"]
    assert (found["dear"].rank, found["cheap"].rank) == (None, 1)
    assert found["dear"].score == pytest.approx(0.9)
    assert "over a quarter: shown, not ranked" in found["dear"].notes[0]
    assert "without a rank: dear (about 33 %)" in board.notes[0]
    (rank, retraining) = [column for column in columns_of(board, Where.SITE) if column.key in ("rank", "retraining")]
    assert (rank.text(found["dear"]), retraining.text(found["dear"])) == ("–", "about 33 %")
    assert retraining.text(found["oracle"]) == "about 100 %"


def test_seconds_are_shown_in_reference_steps_where_those_were_timed():
    timed = make_cost(42.0, reference_step_seconds=[0.09, 0.1, 0.1, 0.12])
    assert time_in_steps([timed]) == pytest.approx(420)
    assert time_in_steps([timed, make_cost(42.0)]) is None
    records = [
        *anchors(),
        make_record("new", 0, between(0.5), cost=timed),
        make_record("old", 0, between(0.5), seconds=42.0),
    ]
    (board,) = rank_all(records)
    (time,) = [column for column in columns_of(board, Where.SITE) if column.key == "unlearn_seconds"]
    assert {row.name: time.text(row) for row in board.rows}["new"] == "420 train steps"
    assert {row.name: time.text(row) for row in board.rows}["old"] == "42 s"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], None),
        ([0.1] * 6, None),
        ([0.1, 0.11, 0.1, 0.12, 0.11, 0.12], None),
        ([0.1, 0.1, 0.1, 0.13, 0.13, 0.13], "100 ms before the run and 130 ms after it"),
        ([0.13, 0.13, 0.13, 0.1, 0.1, 0.1], "130 ms before the run and 100 ms after it"),
        ([0.1, 0.1, 0.1, 0.18, 0.18, 0.1, 0.1, 0.1, 0.1, 0.1], "100 to 180 ms"),
    ],
)
def test_a_run_while_which_the_machine_changed_says_so(steps, said):
    sentence = unsteady(make_cost(1.0, reference_step_seconds=steps))
    assert (sentence is None) == (said is None)
    assert said is None or said in sentence


def test_the_rows_page_says_so_too(tmp_path):
    shaky = make_cost(1.0, reference_step_seconds=[0.1, 0.1, 0.2, 0.2])
    for record in [*anchors(), make_record("a", 0, between(0.5), cost=shaky)]:
        write_record(tmp_path / "results", record)
    built = build_board([tmp_path / "results"], tmp_path / "site")
    assert (
        "Seed 0: A training step took 100 ms before the run"
        in next(built.page.parent.glob("rows/*-a.html")).read_text()
    )
