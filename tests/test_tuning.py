"""Searches of settings: on the toy, through the runner, with few trials; and the files that they leave."""

import io
import json
import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from rich.console import Console

import unlearnbench
from helpers import TOY
from unlearnbench import BenchmarkError
from unlearnbench.benchmark.records.files import canonical_sha256
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running import planner, tuned
from unlearnbench.benchmark.running.forks import ForkServer
from unlearnbench.benchmark.running.requests import Request, with_tuned
from unlearnbench.benchmark.running.tuned import Found, Trial
from unlearnbench.benchmark.search_space import Choice, LogRange, Range, StepRange
from unlearnbench.leaderboard.row import MOST_OF_RETRAINING
from unlearnbench.leaderboard.tuning import search as search_module
from unlearnbench.leaderboard.tuning.search import (
    LOST,
    SCANNED,
    _best,
    _explored,
    _rounded,
    promise,
    rate_scan,
    within_cost,
)
from unlearnbench.leaderboard.tuning.terminal import print_outcome
from unlearnbench.leaderboard.tuning.trials import Pair, Trials

SHA = "0" * 64


def found(settings, trials=3):
    trial = Trial(settings=settings, request={"forget_class": 1}, seed=0, score=0.5, share=0.1)
    return Found(
        settings=settings,
        trials=trials,
        score=0.5,
        paper_score=0.25,
        seconds=1.0,
        source_sha256=SHA,
        history=[trial],
    )


def test_a_file_of_settings_keeps_what_is_there_of_other_methods(tmp_path):
    path = tuned.settings_path(tmp_path, "digits-vae")
    tuned.keep_found(path, "digits-vae", "uno", found({"lr": 0.01}))
    tuned.keep_found(path, "digits-vae", "ascent", found({"steps": 7}))
    tuned.keep_found(path, "digits-vae", "uno", found({"lr": 0.02}))
    read = tuned.read_settings(path)
    assert {name: one.settings for name, one in read.methods.items()} == {"ascent": {"steps": 7}, "uno": {"lr": 0.02}}


