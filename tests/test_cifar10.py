"""The task `cifar10-ddpm`: in miniature as a user would run it, and its data and judges on the real CIFAR-10."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import unlearnbench
from parquet_files import encoded, write_parquet
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.metrics import measures
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.tasks.class_forgetting import cifar10_networks
from unlearnbench.tasks.data.sets import CIFAR10
from unlearnbench.tasks.judges import cifar10_judges, cifar_resnet
from unlearnbench.tasks.judges.judge import Extractor, features, score
from unlearnbench.tasks.training.recipe import TrainingRecipe

CPU = torch.device("cpu")
PLUGIN = Path(__file__).parent / "tiny_cifar10.py"
ANY = dataclasses.replace(CIFAR10, sha256=None)
"""The same layout, whatever the pictures are."""
JUDGES = ["resnet20", "test_vit=vit.safetensors"]
real = pytest.mark.data("cifar10", cifar10_judges.FOLDER)


def write_data(folder, order=None, spoil=lambda rows: None, counts=(("train", 120), ("test", 30))):
    """Writes images of the hub's layout: colours that grow brighter with the class."""
    types = {"img": datasets.Image(), "label": datasets.ClassLabel(names=list(CIFAR10.classes))}
    for name, count in counts:
        generator = np.random.default_rng(count)
        pixels = generator.integers(0, 60, (count, 32, 32, 3)) + 19 * (np.arange(count) % 10)[:, None, None, None]
        rows = [(encoded(each.astype(np.uint8)), number % 10) for number, each in enumerate(pixels)]
        rows = rows if order is None else rows[::order]
        spoil([row for row, _ in rows])
        columns = {"img": [x for x, _ in rows], "label": [y for _, y in rows]}
        write_parquet(folder / "cifar10" / "plain_text" / f"{name}-00000-of-00001.parquet", columns, types)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a user keeps below UNLEARNBENCH_DATA: images, and a judge of timm's; none of He et al.'s."""
    found = write_data(tmp_path_factory.mktemp("data"))
    (found / cifar10_judges.FOLDER).mkdir()
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=10)
    save_file(network.state_dict(), found / cifar10_judges.FOLDER / "vit.safetensors")
    return found


@pytest.fixture(scope="module")
def tiny(folder, tmp_path_factory):
    """The environment of the miniature after `unlearnbench prepare`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNLEARNBENCH_DATA", str(folder))
        patch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path_factory.mktemp("assets")))
        unlearnbench.prepare("tiny-cifar10", settings={"judges": JUDGES}, plugins=[PLUGIN])
        yield make_task("tiny-cifar10", {"judges": JUDGES})


# The data.


def test_every_copy_of_the_data_gives_the_same_images_in_the_same_order(tmp_path, monkeypatch):
    found = []
    for name, order in (("one", None), ("other", -1)):
        monkeypatch.setenv("UNLEARNBENCH_DATA", str(write_data(tmp_path / name, order)))
        found.append((*ANY.load("train"), ANY.identity()))
    one, other = found
    assert one[2] == other[2]
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert one[0].shape == (120, 3, 32, 32)
    assert ANY.load("test").labels.bincount().tolist() == [3] * 10
    means = [one[0][one[1] == label].float().mean() for label in range(10)]
    assert means == sorted(means)


def test_other_images_of_the_same_layout_are_not_cifar10(folder, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(folder))
    with pytest.raises(
        BenchmarkError,
        match="is not uoft-cs/cifar10: its hash is .* get uoft-cs/cifar10 at revision 0b2714987fa4 again",
    ):
        CIFAR10.load("train")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda encoded: encoded[:200], "The picture 7 of the split 'train' of .* is damaged"),
        (lambda encoded: b"", "The picture 7 of the split 'train' of .* is damaged"),
    ],
)
def test_a_damaged_image_is_named(tmp_path, monkeypatch, damage, sentence):
    def spoil(rows):
        rows[7]["bytes"] = damage(rows[7]["bytes"])

    monkeypatch.setenv("UNLEARNBENCH_DATA", str(write_data(tmp_path, spoil=spoil)))
    with pytest.raises(BenchmarkError, match=sentence):
        ANY.load("train")


def test_a_hub_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)
    sentence = "uoft-cs/cifar10 cannot be fetched from the hub .*; be online, or put a copy of uoft-cs/cifar10 into a"
    with pytest.raises(BenchmarkError, match=sentence):
        CIFAR10.load("train")
    assert any("lacks its data" in problem for problem in make_task("cifar10-ddpm", {}).missing())


