"""Pairs of methods on made-up boards: differences, intervals, Holm, the seeds that would tell, and refusals."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from helpers import CPU, GOOD, TASK, anchors, asked_for, between, make_metric, make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.record import Device, Status
from unlearnbench.leaderboard.comparison.compare import compare_records
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.significance import paired_p_value, seeds_to_separate


def runs(method, shares, **changes):
    return [make_record(method, seed, between(share), **changes) for seed, share in enumerate(shares)]


def scores(records, name):
    (row,) = [row for row in rank_all(records)[0].rows if row.name == name]
    return [run.score for run in row.runs]


def pairs(records, *methods):
    (board,) = compare_records(records, methods).boards
    return {(pair.first, pair.second): pair for pair in board.pairs}


THREE = [
    *anchors(),
    *runs("a", [0.90, 0.91, 0.92]),
    *runs("b", [0.80, 0.82, 0.80]),
    *runs("c", [0.70, 0.95, 0.83]),
]


def test_a_pair_is_the_paired_t_test_of_its_scores():
    pair = pairs(THREE, "a", "b")["a", "b"]
    differences = np.subtract(scores(THREE, "a"), scores(THREE, "b"))
    assert pair.score.value == pytest.approx(differences.mean())
    assert pair.score.first - pair.score.second == pytest.approx(pair.score.value)
    assert pair.score.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    half = stats.t.ppf(0.975, 2) * stats.sem(differences)
    assert pair.score.interval.low == pytest.approx(differences.mean() - half, abs=0.25 * half)
    assert pair.score.interval.high == pytest.approx(differences.mean() + half, abs=0.25 * half)
    assert (pair.better, pair.needed, pair.verdict) == ("a", None, "a is better")


def test_p_values_are_corrected_over_the_pairs_by_holms_steps():
    found = pairs(THREE, "a", "b", "c")
    raw = {key: pair.score.p_value for key, pair in found.items()}
    smallest, middle, largest = sorted(raw, key=raw.get)
    first = min(1, 3 * raw[smallest])
    second = max(first, min(1, 2 * raw[middle]))
    third = max(second, raw[largest])
    assert found[smallest].p_holm == pytest.approx(first)
    assert found[middle].p_holm == pytest.approx(second)
    assert found[largest].p_holm == pytest.approx(third)
    assert pairs(THREE, "a", "c")["a", "c"].p_holm == raw["a", "c"]


def test_a_pair_that_the_seeds_do_not_tell_apart_says_how_many_would():
    found = pairs(THREE, "a", "b", "c")
    pair = found["b", "c"]
    assert pair.better is None
    differences = np.subtract(scores(THREE, "b"), scores(THREE, "c"))
    still_open = sum(other.better is None for other in found.values())
    # Holm's procedure stopped at 0.05 over the number of pairs that are still open.
    expected = seeds_to_separate(differences.mean(), differences.std(ddof=1), 0.05 / still_open)
    assert pair.needed.seeds == expected
    told = "more than 100" if expected is None else expected
    assert pair.verdict == f"not told apart; {told} seeds would"


def test_a_small_difference_within_a_wide_spread_needs_more_than_a_hundred():
    records = [*anchors(), *runs("a", [0.9, 0.5, 0.701]), *runs("b", [0.5, 0.9, 0.7])]
    assert pairs(records, "a", "b")["a", "b"].verdict == "not told apart; more than 100 seeds would"


@pytest.mark.parametrize("with_failure", [False, True])
def test_swapping_the_methods_turns_every_sign_and_changes_nothing_else(with_failure):
    records = THREE[:-1] if with_failure else THREE
    records = [*records, *([make_record("c", 2, status=Status.DIVERGED, reason="NaN")] if with_failure else [])]
    one, other = pairs(records, "a", "c")["a", "c"], pairs(records, "c", "a")["c", "a"]
    assert (one.p_holm, one.better, one.needed, one.cases) == (other.p_holm, other.better, other.needed, other.cases)
    for ours, theirs in zip([one.score, *one.parts], [other.score, *other.parts], strict=True):
        assert (ours.first, ours.second) == (theirs.second, theirs.first)
        assert ours.value == pytest.approx(-theirs.value, abs=1e-15)
        assert ours.interval == pytest.approx((-theirs.interval.high, -theirs.interval.low), abs=1e-12)
        assert ours.p_value == pytest.approx(theirs.p_value)
    assert one.time.value == pytest.approx(1 / other.time.value)


def test_components_and_metrics_stand_beside_the_score():
    pair = pairs(THREE, "a", "b")["a", "b"]
    names = [part.name for part in pair.parts]
    assert names[:5] == ["asked", "unasked", "inverted", "relearned", "utility"]
    assert "forget_accuracy, resnet" in names
    (accuracy,) = [part for part in pair.parts if part.name == "forget_accuracy, resnet"]
    # Each share of the way from 0.99 to 0.01 takes 0.98 of the accuracy.
    assert accuracy.value == pytest.approx(-0.98 * (0.91 - (0.80 + 0.82 + 0.80) / 3))
    assert all(-1 <= part.interval.low <= part.interval.high <= 1 for part in pair.parts if part.kind == "component")


def test_the_time_is_a_geometric_mean_of_ratios_over_shared_seeds():
    times = {"a": (10.0, 20.0, 40.0), "b": (5.0, 5.0, 5.0)}
    records = [*anchors()]
    for name, seconds in times.items():
        records += [make_record(name, seed, between(0.9), seconds=value) for seed, value in enumerate(seconds)]
    time = pairs(records, "a", "b")["a", "b"].time
    assert time.value == pytest.approx((2 * 4 * 8) ** (1 / 3))
    half = stats.t.ppf(0.975, 2) * stats.sem(np.log2([2, 4, 8]))
    assert np.log2(time.interval) == pytest.approx((2 - half, 2 + half), abs=0.1 * half)


def test_times_are_compared_between_equal_devices_alone():
    other = Device(kind="cuda", name="Test GPU", threads=1, driver="580")
    mixed = [make_record("b", seed, between(0.8), seconds=5.0, device=other if seed else CPU) for seed in range(3)]
    pair = pairs([*anchors(), *runs("a", [0.9] * 3), *mixed], "a", "b")["a", "b"]
    assert (len(pair.cases), pair.time.runs, pair.time.value) == (3, 1, pytest.approx(2))
    away = [record for record in mixed if record.device == other]
    assert pairs([*anchors(), *runs("a", [0.9] * 3), *away], "a", "b")["a", "b"].time is None


def test_pairs_are_over_requests_and_seeds_and_say_how_many_seeds_of_each_would_tell():
    tasks = [asked_for(digit) for digit in (0, 3, 8)]
    records = [record for task in tasks for record in anchors((0, 1), task=task)]
    shares = {"a": (0.9, 0.7, 0.5, 0.4, 0.6, 0.8), "b": (0.8, 0.7, 0.3, 0.5, 0.4, 0.8)}
    for name, values in shares.items():
        cases = [(task, seed) for task in tasks for seed in (0, 1)]
        records += [
            make_record(name, seed, between(s), task=task) for (task, seed), s in zip(cases, values, strict=True)
        ]
    comparison = compare_records(records, ["a", "b"])
    (pair,) = comparison.boards[0].pairs
    assert [(case.request, case.seed) for case in pair.cases] == [
        (f"forget_class={digit}", seed) for digit in (0, 3, 8) for seed in (0, 1)
    ]
    differences = np.subtract(*shares.values())
    assert pair.score.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    needed = seeds_to_separate(differences.mean(), differences.std(ddof=1), 0.05, most=300)
    assert pair.needed.seeds == math.ceil(needed / 3)
    assert pair.verdict == f"not told apart; {pair.needed.seeds} seeds of each request would"
    read = json.loads(comparison.json())["boards"][0]
    assert read["pairs"][0]["cases"][-1] == {"request": "forget_class=8", "seed": 1}
    assert "forget\\_class=0: 0, 1; forget\\_class=3: 0, 1" in comparison.markdown()


def test_one_shared_seed_is_the_normal_test_of_what_the_sampling_leaves_open():
    records = [*anchors((0,)), *runs("a", [0.90]), *runs("b", [0.895])]
    (board,) = compare_records(records, ["a", "b"]).boards
    (pair,) = board.pairs
    rows = {row.name: row.runs[0] for row in rank_all(records)[0].rows}
    error = math.hypot(rows["a"].error, rows["b"].error)
    assert pair.score.p_value == pytest.approx(2 * stats.norm.sf(abs(pair.score.value) / error))
    assert pair.score.interval.high - pair.score.value == pytest.approx(1.959964 * error)
    assert pair.needed.at_least
    assert pair.verdict.startswith("not told apart; at least ")
    assert "One shared seed (a and b)" in board.notes[0]


def test_the_same_on_every_seed_is_not_told_apart_by_any_number():
    pair = pairs([*anchors(), *runs("a", [0.9] * 3), *runs("b", [0.9] * 3)], "a", "b")["a", "b"]
    assert (pair.p_holm, pair.needed, pair.verdict) == (1.0, None, "the same on every seed")


def test_a_failed_run_counts_as_zero_on_its_seed():
    records = [*anchors(), *runs("a", [0.9] * 3), *runs("b", [0.9] * 2), make_record("b", 2, status=Status.FAILED)]
    pair = pairs(records, "a", "b")["a", "b"]
    assert [case.seed for case in pair.cases] == [0, 1, 2]
    assert pair.score.value == pytest.approx(scores(records, "a")[2] / 3)
    assert pair.parts[0].runs == 2
    (board,) = compare_records(records, ["a", "b"]).boards
    assert "b: 1 of 3 runs failed and count as 0, as on the board." in board.notes


def test_only_shared_seeds_count():
    records = [*anchors(), *runs("a", [0.9, 0.8, 0.7]), *runs("b", [0.5, 0.5])]
    assert [case.seed for case in pairs(records, "a", "b")["a", "b"].cases] == [0, 1]


def test_the_p_values_are_those_that_the_board_ranks_by():
    names = ["a", "b", "c"]
    found = pairs(THREE, *names)
    for (first, second), pair in found.items():
        assert pair.score.p_value == paired_p_value(scores(THREE, first), scores(THREE, second))
    rank = {row.name: row.rank for row in rank_all(THREE)[0].rows if row.rank}
    # All of the board's ranked rows were named, so that the corrections agree, too.
    better = [pair.better for pair in found.values() if pair.better]
    for name in names:
        assert rank[name] == 1 + sum(name in pair and one.better not in (name, None) for pair, one in found.items())
    assert len(better) < 3


def test_where_verdict_and_ranks_look_different_a_note_says_why():
    records = [*anchors(), *runs("a", [0.90, 0.91, 0.92]), *runs("b", [0.80, 0.83, 0.80])]
    records += [run for index in range(12) for run in runs(f"other-{index}", [0.9, 0.8, 0.85])]
    (board,) = compare_records(records, ["a", "b"]).boards
    assert board.pairs[0].better == "a"
    assert {row.rank for row in board.rows} == {1}
    assert "Told apart here and not on the board" in board.notes[0]
    assert board.notes[0].endswith("a and b.")


def test_a_bare_name_is_the_row_of_the_defaults_or_all_rows_of_the_method():
    records = [*anchors(), *runs("a", [0.9]), *runs("a", [0.5], passed={"lr": 0.1}), *runs("b", [0.8])]
    assert list(pairs(records, "a", "b")) == [("a", "b")]
    assert list(pairs(records, "a (lr=0.1)", "b")) == [("a (lr=0.1)", "b")]
    settled = [record for record in records if record.method.name != "a" or record.method.config_passed]
    settled += runs("a", [0.6], passed={"lr": 0.2})
    assert list(pairs(settled, "a")) == [("a (lr=0.2)", "a (lr=0.1)")]  # in the board's order


def test_boards_that_hold_one_of_the_methods_are_left_out_and_a_missing_one_is_named():
    other = TASK.model_copy(update={"name": "elsewhere", "sha256": "7" * 64})
    records = [*THREE, *[make_record("a", seed, GOOD, task=other) for seed in range(3)]]
    (board,) = compare_records(records, ["a", "b"]).boards
    assert board.task == "digits-ddpm"
    records += [make_record("c", seed, GOOD, task=other) for seed in range(3)]
    boards = compare_records(records, ["a", "b", "c"]).boards
    assert boards[1].notes[-1] == "Not on this board: b."


def test_without_scores_the_metrics_and_times_are_still_compared():
    comparison = compare_records([*runs("a", [0.9] * 3), *runs("b", [0.8] * 3)], ["a", "b"])
    (board,) = comparison.boards
    (pair,) = board.pairs
    assert (pair.score, pair.p_holm, pair.verdict) == (None, None, "no score")
    assert {part.kind for part in pair.parts} == {"metric"}
    assert pair.time.value == 1
    assert "No scores: the reference rows are missing" in board.notes[0]
    assert "no score" in comparison.plot().svg
    assert "no score" in comparison.markdown()


@pytest.mark.parametrize(
    ("methods", "tasks", "says"),
    [
        (["a", "bb"], None, "There is no method with records named 'bb'; did you mean b?"),
        (["a", "orcale"], None, "did you mean oracle or original?"),
        (["a", "b"], ["digit-ddpm"], "There is no task with records named 'digit-ddpm'; did you mean digits-ddpm?"),
        (["a"], None, "'a' alone cannot be compared; name a second method"),
        (["a", "a"], None, "'a' alone cannot be compared"),
        ([], None, "There is nothing to compare; name two methods or more."),
        (["a", "d"], None, "No board holds two of these methods: 'a' was run on digits-ddpm (task 1111111111); 'd'"),
        (
            ["a", "late"],
            None,
            "share a request and a seed on digits-ddpm: 'a' has 0, 1, 2; 'late' has 7; run one of them",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(methods, tasks, says):
    other = TASK.model_copy(update={"name": "elsewhere", "sha256": "7" * 64})
    records = [*THREE, make_record("d", 0, GOOD, task=other), make_record("late", 7, GOOD)]
    with pytest.raises(BenchmarkError) as error:
        compare_records(records, methods, tasks)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_no_record_at_all_is_one_sentence():
    with pytest.raises(BenchmarkError, match="There is no record to compare"):
        compare_records([], ["a", "b"])


def test_the_frame_and_the_json_hold_every_number():
    comparison = compare_records(THREE, ["a", "b", "c"])
    frame = comparison.frame()
    assert set(frame.kind) == {"score", "component", "metric", "ratio"}
    read = {(p["first"], p["second"]): p for p in json.loads(comparison.json())["boards"][0]["pairs"]}
    for (first, second), pair in pairs(THREE, "a", "b", "c").items():
        (row,) = frame[(frame.number == "score") & (frame["first"] == first) & (frame.second == second)].to_dict(
            "records"
        )
        assert (row["value"], row["ci_low"], row["ci_high"]) == (pair.score.value, *pair.score.interval)
        assert (row["p_holm"], row["verdict"]) == (pair.p_holm, pair.verdict)
        assert read[first, second]["score"]["value"] == pair.score.value
        assert len(read[first, second]["parts"]) == len(pair.parts)
    assert repr(comparison).splitlines()[0] == "digits-ddpm · forgetting: a and b: a is better"


HOSTILE = {"note": "`x` | <img src=x> @team *b*"}


def test_settings_stay_text_in_markdown_and_html():
    records = [*anchors(), *runs("a", [0.9] * 3, passed=HOSTILE), *runs("b", [0.8, 0.81, 0.8])]
    comparison = compare_records(records, ["a", "b"])
    table = [line for line in comparison.markdown().splitlines() if line.startswith("| `a ")]
    assert "| `a (note='x' / <img src=x> @team *b*)` | `b` |" in table[1]
    assert "<img" not in comparison._repr_html_()
    outside_code = "".join(comparison.markdown().split("`")[::2])
    assert "<img" not in outside_code
    assert "@team" not in outside_code
    assert "<img" not in comparison.plot().svg


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_terminals_table_keeps_names_and_numbers_whole(width):
    console = Console(width=width, record=True, file=io.StringIO())
    compare_records(THREE, ["a", "b"]).print(console)
    text = console.export_text()
    assert "+0.1" in text
    assert " a " in text.split("Differences")[0]
    assert ("relearned" in text) == (width == 200)


def test_an_undefined_metric_is_left_out_of_the_pairs_numbers():
    values = between(0.8, fid_retain=None)
    records = [*anchors(), *runs("a", [0.9] * 3), *[make_record("b", seed, values) for seed in range(3)]]
    pair = pairs(records, "a", "b")["a", "b"]
    assert "fid_retain, resnet" not in [part.name for part in pair.parts]
    assert make_metric("fid_retain", None).value is None
