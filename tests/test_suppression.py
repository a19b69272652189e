"""The score of a task without an oracle: zero signal is the goal, the original the limit."""

import pytest

from helpers import make_record
from unlearnbench.leaderboard.ranking import rank_all

RULED = {
    "forget_accuracy": 0.9,
    "inverted_accuracy": 0.8,
    "retain_accuracy": 0.8,
    "retain_accuracy_near": 0.8,
    "fid_retain": 10.0,
    "coverage": 0.9,
}


def suppressed(method, **changes):
    """A made-up record of the family."""
    record = make_record(method)
    metric = record.metrics[0]
    metrics = [
        metric.model_copy(update={"name": name, "value": value, "ci_low": value, "ci_high": value, "direction": "max"})
        for name, value in {**RULED, **changes}.items()
    ]
    family = record.task.model_copy(update={"family": "class-suppression", "name": "imagenet-dit"})
    return record.model_copy(update={"task": family, "metrics": metrics})


GONE = {"forget_accuracy": 0.0, "inverted_accuracy": 0.0}


def test_without_an_oracle_zero_signal_is_the_goal_and_the_original_the_limit():
    (board,) = rank_all(
        [
            suppressed("original"),
            suppressed("perfect", **GONE),
            suppressed("half", forget_accuracy=0.45, inverted_accuracy=0.4),
            suppressed("relabelled", forget_accuracy=0.0),
            suppressed("near", **GONE, retain_accuracy_near=0.59),
            suppressed("nearly", **GONE, retain_accuracy_near=0.73),
            suppressed("blurred", **GONE, fid_retain=15.1),
        ]
    )
    assert board.note is None
    found = {row.name: row for row in board.rows}
    assert (found["original"].score, found["perfect"].score) == (pytest.approx(0.01), 1)
    assert found["half"].score == pytest.approx(0.5)
    # Gone under its label alone, and all there for who fits another.
    assert found["relabelled"].component("inverted") == 0
    assert found["relabelled"].score == pytest.approx(0.1)
    assert found["near"].failed_gates == ["retain_accuracy_near at least the original - 0.2 (0.08 is noise)"]
    assert (found["near"].score, found["blurred"].score) == (0, 0)
    assert found["nearly"].score == 1  # within the noise


def test_without_the_original_the_note_asks_for_it_alone():
    note = rank_all([suppressed("perfect", **GONE)])[0].note
    assert "run imagenet-dit original" in note
    assert "oracle" not in note
