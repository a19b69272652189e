"""Training that is interrupted, killed, damaged, and the time that it took."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.class_forgetting import cifar10_networks, cifar10_protocols, training
from unlearnbench.tasks.data.pools import BytePool
from unlearnbench.tasks.judges import cifar10_judges
from unlearnbench.tasks.judges.judge import Judge, score
from unlearnbench.tasks.training import checkpoint
from unlearnbench.tasks.training.checkpoint import Checkpoint
from unlearnbench.tasks.training.recipe import TrainingRecipe


def tiny_training(path, steps=14, stop=None, seen=None):
    """Trains a miniature to the end, or until `stop` steps are done."""

    def progress(step, total):
        if seen is not None:
            seen.append(step)
        if step == stop:
            raise KeyboardInterrupt

    pixels = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pool = BytePool(pixels, torch.arange(64) % 10, mirrored=True)
    recipe = TrainingRecipe(steps=steps, batch_size=4, lr=1e-3)
    torch.manual_seed(0)
    network = cifar10_networks.unet(cifar10_networks.Preset((8, 16), 1, recipe, 0.99, groups=4))
    return training.train(network, pool, 10, recipe, 0, progress, Checkpoint(path, {"steps": steps}))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return tiny_training(tmp_path_factory.mktemp("undisturbed") / "x")


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_training_that_was_interrupted_ends_like_an_undisturbed_one(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(KeyboardInterrupt):
        tiny_training(tmp_path / "x", stop=7)
    seen = []
    assert equal(tiny_training(tmp_path / "x", seen=seen), undisturbed)
    assert seen[0] == 7
    # Global random numbers matter, too: dropout draws them.
    assert not equal(tiny_training(tmp_path / "y", steps=13), undisturbed)


@pytest.mark.slow
def test_training_that_was_killed_ends_like_an_undisturbed_one(undisturbed, tmp_path, monkeypatch):
    path = tmp_path / "x"
    script = (
        "import unlearnbench, torch, test_training as t; from pathlib import Path\n"
        "torch.set_num_threads(1); t.checkpoint.SECONDS_BETWEEN = 0.0\n"
        f"t.tiny_training(Path({str(path)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent)
    while not path.exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = []
    assert equal(tiny_training(path, seen=seen), undisturbed)
    assert 1 < seen[0] < 14
    Checkpoint(path, {}).remove()
    assert not path.exists()


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
