"""The searches that settings come from: within their budget, and really where they come from."""

import pytest

from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.requests import load_suite
from unlearnbench.docs.make.search import MOST_TRIALS
from unlearnbench.docs.make.search_class_forgetting import ClassForgettingSearch
from unlearnbench.docs.make.search_image_to_image import ImageToImageSearch

SEARCHES = [ClassForgettingSearch(), ImageToImageSearch()]
TRIALS, HOLES = (search.trials() for search in SEARCHES)


@pytest.mark.parametrize("search", SEARCHES)
def test_no_method_had_more_trials_than_the_others_could_have(search):
    assert all(len(trials) <= MOST_TRIALS for trials in search.trials().values())


@pytest.mark.parametrize("search", SEARCHES)
def test_the_board_does_not_forget_what_the_search_did(search):
    assert make_task(search.task, {}).forget_class not in search.forget_classes


@pytest.mark.parametrize("name", sorted(set(TRIALS) - {"original"}))
def test_the_defaults_are_the_winning_trial(name):
    winner = SEARCHES[0].best(TRIALS[name], TRIALS["original"][0])["settings"]
    defaults = make_method(name, {}).model_dump()
    # The steps of a trial may be a cut of the default, to keep the search short; the rest is taken over.
    assert {key: defaults[key] for key in winner if key != "steps"} == {
        key: value for key, value in winner.items() if key != "steps"
    }


@pytest.mark.parametrize("name", sorted(set(HOLES) - {"original"}))
def test_the_full_suite_sets_the_winning_trial_on_digits_mae(name):
    winner = SEARCHES[1].best(HOLES[name], HOLES["original"][0])["settings"]
    asked = [
        request for request in load_suite("full").requests() if (request.task, request.method) == ("digits-mae", name)
    ]
    assert winner in [request.settings for request in asked]


def test_the_rule_prefers_forgetting_within_the_limits():
    original = {"retain_accuracy": 1.0, "fid_retain": 1.0}

    def trial(forget, retain, fid):
        return {"forget_accuracy": forget, "retain_accuracy": retain, "fid_retain": fid}

    gentle, strong, wrecked = trial(0.5, 1.0, 1.0), trial(0.1, 0.96, 1.4), trial(0.0, 0.9, 9.0)
    best = SEARCHES[0].best
    assert best([gentle, strong, wrecked], original) is strong
    assert best([wrecked, trial(0.0, 0.5, 9.0)], original) is wrecked


def test_in_painters_are_searched_for_suppression_that_costs_the_others_little():
    def trial(suppression, change):
        return {"suppression": suppression, "retain_change": change}

    gentle, strong, wrecked = trial(0.2, 0.0), trial(0.6, 0.04), trial(0.9, 0.4)
    best = SEARCHES[1].best
    assert best([gentle, strong, wrecked], trial(0.0, 0.0)) is strong
    assert best([wrecked, trial(0.95, 0.5)], trial(0.0, 0.0)) is wrecked
