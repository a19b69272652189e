"""The search that defaults come from: within its budget, and really where they come from."""

import json

import pytest

from helpers import ROOT
from unlearnbench.benchmark.run import make_method
from unlearnbench.tasks.class_forgetting import search

TRIALS = json.loads((ROOT / "docs" / "search.json").read_text())


def test_no_method_had_more_trials_than_the_others_could_have():
    assert all(len(trials) <= search.MOST_TRIALS for trials in TRIALS.values())


def test_the_board_does_not_forget_what_the_search_did():
    from unlearnbench.benchmark.run import make_task

    assert make_task(search.TASK, {}).forget_class not in search.FORGET_CLASSES


@pytest.mark.parametrize("name", sorted(set(TRIALS) - {"original"}))
def test_the_defaults_are_the_winning_trial(name):
    winner = search.best(TRIALS[name], TRIALS["original"][0])["settings"]
    defaults = make_method(name, {}).model_dump()
    # The steps of a trial may be a cut of the default, to keep the search short; the rest is taken over.
    assert {key: defaults[key] for key in winner if key != "steps"} == {
        key: value for key, value in winner.items() if key != "steps"
    }


def test_the_rule_prefers_forgetting_within_the_limits():
    original = {"retain_accuracy": 1.0, "fid_retain": 1.0}

    def trial(forget, retain, fid):
        return {"forget_accuracy": forget, "retain_accuracy": retain, "fid_retain": fid}

    gentle, strong, wrecked = trial(0.5, 1.0, 1.0), trial(0.1, 0.96, 1.4), trial(0.0, 0.9, 9.0)
    assert search.best([gentle, strong, wrecked], original) is strong
    assert search.best([wrecked, trial(0.0, 0.5, 9.0)], original) is wrecked
