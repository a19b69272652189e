"""The tasks `digits-vae` and `mnist-vae`: what ships, what is measured, and the order that replications found."""

import json

import pytest
import torch

from helpers import ROOT
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.tasks.data.sets import MNIST
from unlearnbench.tasks.judges import classifiers
from unlearnbench.tasks.one_shot import vae

CPU = torch.device("cpu")
TASKS = ["digits-vae", "mnist-vae"]
KNOWN = [{"forget_class": digit} for digit in (0, 1, 3, 7, 8)]
"""The requests, of the boards and of searches, whose oracles the manifests know."""
SHIPPED = {"digits-vae": KNOWN, "mnist-vae": [{"forget_class": 1}]}
"""Those whose oracles ship, too; an oracle of MNIST is twenty times as large as one of the digits."""
RESULTS = ROOT / "leaderboard" / "results"


def unlearned(task, name, settings=None, seed=0):
    method = make_method(name, settings or {})
    problem = task.problem(method, seed, CPU)
    method.unlearn(problem)
    return problem.model.eval()


def by_name(task, metrics):
    """The metrics of the main judge by name."""
    return {m.name: m for m in metrics if m.judge in (None, task.judge_names[0]) and m.name != "sample_share"}


def evaluated(task, name, settings=None, seed=0):
    """The metrics of the main judge by name, of a run without a record."""
    return by_name(task, task.evaluate(unlearned(task, name, settings, seed), seed, CPU).metrics)


def files_of(name, requests):
    tasks = [make_task(name, request) for request in requests]
    return {file for task in tasks for file in (*task.files(), *task.judge_files())}


@pytest.mark.parametrize("name", TASKS)
def test_every_file_is_the_one_in_the_manifest(name):
    folder = ROOT / "tasks" / "assets" / name
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(manifest) == files_of(name, KNOWN)
    shipped = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert shipped == files_of(name, SHIPPED[name])
    for file in shipped:
        assert file_sha256(folder / file) == manifest[file]["sha256"]
        assert manifest[file]["made"].get("test_accuracy", 1.0) >= 0.97


@pytest.mark.parametrize("name", ["digits-vae", pytest.param("mnist-vae", marks=pytest.mark.data("mnist"))])
def test_the_judges_are_right_on_real_test_images(name):
    task = make_task(name, {})
    test = task.judge_data().test
    for judge, loaded in task.load_judges().items():
        measured = classifiers.accuracy(loaded.network, test.images[:2000], test.labels[:2000])
        assert measured >= 0.97, judge


def test_the_bound_is_the_textbook_one():
    """Against torch.distributions, latent by latent and pixel by pixel."""
    torch.manual_seed(0)
    model = vae.VAE((1, 8, 8), hidden=16, latent=3)
    images, noise = torch.rand(5, 1, 8, 8).round(), torch.randn(5, 3)
    logits, mean, log_variance = model(images, noise)
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    prior = torch.distributions.Normal(0.0, 1.0)
    error = -torch.distributions.Bernoulli(logits=logits).log_prob(images).flatten(1).sum(1)
    bound = error + torch.distributions.kl_divergence(posterior, prior).sum(1)
    assert torch.allclose(vae.evidence_loss(model, images, noise) * 64, bound, rtol=1e-5)


def test_samples_depend_on_the_seed_alone():
    task = make_task("digits-vae", {})
    model = task.load_model("base.safetensors")
    first = task.draw(model, 1)["prior"]
    assert torch.equal(first, task.draw(model, 1)["prior"])
    assert not torch.equal(first, task.draw(model, 2)["prior"])


@pytest.fixture(scope="module")
def untouched():
    return evaluated(make_task("digits-vae", {}), "original")


def test_a_method_of_no_steps_has_the_originals_numbers_to_the_last_digit(untouched):
    idle = evaluated(make_task("digits-vae", {}), "finetune", {"steps": 0})
    assert {name: metric.value for name, metric in idle.items()} == {n: m.value for n, m in untouched.items()}


def test_the_oracle_draws_the_digit_seldom_and_the_original_as_often_as_its_data(untouched):
    oracle = evaluated(make_task("digits-vae", {}), "oracle")
    assert oracle["feature_ratio"].value < 0.05
    assert 0.05 < untouched["feature_ratio"].value < 0.2
    assert oracle["oracle_distance"].value < untouched["oracle_distance"].value / 3


def test_what_the_oracles_do_not_know_is_far_from_what_the_original_knows(untouched):
    """The probe that tells: on held-out pictures of the digit, whatever the model draws."""
    task = make_task("digits-vae", {})
    oracles = [evaluated(task, "oracle", seed=seed)["bound_forget"].value for seed in range(3)]
    assert max(oracles) - min(oracles) < (min(oracles) - untouched["bound_forget"].value) / 4


