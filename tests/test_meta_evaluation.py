"""The test of the test: what its page says is what its file holds, and the bars that the score has to pass."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ROOT
from unlearnbench.docs.make import meta_evaluation, model_pool

FOUND = json.loads(meta_evaluation.RESULTS.read_text())
DIFFUSION = [name for name in ("digits-ddpm", "digits-dit") if name in FOUND]
EDITS_OF_EMBEDDINGS = ("cheat-remap", "simulated-retrain", "row-mean", "row-zero")
numbers = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=1, max_size=6)


@settings(max_examples=10, deadline=None)
@given(numbers, numbers)
def test_the_area_is_the_share_of_pairs_in_which_the_model_without_the_class_is_ahead(holding, free):
    share = np.mean([(b > a) + 0.5 * (b == a) for a, b in product(holding, free)])
    assert meta_evaluation.telling(holding, free).auc == pytest.approx(share)


def test_an_interval_holds_its_value_and_ends_at_one_where_the_two_are_apart():
    apart = meta_evaluation.telling([0.1, 0.2, 0.3], [0.8, 0.9])
    assert apart == (1.0, 1.0, 1.0)
    mixed = meta_evaluation.telling([0.1, 0.2, 0.6, 0.9], [0.5, 0.7, 0.95])
    assert mixed.low < mixed.auc < mixed.high


def test_the_page_is_what_the_file_says():
    assert meta_evaluation.PAGE.read_text() == meta_evaluation.render(FOUND)
    assert (ROOT / "docs" / "meta-evaluation.md").is_file()


@pytest.mark.parametrize("name", DIFFUSION)
def test_the_forgetting_score_tells_what_holds_the_class_from_what_does_not(name):
    track = FOUND[name]["tracks"]["forgetting"]
    assert track["telling"]["forgotten"]["auc"] >= 0.95
    # What harmed nothing is told apart by the score itself.
    whole = {
        kind: [m["score"] for m in track["models"] if m["holds"] is kind and m["utility"] > 0.5]
        for kind in (True, False)
    }
    assert meta_evaluation.telling(whole[True], whole[False]).auc >= 0.95
    assert [m["name"] for m in track["models"] if m["utility"] <= 0.5] == (["shorter"] if name == "digits-dit" else [])
    scores = {model["name"]: model["score"] for model in track["models"]}
    wrapped = [model["name"] for model in track["models"] if model["kind"] in ("original", "wrapped")]
    assert len(wrapped) >= 2
    assert max(scores[one] for one in wrapped) <= 0.05
    assert max(scores[one] for one in EDITS_OF_EMBEDDINGS) <= 0.25
    assert min(scores[f"oracle-{seed}"] for seed in range(3)) >= 0.9


@pytest.mark.parametrize("name", DIFFUSION)
def test_every_component_of_the_forgetting_score_tells(name):
    telling = FOUND[name]["tracks"]["forgetting"]["telling"]
    assert min(found["auc"] for found in telling.values()) > 0.7


@pytest.mark.parametrize("name", DIFFUSION)
def test_attackers_add_less_than_an_evaluation_takes_without_them(name):
    spent = FOUND[name]["seconds"]
    assert spent["attackers"] <= 0.75 * spent["rest"]


@pytest.mark.parametrize("name", DIFFUSION)
def test_the_order_survives_another_sampler_and_either_judge(name):
    assert FOUND[name]["sampler"]["tau"] > 0.8
    assert min(FOUND[name]["tracks"]["forgetting"]["judges"].values()) > 0.8


def test_the_pool_holds_both_kinds(tmp_path):
    from unlearnbench.benchmark.running.identity import make_task

    pool = list(model_pool.specimens(make_task("digits-vae", {}), tmp_path, lambda what, step, steps: None))
    assert {one.holds for one in pool} == {True, False}
    assert len({one.name for one in pool}) == len(pool)
    kinds = {one.kind for one in pool if one.holds}
    assert {"original", "fine-tuned on the others"} < kinds
    assert [one.oracle for one in pool if one.row == "oracle"] == [0, 1, 2]
    assert np.mean([one.holds for one in pool]) >= 0.4
