"""``unlearnbench compare`` as a user calls it, and the frames of ``unlearnbench.records`` and ``unlearnbench.metrics``."""

import json

import numpy as np
import pytest

import unlearnbench as ub
from helpers import GOOD, TASK, anchors, between, make_record
from unlearnbench.benchmark.records.record import Status
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard.ranking import rank_all


@pytest.fixture
def records(tmp_path):
    found = [*anchors()]
    for name, shares in {"a": (0.9, 0.91, 0.92), "b": (0.5, 0.5, 0.52)}.items():
        found += [make_record(name, seed, between(share)) for seed, share in enumerate(shares)]
    found.append(make_record("late", 7, GOOD))
    for record in found:
        write_record(tmp_path / "results", record)
    return found


def test_the_folder_results_is_read_beside_the_shipped_records(cli, records):
    done = cli("compare", "a", "b")
    assert done.returncode == 0, done.stderr
    assert "a is better" in done.stdout
    done = cli("compare", "salun", "relabel", "--task", "digits-ddpm", "--json")
    assert {board["task"] for board in json.loads(done.stdout)["boards"]} == {"digits-ddpm"}


def test_other_folders_and_outputs(cli, records, tmp_path):
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    arguments = ("compare", "a", "b", "--no-committed", "--results", "elsewhere")
    done = cli(*arguments, "--markdown", "--plot", "plots/ab.svg")
    assert done.returncode == 0, done.stderr
    assert "| `a` | `b` |" in done.stdout
    assert "**a is better**" in done.stdout
    assert (tmp_path / "plots" / "ab.svg").read_text().startswith("<svg")
    (tmp_path / "elsewhere" / "broken.json").write_text("{")
    done = cli(*arguments)
    assert done.returncode == 1
    assert "elsewhere/broken.json is not whole JSON" in done.stderr
    assert "a is better" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a", "bb"), "There is no method with records named 'bb'; did you mean b"),
        (("a",), "'a' alone cannot be compared"),
        (("a", "b", "--results", "nowhere"), "There is no results folder nowhere"),
        (
            ("a", "late"),
            "No two of these methods share a request and a seed on digits-ddpm: 'a' has 0, 1, 2; 'late' has 7",
        ),
        (("a", "b", "--plot", "x.png"), "'x.png' does not end in .svg"),
        (("a", "b", "--json", "--markdown"), "--json and --markdown exclude each other"),
        (("a", "salun"), "No board holds two of these methods: 'a' was run on digits-ddpm (task 1111111111)"),
    ],
)
def test_a_mistake_is_one_sentence(cli, records, arguments, says):
    done = cli("compare", *arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_without_any_record_the_folder_is_missed(cli, tmp_path):
    assert "There is no results folder results" in cli("compare", "a", "b", "--no-committed").stderr


def test_the_frame_of_records_has_a_row_a_run_with_the_boards_scores(records, tmp_path):
    failed = make_record("b", 3, status=Status.FAILED, reason="no luck")
    write_record(tmp_path / "results", failed)
    frame = ub.records([tmp_path / "results"], committed=False)
    assert len(frame) == len(records) + 1
    (board,) = rank_all([*records, failed])
    for row in board.rows:
        found = frame[frame.method == row.method]
        assert list(found.seed) == sorted(found.seed)
        assert found.score_forgetting.mean() == pytest.approx(row.score)
    (first,) = frame[(frame.method == "a") & (frame.seed == 0)].to_dict("records")
    assert first["forget_accuracy_resnet"] == pytest.approx(between(0.9)["forget_accuracy"])
    assert first["unlearn_seconds"] == 10.0
    (failure,) = frame[frame.status == "failed"].to_dict("records")
    assert failure["score_forgetting"] == 0
    assert np.isnan(failure["relearned_forgetting"])


def test_tracks_and_settings_of_a_task_are_told_apart(tmp_path):
    shipped = ub.records()
    mae = shipped[shipped.task == "digits-mae"]
    assert "score" not in mae.dropna(axis=1)
    assert mae.filter(like="_forgetting").isna().all(axis=None)
    assert mae[["score_suppression", "score_indistinguishability"]].notna().all(axis=None)
    other = TASK.model_copy(update={"config_passed": {"forget_class": 7}, "sha256": "7" * 64})
    write_record(tmp_path, make_record("a", 0, GOOD, task=other))
    frame = ub.records([tmp_path], committed=False)
    assert (list(frame.task_config), list(frame.request)) == ([""], ["forget_class=3"])
    sized = TASK.model_copy(
        update={"config_passed": {"forget_class": 7, "size": 9}, "config": {"forget_class": 7, "size": 9}}
    )
    write_record(tmp_path, make_record("a", 1, GOOD, task=sized))
    frame = ub.records([tmp_path], committed=False)
    assert (list(frame.task_config), list(frame.request)) == (["", "size=9"], ["forget_class=3", "forget_class=7"])


def test_the_frame_of_metrics_has_a_row_a_metric(records, tmp_path):
    frame = ub.metrics([tmp_path / "results"], committed=False)
    assert len(frame) == len(records) * len(GOOD)
    (row,) = frame[(frame.method == "late") & (frame.name == "coverage")].to_dict("records")
    assert (row["seed"], row["value"], row["judge"]) == (7, 0.9, "resnet")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.89, 0.91))


def test_frames_of_nothing_are_empty_and_a_broken_file_is_warned_of(tmp_path):
    assert ub.records([tmp_path], committed=False).empty
    assert ub.metrics([tmp_path], committed=False).empty
    (tmp_path / "broken.json").write_text("{")
    with pytest.warns(UserWarning, match=r"broken\.json is not whole JSON"):
        ub.records([tmp_path], committed=False)


def test_a_comparison_carries_what_could_not_be_read(records, tmp_path):
    (tmp_path / "results" / "broken.json").write_text("{")
    found = ub.compare(["a", "b"], folders=[tmp_path / "results"], committed=False)
    assert len(found.problems) == 1
    assert repr(found) == "digits-ddpm · forgetting: a and b: a is better"