def test_runs_take_the_package_s_settings_and_those_of_the_working_folder_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuned, "SHIPPED", tmp_path / "shipped")
    tuned.keep_found(tmp_path / "shipped" / "digits-vae.json", "digits-vae", "uno", found({"lr": 0.01}))
    asked = [("digits-vae", "uno"), ("digits-vae", "ascent"), ("digits-dit", "uno")]
    assert tuned.tuned_for(asked, "tuned") == {
        asked[0]: tuned.Tuned(settings={"lr": 0.01}, trials=3, source_sha256=SHA)
    }
    tuned.keep_found(tmp_path / "settings" / "digits-vae.json", "digits-vae", "uno", found({"lr": 0.3}, trials=9))
    assert tuned.tuned_for(asked, "tuned") == {asked[0]: tuned.Tuned(settings={"lr": 0.3}, trials=9, source_sha256=SHA)}
    assert tuned.tuned_for(asked, "paper") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "There is no file .*mine.json of settings; `unlearnbench tune` writes one, or say tuned or paper."),
        ("[]", "is no file of settings, at 'its beginning'"),
        ('{"task": "digits-dit"}', "holds settings of 'digits-dit', and not of 'digits-vae'"),
        ('{"task": "digits-vae", "methods": {"uno": {"trials": 0}}}', "at 'methods.uno.settings': Field required"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "mine.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BenchmarkError, match=sentence):
        with_tuned([Request("digits-vae", "uno", [0], {})], path)


def test_weights_and_trials_take_no_settings_of_a_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tuned.keep_found(tmp_path / "settings" / "digits-vae.json", "digits-vae", "uno", found({"lr": 0.3}))
    plain = Request("digits-vae", "uno", [0], {})
    asked = [plain, plain._replace(short=True), plain._replace(weights=tmp_path)]
    assert [request.tuned is not None for request in with_tuned(asked, "tuned")] == [True, False, False]


def test_the_best_are_told_apart_by_what_they_cost():
    trials = [
        Trial(settings={"steps": steps}, request={}, seed=0, score=score, share=share)
        for steps, score, share in [(1, 0.5, 0.2), (2, 0.9, 0.2), (3, 0.5, 0.1), (4, 0.1, 0.0), (2, 0.9, 0.2)]
    ]
    assert [one["steps"] for one in _best(trials, 3)] == [2, 3, 1]


@given(st.floats(1e-6, 1e3))
def test_a_setting_that_was_tried_is_the_one_that_is_kept(value):
    (kept,) = _rounded({"lr": value}).values()
    assert kept == pytest.approx(value, rel=5e-3)
    assert json.loads(json.dumps(kept)) == kept
    assert float(f"{kept:.3g}") == kept


@pytest.mark.parametrize(
    "make", [lambda: LogRange(0, 1), lambda: LogRange(2, 1), lambda: Range(1, 1), lambda: Choice((1,))]
)
def test_a_space_with_nothing_in_it_is_refused(make):
    with pytest.raises(ValueError, match="needs"):
        make()


SPACE = {"lr": LogRange(1e-5, 1e-2), "steps": StepRange(10, 300), "share": Range(0, 1)}


def test_rates_are_scanned_evenly_by_their_logarithm_with_all_else_as_in_the_paper():
    found = rate_scan(SPACE, {"lr": 1e-4, "steps": 1000, "share": 0.5})
    rates = [one["lr"] for one in found]
    assert len(found) == SCANNED
    assert 1e-5 < rates[0] < rates[-1] < 1e-2
    apart = [math.log(later / earlier) for earlier, later in pairwise(rates)]
    assert apart == pytest.approx([math.log(1000) / SCANNED] * (SCANNED - 1))
    assert {one["share"] for one in found} == {0.5}
    assert {one["steps"] for one in found} == {round(10 * 30 ** (2 / 3))}
    assert rate_scan({"steps": StepRange(10, 300)}, {"steps": 50}) == []


class Fake:
    """Trials that score, or fail, without a run."""

    source_sha256, seconds, reason = SHA, 1.0, "RuntimeError: no luck"

    def __init__(self, status="ok"):
        self.status = status

    def make(self, settings, request, seed=0):
        score = 0.5 if self.status == "ok" else 0.0
        return [Trial(settings=one, request=request, seed=0, score=score, status=self.status) for one in settings]


def searched(monkeypatch, folder, status="ok", task="digits-vae", **fixed):
    monkeypatch.setattr(search_module, "Trials", lambda *_: Fake(status))
    return search_module.search(Pair(task, "uno", fixed), 6, folder, {})


def test_a_search_in_which_everything_fails_says_why_and_keeps_nothing(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    with pytest.raises(BenchmarkError, match="All 6 trials of 'uno' on 'digits-vae' failed.*: RuntimeError: no luck"):
        searched(monkeypatch, tmp_path, status="failed")
    assert list(tmp_path.iterdir()) == []


def test_what_was_held_fixed_is_part_of_what_runs_take_and_an_earlier_search_is_named(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    first = searched(monkeypatch, tmp_path, task="digits-mae")
    second = searched(monkeypatch, tmp_path, task="digits-mae", steps=3, retain_data="proxy")
    assert second.found.settings["steps"] == 3
    assert "retain_data" not in second.found.settings
    assert tuned.read_settings(second.file).methods["uno"] == second.found
    assert (first.before, second.before) == (None, first.found)
    said = io.StringIO()
    print_outcome(Console(file=said, width=500), second, "digits-mae", "uno", [])
    assert "It takes the place of an earlier search" in said.getvalue()


@pytest.mark.parametrize(
    ("score", "harm", "expected"),
    [(0.3, 0.5, 0.3), (0.0, 1.0, 0.0), (0.0, math.e, -1.0), (0.0, 1e9, -LOST), (0.0, None, -LOST)],
)
def test_a_search_goes_by_the_harm_where_nothing_scores(score, harm, expected):
    found = promise(Trial(settings={}, request={}, seed=0, score=score, harm=harm))
    assert found == pytest.approx(expected)


def test_a_search_comes_closer_where_nothing_scores():
    """Ever less harm, in a space where every setting of the scan does too much."""
    pytest.importorskip("optuna")

    class Made:
        def make(self, settings, request):
            harms = [1e5 * one.get("lr", 1e-3) * one.get("steps", 50) / 100 for one in settings]
            return [
                Trial(settings=one, request=request, seed=0, score=max(0.0, harm * (1 - harm)), harm=harm)
                for one, harm in zip(settings, harms, strict=True)
            ]

    class Method(BaseModel):
        lr: float = 1e-3
        steps: int = 50

    space = {"lr": LogRange(1e-5, 1e-2), "steps": StepRange(10, 300)}
    history = _explored(space, Method, Pair("task", "method", {}), 10, Made(), {}, lambda told: None)
    assert all(trial.score == 0 for trial in history[: 1 + SCANNED])
    assert max(trial.score for trial in history) > 0.05


def test_a_search_tries_the_papers_then_the_scan_then_what_optuna_proposes():
    pytest.importorskip("optuna")

    class Made:
        def make(self, settings, request):
            return [
                Trial(settings=one, request=request, seed=0, score=one.get("share", 0.0), share=0.1, status="ok")
                for one in settings
            ]

    class Method(BaseModel):
        lr: float = 1e-4
        steps: int = 1000
        share: float = 0.5

    history = _explored(SPACE, Method, Pair("task", "method", {}), 8, Made(), {}, lambda told: None)
    assert len(history) == 8
    assert history[0].settings == {}
    scanned = [trial.settings for trial in history[1 : 1 + SCANNED]]
    assert scanned == [_rounded(one) for one in rate_scan(SPACE, Method().model_dump())]
    assert max(trial.score for trial in history[1 + SCANNED :]) > 0.9
    assert len({canonical_sha256(trial.settings) for trial in history}) == 8


def test_no_steps_are_proposed_that_cost_more_than_is_ranked():
    """Two hundred steps cost a tenth of retraining, so 500 cost a quarter; what ended for its cost says its own steps."""
    ended = Trial(settings={"steps": 200, "lr": 1e-3}, request={}, seed=0, score=0.1, share=0.1)
    cut = Trial(settings={}, request={}, seed=0, score=0.0, share=0.2501, status="failed")
    broken = Trial(settings={"steps": 100, "lr": 1e-3}, request={}, seed=0, score=0.0, share=0.01, status="failed")
    space = {"lr": LogRange(1e-5, 1e-2), "steps": StepRange(10, 900)}
    paper = {"lr": 1e-4, "steps": 400}
    assert within_cost(space, paper, [broken]) == space | {"steps": LogRange(10, 900)}
    assert within_cost(space, paper, [broken, ended])["steps"] == LogRange(10, 500)
    assert within_cost(space, paper, [broken, ended, cut])["steps"] == LogRange(10, 399)
    assert within_cost({"lr": LogRange(1e-5, 1e-2)}, paper, [ended]) == {"lr": LogRange(1e-5, 1e-2)}


def test_a_search_takes_no_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BenchmarkError, match="A search on 'toy' asks for the requests .*, and 'forget_class' names one"
    ):
        unlearnbench.tune("toy", "toy-tuned", settings={"forget_class": 0}, plugins=[TOY])


@pytest.mark.slow
def test_a_search_finds_settings_goes_on_where_it_was_and_runs_take_them(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    options = {"plugins": [TOY], "workers": 1}
    told, servers = [], []
    monkeypatch.setattr(planner, "ForkServer", lambda *given: servers.append(ForkServer(*given)) or servers[-1])
    first = unlearnbench.tune("toy", "toy-tuned", trials=6, on_trial=told.append, **options)
    assert len(servers) == 1
    assert [one.done for one in told] == [1, 5, 6]
    assert first.file.resolve() == tmp_path / "settings" / "toy.json"
    assert first.found.trials == 6
    assert first.found.score >= first.found.paper_score
    assert first.found.history[0].settings == {}
    requests = {one.request["forget_class"] for one in first.found.history}
    assert requests == {1, 2}
    again = unlearnbench.tune("toy", "toy-tuned", trials=6, **options)
    assert again.found.history == first.found.history
    records = unlearnbench.run("toy", "toy-tuned", requests="all", **options)
    assert [record.task.request for record in records] == [{"forget_class": 0}]
    assert {record.method.settings_from for record in records} == {"tuned"}
    assert {record.method.trials for record in records} == {6}
    assert records[0].method.config_passed == first.found.settings
    (paper,) = unlearnbench.run("toy", "toy-tuned", settings_from="paper", **options)
    assert (paper.method.settings_from, paper.method.config_passed) == ("paper", {})
    (by_hand,) = unlearnbench.run("toy", "toy-tuned", settings={"steps": 3}, **options)
    assert (by_hand.method.settings_from, by_hand.method.config_passed) == ("set", {"steps": 3})
    with pytest.raises(BenchmarkError, match="All requests of 'toy' are asked for, and 'forget_class' names one"):
        unlearnbench.run("toy", "toy-tuned", settings={"forget_class": 1}, requests="all", **options)
    with pytest.raises(BenchmarkError, match="declares nothing to search"):
        unlearnbench.tune("toy", "toy-good", **options)


@pytest.mark.slow
def test_a_trial_ends_where_it_has_taken_a_quarter_of_retraining(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trials = Trials(Pair("toy", "toy-good", {}), tmp_path / "trials", {"plugins": [TOY], "workers": 1})
    small, large = trials.make([{"steps": 2}, {"steps": 5000}], {"forget_class": 1})
    assert small.status == "ok"
    assert small.share < MOST_OF_RETRAINING
    assert (large.status, large.score) == ("failed", 0.0)
    assert MOST_OF_RETRAINING < large.share < 2 * MOST_OF_RETRAINING
    (record,) = [
        one for one in load_records([tmp_path / "trials"]).records if one.method.config_passed == {"steps": 5000}
    ]
    assert re.match(r"It took more work than the [\d,]+ samples that a search allows a trial\.", record.reason)
