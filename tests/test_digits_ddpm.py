"""The task `digits-ddpm`: what ships is what the manifest says, and it tells methods apart."""

import json

import numpy as np
import pytest
import torch

import unlearnbench
from helpers import ROOT
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.assets import AssetFolder
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.tasks.class_forgetting import diffusion, evaluation
from unlearnbench.tasks.class_forgetting.sampler import Sampler
from unlearnbench.tasks.data import digits
from unlearnbench.tasks.digits_ddpm import DigitsDDPM
from unlearnbench.tasks.judges import classifiers
from unlearnbench.tasks.training.recipe import TrainingRecipe

CPU = torch.device("cpu")
ASSETS = ROOT / "tasks" / "assets" / "digits-ddpm"
OF_OTHER_DIGITS = {f"oracle-{digit}-samples.safetensors" for digit in (0, 8)}
"""What methods that forget these are held against."""
BY_THEIR_NUMBERS = {f"oracle-{digit}-{seed}.safetensors" for digit in (0, 8) for seed in (0, 1, 2)}
"""Oracles whose weights do not ship: samples and records stand for them."""


@pytest.fixture(scope="module")
def task():
    return make_task("digits-ddpm", {})


@pytest.fixture
def few_samples(monkeypatch):
    """An evaluation whose metrics are whole but say little."""
    for name, count in {"FORGET_SAMPLES": 30, "RETAIN_SAMPLES": 72, "NULL_SAMPLES": 30}.items():
        monkeypatch.setattr(evaluation, name, count)
    monkeypatch.setattr(DigitsDDPM, "budget", DigitsDDPM.budget.brief())


def values(record, name):
    return [metric.value for metric in record.metrics if metric.name == name]


@pytest.mark.parametrize(("name", "largest"), [("digits-ddpm", 1.5e6), ("digits-dit", 1.7e6)])
def test_every_file_is_the_one_in_the_manifest_and_they_are_small(name, largest):
    folder = ASSETS.parent / name
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(manifest) - BY_THEIR_NUMBERS == {path.name for path in folder.glob("*.safetensors")}
    assert set(manifest) > BY_THEIR_NUMBERS
    for file in set(manifest) - BY_THEIR_NUMBERS:
        entry = manifest[file]
        assert file_sha256(folder / file) == entry["sha256"]
        assert (folder / file).stat().st_size == entry["bytes"]
        assert {"seconds", "device", "data_sha256", "packages"} <= entry["made"].keys()
        assert entry["bytes"] < largest
    assert sum(path.stat().st_size for path in folder.iterdir() if path.name not in OF_OTHER_DIGITS) < 8e6
    assert sum(path.stat().st_size for path in ASSETS.parent.glob("digits-*/*")) < 30e6


