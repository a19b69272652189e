"""What was tried against the score: each trick scores as little as ``docs/attacks.md`` says, or is open."""

import dataclasses
import json

import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running import weights
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.docs.make import attacks, trained_tricks, tricks_on_harness, tricks_on_weights
from unlearnbench.docs.make.attacks import Bench, few_samples, tricks
from unlearnbench.docs.make.model_pool import left
from unlearnbench.tasks.class_forgetting import probes
from unlearnbench.tasks.class_forgetting.probes import Attacker, Draws

CPU = torch.device("cpu")
ON_WEIGHTS, ON_HARNESS = tricks(tricks_on_weights, trained_tricks), tricks(tricks_on_harness)
ORIGINAL, ROWS = 0.05, 0.25
"""What may be scored at most by what computes all that the original does, and by edits of label embeddings alone."""
REFUSED = {
    "trick-parametrization": "lack",
    "trick-extra-buffer": "hold",
    "trick-half-precision": "float16",
    "trick-renamed": "lack",
}
IN_PROCESS = [name for name, trick in ON_HARNESS.items() if trick.where == "network"]
ALONE = [name for name, trick in ON_HARNESS.items() if trick.where == "process"]
MEDDLED = {
    "trick-patched-suite": "The method replaced",
    "trick-forged-message": "no record",
    "trick-forged-way": "which is the evaluation's to say",
}
"""What a failed run says; the others score as the original."""
LATE = "trick-swapped-file"
"""May come too late, when the weights were read already."""
ALWAYS = {"digits-ddpm/copied-row", "digits-ddpm/stiff-weights"}
"""Tried in every round of tests; the others in the longer one."""
FREE = [
    (task, name)
    for name, trick in ON_WEIGHTS.items()
    for task in trick.tasks
    if trick.kind != "any" and trick.cost == "nothing"
]
TRAINED = [
    ("digits-ddpm", "fine-tuned"),
    ("digits-ddpm", "trained-rows-stiff-weights"),
    ("digits-vae", "blind-encoder"),
]
"""What is trained, where that takes less than a minute; ``docs.make.attacks`` tries all."""


@pytest.fixture(scope="session")
def page():
    return attacks.PAGE.read_text()


@pytest.fixture(scope="session")
def found():
    return json.loads(attacks.RESULTS.read_text())


@pytest.fixture(scope="session")
def quick():
    """Original and oracles, evaluated once a task with few samples, few draws and few looks."""
    benches = {}

    def bench(name):
        if name not in benches:
            budget = make_task(name, {}).budget
            budget = dataclasses.replace(budget, batch=32, draws=96, looks=1, samples=0, benign_steps=0)
            benches[name] = Bench(few_samples(name, {"forget": 24, "retain": 72, "null": 24}, budget, judges=1))
        return benches[name]

    return bench


@pytest.mark.parametrize("name", IN_PROCESS)
def test_what_is_around_the_network_is_left_behind_or_refused(name):
    task = make_task("digits-ddpm", {})
    problem = task.problem(ON_HARNESS[name](), 0, CPU)
    original = {key: value.clone() for key, value in problem.model.state_dict().items()}
    network, layout = problem.model, weights.Layout.of(problem.model)
    ON_HARNESS[name]().unlearn(problem)
    if name in REFUSED:
        with pytest.raises(BenchmarkError, match=REFUSED[name]):
            weights.take(network, layout)
        return
    taken = weights.take(network, layout)
    assert taken.state.keys() == original.keys()
    assert all(torch.equal(value, original[key]) for key, value in taken.state.items())
    assert taken.left_behind == (["gate"] if name == "trick-subclass" else [])


def test_what_acts_on_the_process_changes_no_number_or_fails_the_run(warm):
    """In real runs, each in processes of its own."""
    outcomes = attacks.tried_on_harness(ALONE)
    late = outcomes.pop(LATE)["outcome"]
    assert late == "as the original" or "not the one that the method left" in late
    for name, outcome in outcomes.items():
        assert MEDDLED.get(name, "as the original") in outcome["outcome"], name