# The judges.


def test_a_judge_that_is_not_there_is_named_with_its_place(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(folder))
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    problems = " ".join(make_task("cifar10-ddpm", {}).missing())
    assert "lacks base-tiny.safetensors, oracle-" in problems
    assert "judge-resnet44.safetensors, judge-resnet32.safetensors; run" in problems
    assert "run `unlearnbench prepare cifar10-ddpm`" in problems
    assert f"{folder / cifar10_judges.FOLDER / 'resnet44.safetensors'} is there (sha256 282303c52fae" in problems
    other = make_task("cifar10-ddpm", {"judges": ["resnet18=mine.safetensors"], "forget_class": 3, "preset": "paper"})
    problems = " ".join(other.missing())
    place = folder / cifar10_judges.FOLDER / "mine.safetensors"
    assert f"There is no file {place} with weights of the judge resnet18; correct" in problems
    assert "--set forget_class=3 --set 'judges=" in problems
    assert "--set preset=paper" in problems


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        ("test_resnet=vit.safetensors", "does not hold the weights of timm's test_resnet for 10 classes .*; give"),
        (
            "test_vit=../vit.safetensors",
            "There is no file ../vit.safetensors with weights of the judge test_vit; correct",
        ),
        ("test_vit=vit.safetensors@" + "0" * 64, "is not the pinned file of the judge test_vit .*; restore it"),
        (
            "test_resnet.r160_in1k",
            "model.safetensors of timm/test_resnet.r160_in1k cannot be fetched .*; be online, or",
        ),
    ],
)
def test_a_wrong_judge_is_one_sentence(folder, tmp_path, monkeypatch, judge, sentence):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(folder))
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    task = make_task("cifar10-ddpm", {"judges": [judge]})
    with pytest.raises(BenchmarkError, match=sentence):
        task.load_judges()
    assert re.search(sentence, " ".join(task.missing()))


def test_a_judge_that_timm_does_not_know_is_refused_at_once():
    with pytest.raises(BenchmarkError, match="There is no timm model named 'no_such_net'"):
        make_task("cifar10-ddpm", {"judges": ["no_such_net=vit.safetensors"]})


def test_a_pinned_judge_of_another_hash_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    (tmp_path / cifar10_judges.FOLDER).mkdir()
    save_file(
        cifar10_judges.new_network("resnet20").state_dict(), tmp_path / cifar10_judges.FOLDER / "resnet20.safetensors"
    )
    with pytest.raises(
        BenchmarkError, match="is not the judge resnet20: its sha256 is .* not 6d10c0b75b12; replace it"
    ):
        cifar10_judges.load_pinned("resnet20")


@pytest.mark.parametrize("wrong", [[], ["resnet20", "resnet20"]])
def test_judges_are_named_once_each(wrong):
    with pytest.raises(BenchmarkError, match="name one judge or more, each once"):
        make_task("cifar10-ddpm", {"judges": wrong})


def test_cropping_shifts_by_four_pixels_at_most_and_pads_with_the_mean():
    images = torch.full((200, 3, 32, 32), 0.9)
    images[:, :, 16, 10] = -1.0
    found = cifar_resnet._cropped(images, torch.Generator().manual_seed(0))
    rows, columns = ((found[:, 0] == -1).nonzero()[:, axis] for axis in (1, 2))
    assert set(rows.tolist()) == set(range(12, 21))
    assert set(columns.tolist()) == {*range(6, 15), *range(17, 26)}
    padding = found[:, 0, 0, 0][found[:, 0, 0, 0] < 0.5]
    assert padding.numpy() == pytest.approx(2 * cifar_resnet.IMAGENET_MEAN[0] - 1, abs=1e-6)


@pytest.fixture(scope="module")
def real_test_set():
    """The real test images and what resnet20 makes of them: labels and features."""
    test = CIFAR10.load("test")
    return test, score(cifar10_judges.load_pinned("resnet20"), test.images)


@real
@pytest.mark.slow
def test_the_judges_accuracy_on_the_real_test_set_is_the_published_one(real_test_set):
    """resnet20 on all 10,000 images to 0.1 %; the deeper ones, which take minutes, on as many as tell a wrong one."""
    test, found = real_test_set
    accuracy = float((found.labels == test.labels).float().mean())
    assert accuracy == pytest.approx(cifar10_judges.PINNED["resnet20"].test_accuracy, abs=1e-3)
    for name in ("resnet32", "resnet44"):
        right = score(cifar10_judges.load_pinned(name), test.images[:500]).labels == test.labels[:500]
        interval = measures.proportion(right).interval
        assert interval.low <= cifar10_judges.PINNED[name].test_accuracy <= interval.high