@pytest.mark.parametrize("digit", [0, 3, 8])
@pytest.mark.parametrize("name", ["digits-ddpm", "digits-dit"])
def test_methods_run_on_every_digit_of_the_board_without_retraining(name, digit, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = make_task(name, {"forget_class": digit})
    assert made.missing() == []
    assert len(made.assets.load(made.oracle_samples_file)) > 0
    committed = {
        record.task.sha256
        for record in load_records([ROOT / "leaderboard" / "results" / name]).records
        if record.task.request == {"forget_class": digit}
    }
    assert committed == {made.sha256()}


@pytest.mark.parametrize("digit", [0, 8])
def test_an_oracle_whose_weights_do_not_ship_is_refused_before_it_runs(digit, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BenchmarkError, match=f"lacks oracle-{digit}-0.*; run `unlearnbench prepare digits-ddpm --set"):
        unlearnbench.run("digits-ddpm", "oracle", settings={"forget_class": digit}, results=tmp_path)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    folder = AssetFolder("digits-ddpm", ASSETS)
    folder.save("x.safetensors", {"a": torch.ones(3)}, {})
    assert torch.equal(folder.load("x.safetensors")["a"], torch.ones(3))
    path = tmp_path / "digits-ddpm" / "x.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BenchmarkError, match="is not the file that its manifest names"):
        folder.load("x.safetensors")
    with pytest.raises(BenchmarkError, match="lacks its file y.safetensors"):
        folder.load("y.safetensors")


def test_the_split_is_fixed_and_stratified():
    split = digits.load_split()
    assert (len(split.train.labels), len(split.test.labels)) == (1437, 360)
    assert split.train.images.min() == -1
    assert split.train.images.max() == 1
    shares = [np.bincount(part.labels, minlength=10) / len(part.labels) for part in split]
    assert np.abs(shares[0] - shares[1]).max() < 0.005


def test_the_judges_are_different_and_right_on_real_test_images(task):
    assert len(set(classifiers.ARCHITECTURES.values())) == 2
    test = digits.load_split().test
    for name, judge in task.load_judges().items():
        measured = classifiers.accuracy(judge.network, *test)
        assert measured >= 0.97
        assert measured == pytest.approx(
            task.assets.entry(f"judge-{name}.safetensors").made["test_accuracy"], abs=0.003
        )


def test_the_shipped_base_knows_its_digits_far_better_than_noise(task):
    """The loss of the training run, on test images that the model never saw."""
    model, test = task.load_model("base.safetensors"), digits.load_split().test
    draw = diffusion.draw_corruption(test.images, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        loss = diffusion.denoising_loss(model, diffusion.noise_schedule(), test.images, test.labels, draw, 10)
    assert loss.mean() < 0.12


@pytest.mark.parametrize("labels", [[1, 2, 3, 4], [10, 10, 10, 10], [1, 10, 10, 4]])
def test_the_guided_sampler_is_one_pass_and_rows_without_a_label_are_in_it_once(task, monkeypatch, labels):
    """Against the two passes that the definition spells out."""
    model = task.load_model("base.safetensors")
    sampler = Sampler("ddim", 3, 1.5, batch_size=4)
    labels = torch.tensor(labels)
    rows = []
    model.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    drawn = sampler.sample(model, labels, 10, task.image_shape, seed=5)
    assert rows == [4 + int((labels != 10).sum())] * 3
    x = torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(5))
    scheduler = sampler.scheduler()
    with torch.inference_mode():
        for t in scheduler.timesteps:
            given, null = (diffusion.predict_noise(model, x, t.expand(4), c) for c in (labels, torch.full((4,), 10)))
            x = scheduler.step(null + 1.5 * (given - null), t, x).prev_sample
    expected = ((x.clamp(-1, 1) + 1) * 127.5).round()
    assert (drawn.float() - expected).abs().max() <= 1


def test_samples_depend_on_the_seed_and_the_position_alone(task):
    model = task.load_model("base.safetensors")
    sampler = Sampler("dpm", 2, 1.5, batch_size=3)
    labels = torch.tensor([1, 2, 3, 4, 5])
    first = sampler.sample(model, labels, 10, task.image_shape, seed=5)
    assert torch.equal(first, sampler.sample(model, labels, 10, task.image_shape, seed=5))
    assert not torch.equal(first, sampler.sample(model, labels, 10, task.image_shape, seed=6))


def test_antithetic_time_steps_mirror_each_other():
    draw = diffusion.draw_corruption(torch.zeros(8, 1, 8, 8), torch.Generator().manual_seed(0))
    t = draw["timesteps"]
    assert torch.equal(t[:4] + t[4:], torch.full((4,), 999))


def test_the_loss_of_a_problem_is_the_training_loss(task):
    problem = task.problem(make_method("finetune", {}), 0, CPU)
    batch = next(iter(problem.epoch("retain")))
    error = (problem.predict(batch) - batch.draw["noise"]).square().flatten(1).mean(1)
    assert torch.allclose(problem.loss(batch), error)
    assert problem.loss(batch).shape == (len(batch),)


def test_warming_up_changes_no_weight(task):
    problem = task.problem(make_method("finetune", {}), 0, CPU)
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    problem.warm_up()
    assert all(torch.equal(value, before[name]) for name, value in problem.model.state_dict().items())


def test_any_digit_can_be_the_forget_class():
    for digit in range(10):
        task = make_task("digits-ddpm", {"forget_class": digit})
        assert task.retain_classes() == [label for label in range(10) if label != digit]
        assert bool(task.missing()) == (digit not in (0, 3, 8))
        problem = task.problem(make_method("ascent", {}), 0, CPU)
        assert problem.forget_classes == (digit,)


@pytest.mark.slow
def test_prepare_makes_everything_from_scratch_and_goes_on_where_it_stopped(tmp_path, monkeypatch, few_samples):
    """With a recipe of a few steps: the files are whole and of use, not good."""
    cls = type(make_task("digits-ddpm", {}))
    monkeypatch.setattr(cls, "recipe", TrainingRecipe(steps=12, batch_size=8, lr=1e-3))
    monkeypatch.setattr(classifiers, "TRAIN_STEPS", 3)
    seen = []
    unlearnbench.prepare("digits-ddpm", out=tmp_path, progress=lambda what, done, total: seen.append(what))
    folder = tmp_path / "digits-ddpm"
    shipped = {path.name for path in ASSETS.glob("*.safetensors")}
    assert {path.name for path in folder.glob("*.safetensors")} == shipped - OF_OTHER_DIGITS
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    task = make_task("digits-ddpm", {})
    found = task.evaluate(task.load_model("base.safetensors").eval(), 0, CPU)
    assert len(found.metrics) > 50
    (folder / task.oracle_file(1)).unlink()
    seen.clear()
    unlearnbench.prepare("digits-ddpm", out=tmp_path, progress=lambda what, done, total: seen.append(what))
    assert set(seen) == {f"training {task.oracle_file(1)}"}


@pytest.fixture(scope="module")
def sfron(warm, tmp_path_factory):
    """`unlearnbench run digits-ddpm sfron --set lr=2e-4` from the shipped assets: the paper's rate is for another network."""
    (record,) = unlearnbench.run(
        "digits-ddpm", "sfron", settings={"lr": 2e-4}, results=tmp_path_factory.mktemp("sfron"), device="cpu"
    )
    return record


@pytest.mark.slow
def test_sfron_forgets_in_fifty_steps_and_keeps_the_rest(sfron):
    committed = committed_record("original", 0)
    assert sfron.cost.steps == 50
    assert max(values(sfron, "forget_accuracy")) <= 0.10
    assert min(values(sfron, "retain_accuracy")) >= 0.97
    assert values(sfron, "fid_retain")[0] <= 1.3 * values(committed, "fid_retain")[0]
    assert all(metric.n >= 1000 for metric in sfron.metrics if metric.name == "forget_accuracy")
    assert {metric.judge for metric in sfron.metrics if metric.name == "forget_accuracy"} == {"resnet", "efficientnet"}


def test_the_base_model_is_right_on_every_class_by_both_judges():
    """The committed record of the untouched model."""
    original = committed_record("original", 0)
    assert min(values(original, "retain_accuracy_worst") + values(original, "forget_accuracy")) >= 0.97


def committed_record(method, seed):
    """Of the request that the task has by default."""
    records = load_records([ROOT / "leaderboard" / "results" / "digits-ddpm" / method]).records
    asked = {"forget_class": make_task("digits-ddpm", {}).forget_class}
    (found,) = [record for record in records if record.seed == seed and record.task.request == asked]
    return found


@pytest.mark.slow
def test_every_metric_has_an_identity_and_an_interval(sfron):
    wanted = {
        "forget_accuracy",
        "forget_destination",
        "off_manifold",
        "unconditional_forget_share",
        "retain_accuracy",
        "retain_accuracy_class",
        "retain_accuracy_worst",
        "fid_retain",
        "kid_retain",
        "precision",
        "recall",
        "density",
        "coverage",
        "oracle_distance_retain",
        "oracle_distance_null",
        "fid_retain_floor",
        "kid_retain_floor",
        "forget_loss",
        "forget_gap",
        "retain_loss",
        *(f"{attack}_{what}" for attack in ("inverted", "relearned") for what in ("loss", "gap", "accuracy")),
        "benign_accuracy",
    }
    assert wanted <= {metric.name for metric in sfron.metrics}
    for metric in sfron.metrics:
        assert metric.ci_low <= metric.value <= metric.ci_high
        assert metric.identity.name
        assert metric.identity.protocol
        assert metric.judge is None or metric.identity.weights_sha256
    shares = [m.value for m in sfron.metrics if m.name == "forget_destination" and m.judge == "resnet"]
    assert sum(shares) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_metrics_to_the_last_digit(task, few_samples):
    def outcome():
        method = make_method("sfron", {"steps": 2})
        problem = task.problem(method, 0, CPU)
        method.unlearn(problem)
        return task.evaluate(problem.model.eval(), 0, CPU)

    assert outcome() == outcome()