@pytest.mark.parametrize(
    ("task", "name"),
    [pytest.param(*pair, marks=() if "/".join(pair) in ALWAYS else pytest.mark.slow) for pair in FREE],
)
def test_edits_without_training_score_next_to_nothing(quick, task, name):
    bench, trick = quick(task), ON_WEIGHTS[name]
    run = bench.score(trick())
    assert run.score <= (ORIGINAL if trick.kind == "same" else ROWS)
    # However well the label is hidden, an attacker has the class back as soon as from the original.
    assert run.components["inverted"] <= 0.1
    assert run.components["relearned"] <= 0.1


def test_the_anchors_of_quick_scores_are_zero_and_one(quick):
    bench = quick("digits-ddpm")
    scores = [attacks.score_run(record, bench.track, bench.anchors) for record in bench.references]
    assert scores[0].score <= ORIGINAL
    assert min(run.score for run in scores[1:]) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), TRAINED)
def test_trained_tricks_score_what_the_page_says(found, task, name):
    outcome = attacks.tried_on_weights(ON_WEIGHTS[name], task)
    assert outcome["score"] == pytest.approx(found["weights"][f"{task}/{name}"]["score"], abs=0.05)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_what_attackers_reach_does_not_depend_on_how_a_function_is_written(factor):
    """Values divided and outputs multiplied: the same function, other gradients."""
    task = make_task("digits-ddpm", {})
    model = task.load_model(task.base_file)
    pictures = task.held_out().where(task.held_out().labels == task.forget_class)
    owned, rest = probes.parted(pictures, 10)
    budget = dataclasses.replace(task.budget, batch=16, looks=0, inversion_steps=2, relearning_steps=5)
    attacker = Attacker(budget, task.forget_class, task.num_classes, owned, None, 0, CPU)
    draws = Draws.of(rest, 64, 0, CPU)

    def reached():
        return attacker.relearn(attacker.invert(model, draws).end, draws).curve[-1][1]

    before = reached()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(factor if ".to_v." in name else 1 / factor if name.endswith("to_out.0.weight") else 1)
    assert reached() == pytest.approx(before, rel=2e-3)


def test_attackers_own_what_no_method_saw_and_no_loss_is_measured_on():
    task = make_task("digits-ddpm", {})
    seen = task.training_pool().images.flatten(1)
    owned, rest = probes.parted(task.held_out().where(task.held_out().labels == task.forget_class), 10)
    assert len(owned) == 10
    assert torch.cdist(owned.images.flatten(1), seen).min() > 0
    assert torch.cdist(owned.images.flatten(1), rest.images.flatten(1)).min() > 0


def test_the_page_is_made_from_what_was_measured(page, found):
    assert attacks.rendered(page, found) == page


def test_every_trick_is_on_the_page_and_what_scores_is_listed_as_open(page, found):
    named = {key.split("/")[1] for key in found["weights"]}
    assert named == set(ON_WEIGHTS)
    assert set(found["harness"]) == set(ON_HARNESS)
    assert len(ON_WEIGHTS) + len(ON_HARNESS) >= 30
    still_open = page.partition("## Still open")[2]
    for key, outcome in found["weights"].items():
        name = key.split("/")[1]
        bar = {"same": ORIGINAL, "rows": ROWS, "any": ROWS}[ON_WEIGHTS[name].kind]
        if attacks.lifted(outcome) > bar:
            assert f"`{name}`" in still_open, key
    for name in set(ON_HARNESS) - set(REFUSED) - set(MEDDLED) - {LATE}:
        assert found["harness"][name]["outcome"] == "as the original", name


def test_few_samples_leave_the_weights_that_a_run_leaves():
    """Nothing that the page's scores depend on is made otherwise than in a run."""
    task = few_samples("digits-ddpm")
    network = left(task, tricks_on_weights.ZeroRow())
    assert not network.training
    assert not network.class_embedding.weight[3].any()
    assert task.drawing().counts == attacks.SAMPLES