@real
@pytest.mark.slow
def test_two_halves_of_the_real_images_are_close_and_a_missing_class_shows(real_test_set):
    test, found = real_test_set
    values = found.features
    floor = measures.frechet_distance(values[:5000], values[5000:])
    without = values[5000:][(test.labels[5000:] != 1).numpy()]
    shifted = measures.frechet_distance(values[:5000], without)
    scale = float(values.var(0).sum())
    assert 0 <= floor < 0.01 * scale
    assert shifted > 5 * floor


# The whole of it, in miniature.


def test_the_miniature_is_prepared_as_a_user_does(tiny):
    assert tiny.missing() == []
    files = tiny.assets._manifest(tiny.assets.writable).files
    assert set(files) == {
        "base-small.safetensors",
        "judge-resnet20.safetensors",
        *(f"oracle-small-1-{seed}.safetensors" for seed in range(3)),
        "oracle-small-1-samples-own.safetensors",
    }
    assert files["oracle-small-1-0.safetensors"].made["images"] == 108
    assert {"test_accuracy", "seconds", "device"} <= files["judge-resnet20.safetensors"].made.keys()
    assert not list(tiny.assets.writable.glob("*.checkpoint"))
    samples = load_file(tiny.assets.writable / "oracle-small-1-samples-own.safetensors")
    assert samples["2.retain"].shape == (72, 3, 32, 32)
    assert samples["2.retain"].dtype == torch.uint8


def test_for_the_trials_of_a_search_no_oracle_is_trained(tiny, cli):
    settings = {"judges": JUDGES, "forget_class": 2}
    trial = make_task("tiny-cifar10", settings, short=True)
    assert trial.prepare_command().endswith(" --short")
    asked = ["tiny-cifar10", "--plugin", PLUGIN, "--set", f"judges={json.dumps(JUDGES)}", "--set", "forget_class=2"]
    assert "lacks nothing" in " ".join(cli("prepare", *asked, "--short").stdout.split())
    assert trial.missing() == []
    assert not list(tiny.assets.writable.glob("oracle-small-2-*"))
    whole = make_task("tiny-cifar10", settings)
    assert not whole.prepare_command().endswith(" --short")
    assert "oracle-small-2-0.safetensors" in whole.missing()[0]


@pytest.mark.slow
def test_a_method_runs_leaves_a_record_and_gets_onto_the_board(tiny, cli, tmp_path):
    done = cli(
        "run", "tiny-cifar10", "sfron", "--plugin", PLUGIN, "--set", f"judges={json.dumps(JUDGES)}", "--set", "steps=2"
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "results").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert record["task"]["config"] == {
        "forget_class": 1,
        "preset": "small",
        "protocol": "own",
        "judges": JUDGES,
        "distances": "judge",
        "fast_sampling": False,
    }
    assert record["task"]["sha256"] == tiny.sha256()
    found = {(metric["name"], metric["judge"]): metric for metric in record["metrics"]}
    vit = file_sha256(Path(os.environ["UNLEARNBENCH_DATA"]) / cifar10_judges.FOLDER / "vit.safetensors")
    assert found["forget_accuracy", "test-vit"]["identity"]["weights_sha256"] == vit
    assert found["judge_accuracy", "resnet20"]["n"] == 30
    assert {"fid_retain", "kid_retain", "coverage", "oracle_distance_retain"} <= {
        name for name, judge in found if judge == "resnet20"
    }
    assert not any(str(tmp_path) in text or "/tmp" in text for text in (path.read_text(),))
    board = unlearnbench.board([tmp_path / "results"], out=tmp_path / "site", committed=False)
    assert "tiny-cifar10" in board.page.read_text()


@pytest.mark.slow
def test_fast_sampling_is_named_has_samples_of_its_own_and_is_refused_without_a_gpu_before_anything_is_trained(
    tiny, monkeypatch
):
    for protocol in ("own", "paper"):
        plain, fast = (
            make_task("tiny-cifar10", {"judges": JUDGES, "protocol": protocol, "fast_sampling": on})
            for on in (False, True)
        )
        assert fast.sampler.describe().replace(", bf16, channels-last, compiled", "") == plain.sampler.describe()
        assert type(fast.sampler) is type(plain.sampler)
        assert set(fast.files()) - set(plain.files()) == {fast.oracle_samples_file}
    monkeypatch.setattr(type(fast), "training_device", CPU)
    for act in (lambda: fast.prepare(print), lambda: fast.problem(make_method("original", {}), 0, CPU)):
        with pytest.raises(BenchmarkError, match="is for a GPU and brings nothing on 'cpu'; leave out .*fast_sampling"):
            act()


