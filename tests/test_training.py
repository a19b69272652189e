"""Training that is interrupted, killed, damaged, and the time that it took."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_forgetting import cifar10_networks, cifar10_protocols, training
from unlearnbench.tasks.data.pools import BytePool
from unlearnbench.tasks.judges import cifar10_judges, cifar_resnet, classifiers
from unlearnbench.tasks.judges.judge import Judge, score
from unlearnbench.tasks.training import checkpoint
from unlearnbench.tasks.training.checkpoint import Checkpoint
from unlearnbench.tasks.training.recipe import TrainingRecipe


def images():
    pixels = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return BytePool(pixels, torch.arange(64) % 10, mirrored=True)


def train_model(file, steps, progress):
    recipe = TrainingRecipe(steps=steps, batch_size=4, lr=1e-3)
    torch.manual_seed(0)
    network = cifar10_networks.unet(cifar10_networks.Preset((8, 16), 1, recipe, 0.99, groups=4))
    return training.train(network, images(), 10, recipe, 0, progress, file)


def train_judge(file, steps, progress):
    recipe = classifiers.JudgeRecipe("test_resnet", steps, channels=3, mirrored=True)
    return classifiers.train_judge(recipe, 0, images(), 10, progress, file).state_dict()


def train_cifar_judge(file, steps, progress):
    torch.manual_seed(0)
    network = cifar10_judges.new_network("resnet20")
    with mock.patch.object(cifar_resnet, "BATCH_SIZE", 8):
        return cifar_resnet.train(network, images(), torch.device("cpu"), steps, progress, file).state_dict()


TRAININGS = {"model": train_model, "judge": train_judge, "cifar judge": train_cifar_judge}


def tiny_training(what, path, steps=14, stop=None, seen=None):
    """Trains a miniature to the end, or until `stop` steps are done."""

    def progress(step, total):
        if seen is not None:
            seen.append(step)
        if step == stop:
            raise KeyboardInterrupt

    return TRAININGS[what](Checkpoint(path, {"steps": steps}), steps, progress)


@pytest.fixture(scope="module", params=TRAININGS)
def what(request):
    return request.param


@pytest.fixture(scope="module")
def undisturbed(what, tmp_path_factory):
    return tiny_training(what, tmp_path_factory.mktemp("undisturbed") / "x")


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_training_that_was_interrupted_ends_like_an_undisturbed_one(what, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(KeyboardInterrupt):
        tiny_training(what, tmp_path / "x", stop=7)
    seen = []
    assert equal(tiny_training(what, tmp_path / "x", seen=seen), undisturbed)
    assert seen[0] == 7
    # Global random numbers matter, too: dropout and judges draw them.
    assert not equal(tiny_training(what, tmp_path / "y", steps=13), undisturbed)


@pytest.mark.slow
def test_training_that_was_killed_ends_like_an_undisturbed_one(what, undisturbed, tmp_path):
    path = tmp_path / "x"
    script = (
        "import unlearnbench, torch, test_training as t; from pathlib import Path\n"
        "torch.set_num_threads(1); t.checkpoint.SECONDS_BETWEEN = 0.0\n"
        f"t.tiny_training({what!r}, Path({str(path)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent)
    while not path.exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = []
    assert equal(tiny_training(what, path, seen=seen), undisturbed)
    assert 1 < seen[0] < 14
    Checkpoint(path, {}).remove()
    assert not path.exists()


def test_preparing_that_was_stopped_goes_on_with_its_judge(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(classifiers, "TRAIN_STEPS", 5)
    task = make_task("digits-vae", {})
    monkeypatch.setattr(type(task), "recipe", TrainingRecipe(steps=2, batch_size=8, lr=1e-3))
    told = []

    def stop(what, done, of):
        if what == "judge efficientnet" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.prepare(stop)
    (left,) = tmp_path.glob("digits-vae/*.checkpoint")
    monkeypatch.setattr(classifiers, "TRAIN_STEPS", 6)
    with pytest.raises(BenchmarkError, match="judge-efficientnet.* is the checkpoint of another run"):
        task.prepare(stop)
    monkeypatch.setattr(classifiers, "TRAIN_STEPS", 5)
    task.prepare(lambda *event: told.append(event))
    assert left.name == "judge-efficientnet.safetensors.checkpoint"
    assert told[0] == ("judge efficientnet", 3, 5)
    assert not task.missing()
    assert not list(tmp_path.glob("digits-vae/*.checkpoint"))
    made = task.judge_assets.entry("judge-efficientnet.safetensors").made
    assert (made["architecture"], made["steps"], made["test_images"]) == ("timm test_efficientnet", 5, 360)


def test_a_checkpoint_that_is_damaged_or_of_another_run_is_one_sentence(tmp_path):
    path = tmp_path / "x"
    found = Checkpoint(path, {"seed": 0})
    assert found.load() is None
    found.save({"step": 3})
    assert Checkpoint(path, {"seed": 0}).load() == {"step": 3}
    with pytest.raises(BenchmarkError, match="is the checkpoint of another run"):
        Checkpoint(path, {"seed": 1}).load()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BenchmarkError, match="is not a whole checkpoint; delete it"):
        Checkpoint(path, {"seed": 0}).load()


def test_the_time_of_earlier_attempts_counts(tmp_path, monkeypatch):
    first = Checkpoint(tmp_path / "x", {})
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 100)
    first.save({})
    second = Checkpoint(tmp_path / "x", {})
    second.load()
    assert 100 <= second.seconds < 160


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_and_judging_run_on_a_gpu(tmp_path):
    device = torch.device("cuda")
    recipe = TrainingRecipe(steps=4, batch_size=8, lr=1e-3)
    preset = cifar10_networks.Preset((32, 64), 1, recipe, 0.99)
    pool = BytePool(torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8), torch.arange(64) % 10, mirrored=True)
    file = Checkpoint(tmp_path / "x", {})
    weights = training.train(cifar10_networks.unet(preset), pool, 10, recipe, 0, lambda *_: None, file, device=device)
    model = cifar10_networks.unet(preset)
    model.load_state_dict(weights)
    images = cifar10_protocols.OWN.sampler.sample(model.to(device).eval(), torch.arange(8), 10, (3, 32, 32), 0)
    judge = Judge(cifar10_judges.new_network("resnet20").eval(), "").to(device)
    assert score(judge, images).labels.shape == (8,)