@pytest.mark.parametrize("name", TASKS)
def test_committed_oracles_score_high_on_both_tracks_and_the_original_next_to_nothing(name):
    boards = {board.track.name: {row.method: row for row in board.rows} for board in rank_all(committed(name))}
    assert set(boards) == {"forgetting", "indistinguishability"}
    for rows in boards.values():
        scores = {run.case: run.score for run in rows["oracle"].runs}
        assert sum(scores.values()) / len(scores) > 0.85
        assert min(scores.values()) > 0.65
        # MNIST's oracles of the 0 and the 8 are less alike.
        alike = [case for case in scores if name == "digits-vae" or case.request == "forget_class=1"]
        assert min(scores[case] for case in alike) > 0.85
        assert max(run.score for run in rows["original"].runs) <= 0.05
        assert rows["ascent"].score < 0.4


@pytest.mark.parametrize("name", TASKS)
def test_committed_records_are_of_the_task_as_it_is(name):
    requests = make_task(name, {}).standard_requests
    assert {record.task.sha256 for record in committed(name)} == {make_task(name, each).sha256() for each in requests}


def test_going_beyond_the_oracle_costs_on_the_second_track_alone():
    """Retain-projected surgery makes pictures of the digit more foreign than an oracle finds them."""
    one, two = (
        next(row for row in board.rows if row.method == "retain-surgery") for board in rank_all(committed("digits-vae"))
    )
    assert one.component("known") == 1
    assert two.component("known") == pytest.approx(0, abs=0.05)
    assert one.score > 0.75 > 0.25 > two.score


def committed(name):
    return [record for record in load_records([RESULTS]).records if record.task.name == name]


def test_a_gates_noise_covers_what_another_seed_does_to_the_original(untouched):
    task = make_task("digits-vae", {})
    other = evaluated(task, "original", seed=1)
    for gate in task.family.tracks[0].gates:
        first, second = (found[gate.quantity.name].value for found in (untouched, other))
        assert abs(first - second) / (first if gate.relative else 1) <= gate.noise < gate.margin / 2


def test_real_test_pictures_stand_beside_every_distance_to_real_ones(untouched):
    assert 0 < untouched["fid_retain_floor"].value < untouched["fid_retain"].value / 5
    assert untouched["kid_retain_floor"].value < untouched["kid_retain"].value / 5
    assert untouched["fid_retain_floor"].identity.protocol == "real test pictures of the retained classes"


def test_the_step_to_the_threshold_is_the_first_one_below_it():
    task = make_task("digits-vae", {})
    settings = {"lr": 1e-3, "steps": 30}
    found = by_name(task, task.retrace(make_method("ascent", settings), 0, CPU))
    step = int(found["steps_to_threshold"].value)
    assert 1 <= step <= 30

    def share(steps):
        return evaluated_share(task, unlearned(task, "ascent", settings | {"steps": steps}))

    assert share(step) < task.threshold <= share(step - 1)


def test_an_oracle_took_no_step_and_its_record_says_that_there_was_none():
    found = make_task("digits-vae", {}).retrace(make_method("oracle", {}), 0, CPU)
    assert {metric.name: metric.value for metric in found} == {"steps_to_threshold": None, "fid_at_threshold": None}


def evaluated_share(task, model):
    from unlearnbench.benchmark.seeds import derive_seed
    from unlearnbench.tasks.judges.judge import score
    from unlearnbench.tasks.one_shot.retracing import SAMPLES

    images = vae.sample(model, SAMPLES, task.latent, derive_seed(task.name, "probe", 0))
    judge = next(iter(task.load_judges().values()))
    return float((score(judge, images).labels == task.forget_class).float().mean())


def test_too_few_kept_samples_leave_the_distance_undefined():
    """A model that draws nothing but the forgotten digit has no quality of the rest to measure."""
    task = make_task("digits-vae", {})
    model = task.load_model("base.safetensors")
    one = task.training_pool().images[task.training_pool().labels == task.forget_class][0].flatten()
    with torch.no_grad():
        model.decoder[2].weight.zero_()
        model.decoder[2].bias.copy_((one * 40) - 20)
    found = by_name(task, task.evaluate(model.eval(), 0, CPU).metrics)
    assert found["feature_ratio"].value == 1.0
    assert found["fid_retain"].value is None


def test_data_that_is_not_mnist_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    with pytest.raises(BenchmarkError, match="The split 'train' of the data in .*mnist cannot be read"):
        MNIST.load("train")