def test_another_protocol_and_another_extractor_need_nothing_trained_anew(tiny, monkeypatch):
    settings = {"judges": JUDGES, "protocol": "paper"}
    assert "samples-paper" in make_task("tiny-cifar10", settings).missing()[0]
    seen = []
    unlearnbench.prepare("tiny-cifar10", settings=settings, progress=lambda what, done, total: seen.append(what))
    assert set(seen) == {"samples of the oracles"}
    task = make_task("tiny-cifar10", settings)

    class Means(torch.nn.Module):
        def features(self, images):
            return images.mean((2, 3))

    monkeypatch.setattr(type(task), "extractor", lambda self: ("means", Extractor(Means(), "0" * 64)))
    model = task.load_model("base-small.safetensors").eval()
    found = {(m.name, m.judge): m for m in task.evaluate(model, 0, CPU).metrics}
    assert found["fid_retain", "means"].identity.weights_sha256 == "0" * 64
    assert ("fid_retain", "resnet20") not in found
    assert "stretched" in found["forget_accuracy", "resnet20"].identity.protocol


@pytest.mark.slow
def test_distances_in_an_extractors_features_carry_its_identity(tiny, dinov2_file, tiny_dinov2):
    task = make_task("tiny-cifar10", {"judges": JUDGES, "distances": "dinov2-small"})
    (lacking,) = task.missing()
    assert lacking.startswith("The features 'dinov2-small' lack their weights; prepare the task: be online, or put")
    with pytest.raises(BenchmarkError, match="The weights of the features 'dinov2-small' could not be fetched"):
        task.prepare(lambda what, done, total: None)
    place = Path(os.environ["UNLEARNBENCH_DATA"]) / "features"
    place.mkdir()
    shutil.copy(dinov2_file, place)
    assert task.missing() == []
    task.prepare(lambda what, done, total: pytest.fail("nothing is lacking"))
    assert task.sha256() != tiny.sha256()
    model = task.load_model("base-small.safetensors").eval()
    found = {(m.name, m.judge): m.identity for m in task.evaluate(model, 0, CPU).metrics}
    for name in ("fid_retain", "kid_retain", "coverage", "off_manifold", "oracle_distance_null"):
        assert found[name, "dinov2-small"].weights_sha256 == file_sha256(dinov2_file)
        assert "guidance 1.5, uint8; features dinov2-small (vit_small" in found[name, "dinov2-small"].protocol
        assert (name, "resnet20") not in found
    assert "guidance 1.5, uint8; shorter side to " in found["forget_accuracy", "test-vit"].protocol
    assert found["forget_accuracy", "resnet20"].protocol.endswith("guidance 1.5, uint8")


def test_weights_of_another_network_are_refused(tiny):
    other = cifar10_networks.unet(cifar10_networks.Preset((16, 16), 1, TrainingRecipe(2, 1, 1.0), 0.9, groups=4))
    tiny.assets.save("other.safetensors", other.state_dict(), {})
    with pytest.raises(BenchmarkError, match="holds weights of another network than the task 'tiny-cifar10'"):
        tiny.load_model("other.safetensors")
    assert tiny.load_model("base-small.safetensors") is not None


def test_too_little_memory_is_one_sentence(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(tiny), "train", full)
    with pytest.raises(BenchmarkError, match="The GPU's memory does not suffice to prepare the task 'tiny-cifar10'"):
        unlearnbench.prepare("tiny-cifar10", settings={"judges": JUDGES, "forget_class": 2})


def test_batches_of_the_problem_are_mirrored_by_the_runs_seed_alone(tiny):
    found = []
    for seed in (0, 0, 1):
        problem = tiny.problem(make_method("finetune", {}), seed, CPU)
        found.append(next(iter(problem.batches("forget", 1))).images)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert set(next(iter(problem.epoch("forget"))).labels.tolist()) == {1}


def test_features_are_the_same_from_bytes_and_from_numbers(tiny):
    judge = tiny.load_judges()["resnet20"]
    images, _ = next(tiny.training_pool().ordered(10))
    as_bytes = tiny.training_pool().images[:10]
    assert np.array_equal(features(judge, images), features(judge, as_bytes))
    assert "tiny-cifar10" in registry.tasks.names()
