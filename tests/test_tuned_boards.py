"""The settings that ship: the same search for every method of a task, on requests that no board uses."""

import math

import pytest

from helpers import BUILT_IN, ROOT
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_method, make_task, method_info
from unlearnbench.benchmark.running.tuned import SHIPPED, read_settings
from unlearnbench.leaderboard.tuning.trials import ANCHORS

TUNED = sorted(path.stem for path in SHIPPED.glob("*.json"))
ONE_REQUEST = {"cifar10-ddpm", "miniplaces-mae", "tinyimagenet-mae"}
"""Tasks on photographs: the oracles of the first request alone ship, and a row has three seeds or more on it."""


def test_there_are_tuned_tasks():
    assert "digits-vae" in TUNED


@pytest.mark.parametrize("task", TUNED)
def test_every_method_that_applies_got_the_same_search_on_requests_of_no_board(task):
    file, made = read_settings(SHIPPED / f"{task}.json"), make_task(task, {})
    applicable = {
        name for name in BUILT_IN if (cls := registry.methods.get(name)).role == "method" and made.refusal(cls) is None
    }
    assert file.task == task
    assert set(file.methods) == applicable
    assert len({found.trials for found in file.methods.values()}) == 1
    for found in file.methods.values():
        tried = [trial.request for trial in found.history]
        assert all(request in made.tuning_requests for request in tried)
        assert not any(request in made.standard_requests for request in tried)


@pytest.mark.parametrize("task", TUNED)
def test_what_is_kept_is_the_best_of_what_was_tried(task):
    for name, found in read_settings(SHIPPED / f"{task}.json").methods.items():
        assert found.source_sha256 == method_info(make_method(name, found.settings)).source_sha256, name
        first = [trial for trial in found.history if trial.request == found.history[0].request]
        assert first[0].settings == {}, name
        of_best = [trial.score for trial in found.history if trial.settings == found.settings]
        assert math.isclose(found.score, sum(of_best) / len(of_best)), name
        assert len(of_best) == len(make_task(task, {}).tuning_requests), name
        assert found.score >= found.paper_score, name


@pytest.mark.parametrize("task", sorted(path.name for path in ANCHORS.iterdir()))
def test_reference_rows_of_the_trials_ship(task):
    """So that a search makes no oracle anew."""
    records = load_records([ANCHORS / task]).records
    for request in make_task(task, {}).tuning_requests:
        sha256 = make_task(task, request, short=True).sha256()
        here = [record.method.name for record in records if record.task.sha256 == sha256]
        assert here.count("original") == 1
        assert here.count("oracle") >= 1


@pytest.mark.parametrize("task", TUNED)
def test_rows_of_the_board_have_the_settings_of_the_search(task):
    file = read_settings(SHIPPED / f"{task}.json")
    records = [one for one in load_records([ROOT / "leaderboard" / "results"]).records if one.task.name == task]
    standard = make_task(task, {}).standard_requests
    expected, least = (standard[:1], 3) if task in ONE_REQUEST else (standard, 6)
    for name, found in file.methods.items():
        rows = [one for one in records if one.method.name == name and one.method.settings_from == "tuned"]
        assert all(one.method.config_passed == found.settings for one in rows), name
        assert all(one.method.trials == found.trials for one in rows), name
        assert len({(str(one.task.request), one.seed) for one in rows}) >= least, name
        assert {str(one.task.request) for one in rows} == {str(request) for request in expected}, name
