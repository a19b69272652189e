"""The tasks `digits-vae` and `mnist-vae`: what ships, what is measured, and the order that replications found."""

import json

import pytest
import torch

from helpers import ROOT
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.tasks.data.sets import MNIST
from unlearnbench.tasks.judges import classifiers
from unlearnbench.tasks.one_shot import vae

CPU = torch.device("cpu")
TASKS = ["digits-vae", "mnist-vae"]


def evaluated(task, name, settings=None, seed=0):
    """The metrics of the main judge by name, of a run without a record."""
    method = make_method(name, settings or {})
    problem = task.problem(method, seed, CPU)
    method.unlearn(problem)
    found = task.evaluate(problem.model.eval(), method, seed, CPU)
    return {m.name: m for m in found.metrics if m.judge in (None, task.judge_names[0]) and m.name != "sample_share"}


@pytest.mark.parametrize("name", TASKS)
def test_every_file_is_the_one_in_the_manifest(name):
    folder = ROOT / "tasks" / "assets" / name
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    task = make_task(name, {})
    assert set(manifest) == {*task.files(), *task.judge_files()}
    for file, entry in manifest.items():
        assert file_sha256(folder / file) == entry["sha256"]
        assert entry["made"].get("test_accuracy", 1.0) >= 0.97


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


def test_the_step_to_the_threshold_is_the_first_one_below_it():
    task = make_task("digits-vae", {})
    found = evaluated(task, "ascent", {"lr": 1e-3, "steps": 30})
    step = int(found["steps_to_threshold"].value)
    assert 1 <= step <= 30

    def share(steps):
        method = make_method("ascent", {"lr": 1e-3, "steps": steps})
        problem = task.problem(method, 0, CPU)
        method.unlearn(problem)
        return evaluated_share(task, problem.model)

    assert share(step) < task.threshold <= share(step - 1)


def evaluated_share(task, model):
    from unlearnbench.benchmark.seeds import derive_seed
    from unlearnbench.tasks.judges.judge import score
    from unlearnbench.tasks.one_shot.evaluation import PROBE_SAMPLES

    images = vae.sample(model.eval(), PROBE_SAMPLES, task.latent, derive_seed(task.name, "probe", 0))
    judge = next(iter(task.load_judges().values()))
    return float((score(judge, images).labels == task.forget_class).float().mean())


def test_too_few_kept_samples_leave_the_distance_undefined():
    """A model that draws nothing but the forgotten digit has no quality of the rest to measure."""
    task = make_task("digits-vae", {})
    method = make_method("original", {})
    model = task.load_model("base.safetensors")
    one = task.training_pool().images[task.training_pool().labels == task.forget_class][0].flatten()
    with torch.no_grad():
        model.decoder[2].weight.zero_()
        model.decoder[2].bias.copy_((one * 40) - 20)
    found = {m.name: m for m in task.evaluate(model.eval(), method, 0, CPU).metrics if m.judge == task.judge_names[0]}
    assert found["feature_ratio"].value == 1.0
    assert found["fid_retain"].value is None


def test_data_that_is_not_mnist_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    with pytest.raises(BenchmarkError, match="The split 'train' of the data in .*mnist cannot be read"):
        MNIST.load("train")
