"""Gates, scores, intervals and ranks on made-up boards."""

import io
import math
import re
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from helpers import GOOD, UNTOUCHED, anchors, asked_for, between, make_record
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.family import Component, Track
from unlearnbench.benchmark.records.record import Device, Status
from unlearnbench.leaderboard.ranking import rank, rank_all
from unlearnbench.leaderboard.ranks import with_ranks
from unlearnbench.leaderboard.scoring import FLOOR
from unlearnbench.leaderboard.significance import holm, paired_p_value
from unlearnbench.leaderboard.site.build import Site
from unlearnbench.leaderboard.terminal import print_ranking

SEEDS = (0, 1, 2)


def runs(method, shares, **changes):
    return [make_record(method, seed, between(share), **changes) for seed, share in zip(SEEDS, shares, strict=False)]


def rows(records):
    return {row.name: row for row in rank_all(records)[0].rows}


def test_original_scores_the_floor_and_oracle_one():
    found = rows(anchors())
    assert found["original"].score == pytest.approx(FLOOR)
    assert found["oracle"].score == 1
    assert found["original"].rank is None
    assert found["oracle"].rank is None


def test_a_score_is_the_geometric_mean_of_components_times_utility():
    fid = 1 + 0.1 + 0.65 / 2
    values = {**GOOD, "forget_accuracy": 0.01 + 0.98 * 0.2, "inverted_loss": 0.07 + 0.03 * 0.5, "fid_retain": fid}
    row = rows([*anchors((0,)), make_record("sfron", 0, values)])["sfron"]
    assert row.component("asked") == pytest.approx(0.8)
    assert row.component("unasked") == pytest.approx(1.0)
    assert row.component("inverted") == pytest.approx(0.5)
    assert row.component("relearned") == pytest.approx(1.0)
    assert row.component("utility") == pytest.approx(0.5)  # half of the FID's margin beyond its noise is used up
    assert row.score == pytest.approx((0.8 * 0.5) ** 0.25 * 0.5)


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.5, 1.5))
def test_a_score_rises_to_the_oracles_and_going_beyond_is_no_better_and_no_worse(share):
    row = rows([*anchors((0,)), make_record("sfron", 0, between(share))])["sfron"]
    assert row.score == pytest.approx(min(max(share, FLOOR), 1))


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.5, 2.5))
def test_to_be_alike_costs_on_both_sides_in_units_of_the_spread_between_oracles(share):
    gap = registry.families.find("class-forgetting").quantity("forget_gap")
    track = Track((Component("unasked", gap, "alike", ""),), ())
    oracles = [make_record("oracle", seed, between(1 + off)) for seed, off in zip(SEEDS, (-0.1, 0, 0.1), strict=True)]
    board = rank([make_record("original", 0, UNTOUCHED), *oracles, make_record("a", 0, between(share))], track)
    (row,) = [row for row in board.rows if row.name == "a"]
    off = abs(share - 1)  # a spread is a tenth of the way
    assert row.component("unasked") == pytest.approx(
        min(max(math.log(1 / max(off, 0.2)) / math.log(5), 0), 1), abs=1e-6
    )


def test_one_component_near_zero_does_not_send_a_run_to_zero():
    row = rows([*anchors((0,)), make_record("a", 0, between(1.0, relearned_gap=-0.001))])["a"]
    assert row.score == pytest.approx(FLOOR**0.25)


def test_an_oracle_is_scored_by_the_others():
    low = between(1.0, forget_gap=0.02)
    found = rows([make_record("original", 0, UNTOUCHED), make_record("oracle", 0, low), make_record("oracle", 1, GOOD)])
    assert [run.components["unasked"] for run in found["oracle"].runs] == [pytest.approx(2 / 3), 1.0]


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 0.3))
@example(0.2)
def test_a_gate_costs_nothing_within_noise_and_everything_at_its_margin(behind):
    row = rows([*anchors((0,)), make_record("a", 0, between(1.0, coverage=GOOD["coverage"] - behind))])["a"]
    assert row.component("utility") == pytest.approx(min(1, max(0, 1 - (behind - 0.04) / 0.16)))
    assert bool(row.failed_gates) == (behind > 0.2 + 1e-9)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("retain_loss", 0.09),
        ("retain_accuracy", 0.9),
        ("retain_accuracy_worst", 0.7),
        ("fid_retain", 1.8),
        ("coverage", 0.69),
    ],
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
    values = {name: value for name, value in GOOD.items() if name not in ("inverted_loss", "coverage")}
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


def test_a_rank_is_one_more_than_the_rows_that_are_better_beyond_doubt():
    records = [
        *anchors(),
        *runs("zebra", [0.90, 0.91, 0.92]),
        *runs("apple", [0.91, 0.90, 0.915]),
        *runs("worse", [0.40, 0.41, 0.42]),
        *runs("mixed", [0.2, 0.9, 0.5]),
    ]
    ranked = {row.name: row.rank_range for row in rank_all(records)[0].rows if row.rank}
    assert list(ranked) == ["zebra", "apple", "mixed", "worse"]  # by score
    assert ranked == {"zebra": (1, 3), "apple": (1, 3), "mixed": (1, 4), "worse": (3, 4)}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=2, max_size=6))
