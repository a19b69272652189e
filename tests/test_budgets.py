"""Scores after some numbers of steps: the page says what the file holds, and the file what the suite was run with."""

import json

import pytest

from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.requests import load_suite
from unlearnbench.benchmark.running.tuned import SHIPPED, read_settings
from unlearnbench.docs.make import budgets
from unlearnbench.leaderboard.ranking import rank_all

FOUND = json.loads(budgets.NUMBERS.read_text())


def test_the_page_is_what_the_file_says():
    assert budgets.PAGE.read_text() == budgets.render(FOUND)


@pytest.mark.parametrize("task", FOUND)
def test_every_row_is_one_of_the_suite_on_every_request_of_the_board(task):
    asked = {
        (one.method, json.dumps(one.settings, sort_keys=True))
        for one in load_suite("budgets").requests()
        if one.task == task
    }
    rows = FOUND[task]
    assert {(row["method"], json.dumps(row["settings"], sort_keys=True)) for row in rows} == asked
    for row in rows:
        assert row["scores"].keys() == {f"forget_class={digit}" for digit in (0, 3, 8)}
        assert row["settings"]["steps"] == row["steps"]
        assert row["low"] <= row["score"] <= row["high"]


def test_all_but_the_steps_is_what_the_searches_found():
    for one in load_suite("budgets").requests():
        found = read_settings(SHIPPED / f"{one.task}.json").methods[one.method].settings
        assert {**one.settings, "steps": 0} == {**found, "steps": 0}


# The sentences of docs/findings.md.


def test_sfron_is_behind_tuned_rivals_after_fifty_steps_and_level_after_two_hundred():
    found = {(row["method"], row["steps"]): row for row in FOUND["digits-ddpm"]}
    early, later, late = (found["sfron", steps] for steps in (50, 200, 1000))
    assert [round(early[end], 2) for end in ("score", "low", "high")] == [0.33, 0.0, 0.68]
    assert [round(later[end], 2) for end in ("score", "low", "high")] == [0.66, 0.36, 0.95]
    assert sum(score == 0 for score in late["scores"].values()) == 2
    for name in ("eupmu", "relabel", "salun"):
        rival = [found[name, steps] for steps in (50, 200, 1000)]
        assert all(rival[0]["scores"][digit] > score for digit, score in early["scores"].items())
        assert rival[0]["score"] > rival[1]["score"] > rival[2]["score"]
        assert 0.77 <= round(rival[0]["score"], 2) <= 0.84
        if name != "eupmu":
            assert abs(rival[1]["score"] - later["score"]) < 0.04


def test_on_the_transformer_rivals_score_more_the_longer_they_go_on_and_sfron_less_than_each():
    found = {(row["method"], row["steps"]): row for row in FOUND["digits-dit"]}
    (board, _) = rank_all(load_records([budgets.RESULTS / "digits-dit"]).records)
    assert board.title == "digits-dit · forgetting"
    on_board = {row.name: row.score for row in board.rows}
    own = [found["sfron", steps] for steps in (50, 200, 1000)]
    ends = [[round(row[end], 2) for end in ("score", "low", "high")] for row in own]
    assert ends == [[0.16, 0.0, 0.42], [0.17, 0.02, 0.31], [0.0, 0.0, 0.0]]
    assert own[-1]["utility"] == 0
    scores = {"eupmu": [0.37, 0.59, 0.77], "relabel": [0.37, 0.57, 0.7], "salun": [0.38, 0.53, 0.69]}
    for name, said in scores.items():
        rival = [found[name, steps] for steps in (50, 200, 1000)]
        assert [round(row["score"], 2) for row in rival] == said
        assert 0.775 < rival[-1]["share"] < 0.895
        for theirs, ours in zip(rival, own, strict=True):
            assert all(theirs["scores"][digit] > score for digit, score in ours["scores"].items())
        assert rival[1]["score"] > on_board[name]
