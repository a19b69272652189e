"""Gates, scores, intervals and tie groups on made-up boards."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GOOD, UNTOUCHED, anchors, between, make_record
from unlearnbench.benchmark.records.record import Device, Status
from unlearnbench.leaderboard.ranking import rank_all

SEEDS = (0, 1, 2)


def runs(method, shares, **changes):
    return [make_record(method, seed, between(share), **changes) for seed, share in zip(SEEDS, shares, strict=False)]


def rows(records):
    return {row.name: row for row in rank_all(records)[0].rows}


def test_original_scores_zero_and_oracle_one():
    found = rows(anchors())
    assert found["original"].score == 0
    assert found["oracle"].score == 1
    assert found["original"].rank is None
    assert found["oracle"].rank is None


def test_a_score_is_the_geometric_mean_of_components_and_utility():
    values = {**GOOD, "forget_accuracy": 0.01 + 0.98 * 0.2, "oracle_distance": 20 + 80 * 0.5, "fid_retain": 1.25}
    row = rows([*anchors((0,)), make_record("sfron", 0, values)])["sfron"]
    assert row.component("removal") == pytest.approx(0.8)
    assert row.component("likeness") == pytest.approx(0.5)
    assert row.component("leakage") == pytest.approx(1.0)
    assert row.component("utility") == pytest.approx(0.5)  # half of the FID's margin is used up
    assert row.score == pytest.approx((0.8 * 0.5 * 1.0 * 0.5) ** 0.25)


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.5, 1.5))
def test_scores_stay_between_zero_and_one_and_overshooting_costs(share):
    row = rows([*anchors((0,)), make_record("sfron", 0, between(share))])["sfron"]
    assert 0 <= row.score <= 1
    if share > 1.01:  # less of the forgotten class than the oracle draws is not better
        assert row.component("removal") < 1
        assert row.component("likeness") == 1


@pytest.mark.parametrize(
    ("metric", "value"),
    [("retain_accuracy", 0.93), ("retain_accuracy_worst", 0.8), ("fid_retain", 1.6), ("coverage", 0.7)],
)
def test_each_gate_sends_a_run_to_zero(metric, value):
    row = rows([*anchors((0,)), make_record("sfron", 0, between(1.0, **{metric: value}))])["sfron"]
    assert row.score == 0
    assert len(row.failed_gates) == 1
    assert row.failed_gates[0].startswith(metric + " ")


def test_an_undefined_metric_scores_as_badly_as_can_be():
    row = rows([*anchors((0,)), make_record("sfron", 0, {**GOOD, "fid_retain": None})])["sfron"]
    assert row.score == 0
    assert "fid_retain" in row.failed_gates[0]


def test_a_missing_metric_scores_as_badly_as_can_be():
    values = {name: value for name, value in GOOD.items() if name not in ("oracle_distance", "coverage")}
    row = rows([*anchors((0,)), make_record("sfron", 0, values)])["sfron"]
    assert row.score == 0
    assert "coverage" in row.failed_gates[0]


def test_a_family_that_is_not_known_gets_a_board_without_scores_that_says_what_to_do():
    record = make_record("sfron")
    record = record.model_copy(update={"task": record.task.model_copy(update={"family": "new-family"})})
    board = rank_all([record])[0]
    assert board.note == (
        "No scores: the family 'new-family' is not known here; name the file that declares it with --plugin FILE."
    )
    assert board.rows[0].score is None


def test_seeds_of_an_older_source_are_not_averaged_with_newer_ones():
    old = [make_record("a", seed, between(0.2)) for seed in SEEDS]
    newer = make_record("a", 0, between(0.8), run_id="b" * 64, created="2026-02-01T00:00:00Z")
    newer = newer.model_copy(update={"method": newer.method.model_copy(update={"source_sha256": "3" * 64})})
    (board,) = rank_all([*anchors(), *old, newer])
    (row,) = [row for row in board.rows if row.name == "a"]
    assert [run.record.run_id for run in row.runs] == [newer.run_id]


def test_methods_that_the_seeds_separate_get_different_ranks_and_others_share_one():
    records = [
        *anchors(),
        *runs("zebra", [0.90, 0.91, 0.92]),
        *runs("apple", [0.91, 0.90, 0.915]),
        *runs("worse", [0.40, 0.41, 0.42]),
    ]
    ranked = [(row.name, row.rank) for row in rank_all(records)[0].rows if row.rank]
    assert ranked == [("apple", 1), ("zebra", 1), ("worse", 3)]


def test_a_difference_within_the_spread_of_the_seeds_is_no_difference():
    records = [*anchors(), *runs("a", [0.9, 0.5, 0.7]), *runs("b", [0.4, 0.8, 0.6])]
    assert {row.rank for row in rank_all(records)[0].rows if row.rank} == {1}


def test_with_one_seed_the_sampling_of_the_metrics_decides():
    close = [*anchors((0,)), *runs("a", [0.90]), *runs("b", [0.895])]
    assert {row.rank for row in rank_all(close)[0].rows if row.rank} == {1}
    apart = [*anchors((0,)), *runs("a", [0.90]), *runs("b", [0.3])]
    assert [row.rank for row in rank_all(apart)[0].rows if row.rank] == [1, 2]


def test_the_interval_over_seeds_is_students():
    row = rows([*anchors(), *runs("a", [0.5, 0.6, 0.7])])["a"]
    scores = [run.score for run in row.runs]
    mean, spread = sum(scores) / 3, (max(scores) - min(scores)) / 2
    assert row.interval.low == pytest.approx(mean - 4.3027 * spread / 3**0.5, abs=0.02)


def test_a_failed_run_counts_as_zero_and_is_shown():
    records = [*anchors(), *runs("a", [0.9, 0.9]), make_record("a", 2, status=Status.DIVERGED, reason="NaN")]
    row = rows(records)["a"]
    assert row.score == pytest.approx(2 / 3 * row.runs[0].score)
    assert [record.reason for record in row.failures] == ["NaN"]


def test_cheats_are_ranked_with_the_methods_and_references_are_not():
    cheat = between(1.0, unconditional_forget_share=UNTOUCHED["unconditional_forget_share"])
    records = [
        *anchors(),
        *runs("honest", [0.5, 0.5, 0.5]),
        *[make_record("cheat-remap", s, cheat, role="cheat") for s in SEEDS],
    ]
    found = rows(records)
    assert found["honest"].rank == 1
    assert (found["cheat-remap"].rank, found["cheat-remap"].score) == (2, 0)


def test_without_references_there_is_no_score_but_a_way_to_get_one():
    board = rank_all([make_record("sfron")])[0]
    assert board.rows[0].score is None
    assert "`unlearnbench run digits-ddpm original`" in board.note
    assert "`unlearnbench run digits-ddpm oracle`" in board.note


def test_devices_are_never_mixed():
    other = Device(kind="cuda", name="Test GPU", threads=1, driver="580")
    records = [*anchors(), *runs("a", [0.9, 0.9, 0.9]), *[make_record("a", s, GOOD, device=other) for s in SEEDS]]
    boards = rank_all(records)
    assert [(board.device, board.note is None) for board in boards] == [
        ("cpu · Test CPU · 1 thread · fp32", True),
        ("cuda · Test GPU · 1 thread · fp32 · driver 580", False),
    ]


def test_of_a_run_made_twice_the_newer_record_counts():
    old = make_record("a", 0, between(0.2), run_id="a" * 64)
    new = make_record("a", 0, between(0.8), run_id="b" * 64, created="2026-02-01T00:00:00Z")
    (board,) = rank_all([*anchors(), new, old])
    (row,) = [row for row in board.rows if row.name == "a"]
    assert [run.record.run_id for run in row.runs] == [new.run_id]


def test_settings_make_a_row_of_their_own():
    records = [*anchors(), *runs("a", [0.9]), *runs("a", [0.5], passed={"lr": 0.1})]
    assert {"a", "a (lr=0.1)"} <= rows(records).keys()


def test_the_order_of_the_records_does_not_matter():
    records = [*anchors(), *runs("a", [0.9, 0.8, 0.85]), *runs("b", [0.5, 0.6, 0.7])]
    assert rank_all(records) == rank_all(records[::-1])
