"""The search that settings come from: within its budget, and really where they come from."""

import pytest

from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.benchmark.running.requests import load_suite
from unlearnbench.docs.make.search import MOST_TRIALS
from unlearnbench.docs.make.search_image_to_image import ImageToImageSearch

SEARCH = ImageToImageSearch()
TRIALS = SEARCH.trials()


def test_no_method_had_more_trials_than_the_others_could_have():
    assert all(len(trials) <= MOST_TRIALS for trials in TRIALS.values())


def test_the_board_does_not_forget_what_the_search_did():
    assert make_task(SEARCH.task, {}).forget_class not in SEARCH.forget_classes


@pytest.mark.parametrize("name", sorted(set(TRIALS) - {"original"}))
def test_the_full_suite_sets_the_winning_trial_on_digits_mae(name):
    winner = SEARCH.best(TRIALS[name], TRIALS["original"][0])["settings"]
    asked = [
        request for request in load_suite("full").requests() if (request.task, request.method) == ("digits-mae", name)
    ]
    assert winner in [request.settings for request in asked]


def test_in_painters_are_searched_for_suppression_that_costs_the_others_little():
    def trial(suppression, change):
        return {"suppression": suppression, "retain_change": change}

    gentle, strong, wrecked = trial(0.2, 0.0), trial(0.6, 0.04), trial(0.9, 0.4)
    best = SEARCH.best
    assert best([gentle, strong, wrecked], trial(0.0, 0.0)) is strong
    assert best([wrecked, trial(0.95, 0.5)], trial(0.0, 0.0)) is wrecked
