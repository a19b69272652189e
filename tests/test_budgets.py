"""Scores after some numbers of steps: the page says what the file holds, and the file what the suite was run with."""

import json

import pytest

from unlearnbench.benchmark.running.requests import load_suite
from unlearnbench.benchmark.running.tuned import SHIPPED, read_settings
from unlearnbench.docs.make import budgets

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