def test_ranks_are_those_of_pairwise_tests_with_holms_correction(shares):
    records = [
        *anchors(),
        *(run for number, row in enumerate(shares) for run in runs(f"m{number}", [s / 20 for s in row])),
    ]
    ranked = [row for row in rank_all(records)[0].rows if row.rank]
    pairs = list(combinations(ranked, 2))
    p_values = holm([paired_p_value(*(list(row.scores.values()) for row in pair)) for pair in pairs])
    ahead: dict[str, set[str]] = {row.name: set() for row in ranked}
    behind: dict[str, set[str]] = {row.name: set() for row in ranked}
    for (a, b), p_value in zip(pairs, p_values, strict=True):
        if p_value < 0.05:
            best, other = (a, b) if a.score > b.score else (b, a)
            ahead[other.name].add(best.name)
            behind[best.name].add(other.name)
    for place, row in enumerate(ranked):
        first = set().union(*(ahead[above.name] for above in ranked[: place + 1]))
        last = set().union(*(behind[below.name] for below in ranked[place:]))
        assert row.rank_range == (1 + len(first), len(ranked) - len(last))
    assert [row.rank for row in ranked] == sorted(row.rank for row in ranked)


def test_a_row_whose_runs_scatter_does_not_rank_before_steadier_ones_that_score_more():
    records = [
        *anchors((0, 1, 2, 3)),
        *runs("steady", [0.90, 0.91, 0.92, 0.90]),
        *runs("good", [0.70, 0.71, 0.70, 0.72]),
        *runs("wild", [0.05, 0.9, 0.4, 0.6]),
    ]
    ranks = {row.name: row.rank_range for row in rank_all(records)[0].rows if row.rank}
    assert ranks == {"steady": (1, 2), "good": (2, 3), "wild": (2, 3)}


def test_rows_that_are_far_apart_and_share_a_rank_have_a_printed_reason():
    records = [*anchors(), *runs("a", [0.9, 0.95, 0.85]), *runs("b", [0.1, 0.6, 0.3]), *runs("c", [0.6, 0.7, 0.8])]
    (board,) = rank_all(records)
    assert {row.rank for row in board.rows if row.rank} == {1}
    (reason,) = board.ties
    assert reason.startswith("b (0.")
    assert "shares rank 1 with a (0.90; 3 shared runs, p = 0." in reason
    assert re.search(r"\d+ seeds would tell", reason)


def test_two_hundred_rows_of_six_runs_rank_within_seconds():
    generator = np.random.default_rng(0)
    tasks = [asked_for(digit) for digit in (3, 0, 8)]
    records = [record for task in tasks for record in anchors((0, 1), task=task)]
    for number in range(200):
        mean = generator.uniform(0.1, 0.9)
        records += [
            make_record(f"m{number}", seed, between(mean + 0.05 * generator.normal()), task=task)
            for task in tasks
            for seed in (0, 1)
        ]
    start = time.process_time()
    (board,) = rank_all(records)
    assert time.process_time() - start < 10
    start = time.process_time()
    placed, _ = with_ranks(board.rows)
    assert time.process_time() - start < 3
    assert len({row.rank for row in placed if row.rank}) > 20


def test_a_difference_within_the_spread_of_the_seeds_is_no_difference():
    records = [*anchors(), *runs("a", [0.9, 0.5, 0.7]), *runs("b", [0.4, 0.8, 0.6])]
    assert {row.rank for row in rank_all(records)[0].rows if row.rank} == {1}


def test_with_one_seed_the_sampling_of_the_metrics_decides():
    close = [*anchors((0,)), *runs("a", [0.90]), *runs("b", [0.895])]
    assert {row.rank for row in rank_all(close)[0].rows if row.rank} == {1}
    apart = [*anchors((0,)), *runs("a", [0.90]), *runs("b", [0.3])]
    assert [row.rank_range for row in rank_all(apart)[0].rows if row.rank] == [(1, 1), (2, 2)]


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
    cheat = {**UNTOUCHED, "forget_accuracy": GOOD["forget_accuracy"]}
    records = [
        *anchors(),
        *runs("honest", [0.5, 0.5, 0.5]),
        *[make_record("cheat-remap", s, cheat, role="cheat") for s in SEEDS],
    ]
    found = rows(records)
    assert found["honest"].rank == 1
    assert (found["cheat-remap"].rank, found["cheat-remap"].score) == (2, pytest.approx(FLOOR**0.75))


def test_without_references_there_is_no_score_but_a_way_to_get_one():
    board = rank_all([make_record("sfron")])[0]
    assert board.rows[0].score is None
    assert "`unlearnbench run digits-ddpm original`" in board.note
    assert "`unlearnbench run digits-ddpm oracle`" in board.note


def test_quality_from_any_device_stands_together_and_the_newest_record_of_a_run_counts():
    other = Device(kind="cuda", name="Test GPU", threads=1, driver="580")
    newer = make_record("a", 2, between(0.3), device=other, created="2026-02-01T00:00:00Z")
    records = [*anchors(), *runs("a", [0.9, 0.8, 0.7]), newer, make_record("b", 0, GOOD, device=other)]
    (board,) = rank_all(records)
    found = {row.name: row for row in board.rows}
    assert [round(run.score, 3) for run in found["a"].runs] == [0.9, 0.8, 0.3]
    assert found["a"].devices == ["cpu · Test CPU · 1 thread · fp32", "cuda · Test GPU · 1 thread · fp32 · driver 580"]
    assert found["b"].score == pytest.approx(1)
    assert board.devices == found["a"].devices


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


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_terminals_table_keeps_names_and_numbers_whole_and_leaves_out_what_has_no_room(width):
    records = [*anchors(), *runs("a-method-with-a-long-name", [0.9, 0.8, 0.85], passed={"lr": 0.1})]
    (board,) = rank_all(records)
    out = Console(file=io.StringIO(), width=width)
    print_ranking(out, Site(Path(), [board], [], [], frozenset()))
    text = out.file.getvalue()
    for row in board.rows:
        assert row.method in text
        assert f"{row.score:.3f}" in text
    assert ("kept loss" in text) == (width == 200)
    assert max(map(len, text.splitlines())) <= width
