"""The tasks on photographs: splits, pictures, public checkpoints; and miniatures of all of them from prepare to the board."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import unlearnbench as ub
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.metrics.intervals import cluster_bootstrap
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.records.files import write_atomically
from unlearnbench.benchmark.records.record import Status
from unlearnbench.benchmark.running import plan
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.benchmark.running.unlearning import Unlearning
from unlearnbench.benchmark.running.worker import judged
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.tasks.data.pools import BytePool
from unlearnbench.tasks.image_to_image import training
from unlearnbench.tasks.image_to_image.evaluation import Filled
from unlearnbench.tasks.image_to_image.holes import Hole
from unlearnbench.tasks.image_to_image.mae import load_mae, small_mae
from unlearnbench.tasks.training.checkpoint import Checkpoint
from unlearnbench.tasks.training.recipe import TrainingRecipe

from tiny_photographs import write_data, write_judge, write_mae, write_palette, write_pictures  # isort: skip

PLUGIN = Path(__file__).parent / "tiny_photographs.py"
CPU = torch.device("cpu")
OBJECTS = ["n02123045 tabby", "n02410509 bison", "n01443537 goldfish", "n01784675 centipede", "n02909870 bucket"]
OBJECTS += ["n04398044 teapot", "n07615774 ice lolly", "n07871810 meat loaf", "n03770439 miniskirt"]
PLACES = ["/a/archive", "/a/attic", "/b/badlands", "/b/beach", "/k/kitchen", "/l/lagoon", "/z/zen_garden"]


@pytest.fixture(scope="module", autouse=True)
def _plugin():
    registry.add_plugin(PLUGIN)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Miniatures of ImageNet and Places365 in the hub's layout."""
    folder = tmp_path_factory.mktemp("data")
    write_data(folder / "imagenet-1k", ("train", "validation"), OBJECTS, each=12)
    write_data(folder / "places365", ("train", "validation"), PLACES, each=8)
    return folder


@pytest.fixture
def there(data, tmp_path, monkeypatch):
    """The data at hand, and a folder for what is prepared."""
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(data))
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    return tmp_path


def silent(*_):
    pass


def made_record(task, method, tmp_path, settings):
    """A record made in this process, written as the runner would."""
    where = plan.Placement(tmp_path / "results", "cpu", 1, (PLUGIN,))
    plans, refused = plan.plan([Request(task, method, [0], settings)], where)
    assert not refused
    spec, file = plans[0].spec, tmp_path / "model.safetensors"
    record = judged(spec, Unlearning(spec, file, silent).left(), file)
    write_atomically(tmp_path / "results" / record.filename, record.model_dump_json().encode())
    return record


def numbers(record):
    return {metric.name: metric.value for metric in record.metrics}


# Evaluation.


def test_the_interval_over_classes_is_that_of_their_means():
    generator = np.random.default_rng(0)
    classes, each = 60, 20
    labels = np.repeat(np.arange(classes), each)
    values = generator.normal(size=classes)[labels] + 0.1 * generator.normal(size=classes * each)
    low, high = cluster_bootstrap(lambda rows: float(values[rows].mean()), labels)
    means = values.reshape(classes, each).mean(1)
    half = 1.96 * means.std(ddof=1) / classes**0.5
    assert low == pytest.approx(means.mean() - half, abs=0.25 * half)
    assert high == pytest.approx(means.mean() + half, abs=0.25 * half)
    assert (low, high) == cluster_bootstrap(lambda rows: float(values[rows].mean()), labels)


def test_bytes_are_measured_as_the_same_numbers_are():
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    filled = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    hole = Hole("centre", 0.25).masks(5, 8)
    numbers = [part.float() / 127.5 - 1 for part in (images, filled)]
    labels = torch.arange(5)
    assert torch.allclose(
        Filled(images, hole, filled, labels).errors(), Filled(numbers[0], hole, numbers[1], labels).errors()
    )


def test_a_large_hole_is_judged_alone_and_a_small_or_scattered_one_is_not():
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    labels = torch.arange(3)
    crop = Filled(images, Hole("centre", 0.25).masks(3, 64), images, labels).crop()
    assert torch.equal(crop.truth, images[:, :, 16:48, 16:48])
    for hole in (Hole("centre", 1 / 16), Hole("out-painting", 0.75), Hole("random", 0.25, 8)):
        masks = hole.masks(3, 64, torch.Generator().manual_seed(0))
        assert Filled(images, masks, images, labels).crop() is None


def test_training_that_was_stopped_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    pool = BytePool(torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8), torch.zeros(40, dtype=torch.long), True)
    holes, recipe = (Hole("random", 0.25, 4),), TrainingRecipe(steps=8, batch_size=8, lr=1e-3)

    def trained(name, progress=silent):
        torch.manual_seed(0)
        model = small_mae(16, 4, 3, 16, 1, 1)
        return training.train(model, model, holes, pool, recipe, 0, progress, Checkpoint(tmp_path / name, {}))

    whole = trained("whole")
    monkeypatch.setattr(Checkpoint, "is_due", lambda self: True)

    def killed(step, _):
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained("stopped", killed)
    again = []
    resumed = trained("stopped", lambda step, _: again.append(step))
    assert again == [6, 7, 8]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


# Public checkpoints.


def test_a_masked_autoencoder_that_transformers_saved_keeps_its_position_embeddings(tmp_path):
    write_mae(tmp_path)
    model = load_mae(tmp_path, 32, 4, "take another")
    torch.manual_seed(0)
    fresh = small_mae(32, 4, 3, 32, 2, 1).network
    for ours, theirs in (
        (model.network.vit.embeddings.position_embeddings, fresh.vit.embeddings.position_embeddings),
        (model.network.decoder.decoder_pos_embed, fresh.decoder.decoder_pos_embed),
    ):
        assert ours.abs().sum() > 0
        assert torch.equal(ours, theirs)
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    hole = Hole("centre", 0.25, 4).masks(2, 32)
    with torch.inference_mode():
        grey = model(torch.zeros_like(images), hole)
    assert torch.allclose(model.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    assert grey.isfinite().all()


def test_a_wrong_checkpoint_is_one_sentence(tmp_path):
    write_mae(tmp_path / "good")
    with pytest.raises(BenchmarkError, match="pictures of 32 pixels in patches of 4"):
        load_mae(tmp_path / "good", 224, 16, "take another")
    with pytest.raises(BenchmarkError, match="is no checkpoint"):
        load_mae(tmp_path, 32, 4, "take another")
    write_palette(tmp_path / "palette")
    with pytest.raises(BenchmarkError, match="holds a UNet2DModel"):
        load_mae(tmp_path / "palette", 32, 4, "take another")
    write_mae(tmp_path / "normalized", norm_pix_loss=True)
    with pytest.raises(BenchmarkError, match="normalized patches"):
        load_mae(tmp_path / "normalized", 32, 4, "take another")
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "good" / "model.safetensors"
    save_file({k: v for k, v in load_file(weights).items() if "decoder" not in k}, weights, {"format": "pt"})
    with pytest.raises(BenchmarkError, match="without its decoder"):
        load_mae(tmp_path / "good", 32, 4, "take another")
    weights.write_bytes(b"torn")
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        load_mae(tmp_path / "good", 32, 4, "take another")


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("imagenet-mae", {}, r"vit-mae-base cannot be fetched .*name its folder"),
        ("imagenet-mae", {"base": "/nowhere"}, r"there is no folder /nowhere; download"),
        ("places365-palette", {}, r"none is named; convert the public checkpoint"),
    ],
)
def test_without_its_base_model_a_task_says_what_to_do(name, settings, expected, there):
    (sentence,) = make_task(name, settings).missing()
    assert re.search(expected, sentence), sentence
    with pytest.raises(BenchmarkError):
        make_task(name, settings).prepare(silent)


@pytest.mark.parametrize("name", ["imagenet-mae", "places365-palette"])
def test_a_task_without_retraining_refuses_the_oracle(name):
    task = make_task(name, {})
    assert Need.ORACLE not in task.offers
    assert task.refusal(registry.methods.get("oracle"))
    with pytest.raises(BenchmarkError, match="no oracle"):
        task.retraining_cost(0)


def test_the_protocol_setting_of_palette_is_the_released_sampler(there):
    own, paper = make_task("places365-palette", {}), make_task("places365-palette", {"protocol": "paper"})
    assert own.sampling().endswith("DDIM without noise in 50 steps, noise by seed and batch of 50")
    assert "ancestral sampling in 2000 steps" in paper.sampling()
    assert Need.IMAGES not in own.offers


# From prepare to the board.


@pytest.mark.slow
def test_imagenet_mae_from_prepare_to_the_board(there):
    write_mae(there / "mae")
    write_judge(there / "judge.safetensors", len(OBJECTS))
    settings = {
        "base": str(there / "mae"),
        "judges": [f"test_resnet={there / 'judge.safetensors'}"],
        "train_images": 8,
        "test_images": 6,
    }
    task = make_task("tiny-imagenet-mae", settings)
    assert "lacks its pictures" in task.missing()[0]
    task.prepare(silent)
    assert task.missing() == []
    original = made_record("tiny-imagenet-mae", "original", there, settings)
    forgot = made_record("tiny-imagenet-mae", "li2024", there, settings | {"steps": 6, "lr": 1e-2})
    assert original.status is forgot.status is Status.OK
    before, after = numbers(original), numbers(forgot)
    assert before["suppression"] == 0
    assert before["hole_error_forget"] != after["hole_error_forget"]
    assert not any(name.startswith("oracle_distance") for name in before)
    assert {"judge_accuracy_forget", "fid_forget", "fid_forget_floor", "hole_error_near", "hole_error_unseen"} <= set(
        before
    )
    ranked = rank_all([original, forgot])
    assert [board.track.name for board in ranked] == ["suppression"]
    page = ub.board([there / "results"], out=there / "site", committed=False).page
    assert "tiny-imagenet-mae" in Path(page).read_text()


def test_proxies_are_other_classes_than_both_sides(there):
    write_mae(there / "mae")
    task = make_task(
        "tiny-imagenet-mae", {"base": str(there / "mae"), "retain_data": "proxy", "train_images": 4, "test_images": 2}
    )
    task.prepare(silent)
    forget, retain = task.method_pools()
    split = task.class_split()
    assert set(forget.labels.tolist()) == set(split.forget)
    assert set(retain.labels.tolist()) <= set(split.others)
    pools = task.pools()
    assert set(pools.near.labels.tolist()) <= set(split.near)
    assert pools.counts() == task.image_counts()
    assert task.evaluation_protocol()["unseen"] == "squares of scikit-learn's sample photographs"


def test_of_a_larger_copy_the_classes_of_the_base_model_are_taken(tmp_path, monkeypatch):
    """Weights that were trained on some classes serve whoever has the whole data set."""
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    extra = ["n01440764 tench", "n03026506 Christmas stocking", "n09999999 unheard of"]
    write_pictures(tmp_path / "some" / "tiny-imagenet", OBJECTS)
    write_pictures(tmp_path / "all" / "tiny-imagenet", [*extra, *OBJECTS])
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path / "some"))
    task = make_task("tiny-tinyimagenet", {}, short=True)
    task.prepare(silent)
    sha256 = task.sha256()
    pool = task.training_pool()
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path / "all"))
    (tmp_path / "assets" / "tiny-tinyimagenet" / task.pools_file).unlink()
    again = make_task("tiny-tinyimagenet", {}, short=True)
    again.prepare(silent)
    assert again.sha256() == sha256
    assert again.num_classes == len(OBJECTS)
    assert torch.equal(again.training_pool().images, pool.images)
    assert torch.equal(again.training_pool().labels, pool.labels)
    shutil.rmtree(tmp_path / "all" / "tiny-imagenet" / "train" / "n02410509 bison")
    again.assets.place(task.pools_file).unlink()
    with pytest.raises(
        BenchmarkError, match=r"trained on 9 classes, of which the data in .* lacks n02410509; add them"
    ):
        make_task("tiny-tinyimagenet", {}, short=True).prepare(silent)


def test_splits_are_requests_of_one_board_and_one_is_for_searches_alone(there):
    write_mae(there / "mae")
    settings = {"base": str(there / "mae"), "train_images": 2, "test_images": 2}
    kind = registry.tasks.get("tiny-imagenet-mae")
    assert not any(request in kind.standard_requests for request in kind.tuning_requests)
    requests = [
        make_task("tiny-imagenet-mae", settings | request)
        for request in (*kind.standard_requests, *kind.tuning_requests)
    ]
    for task in requests:
        task.prepare(silent)
    assert len({task.forgotten() for task in requests}) == len(requests)
    assert len({task.sha256() for task in requests}) == len(requests)
    assert len({task.shared_sha256() for task in requests}) == 1
    for other in ({"retain_data": "proxy"}, {"split": "li2024-released"}):
        task = make_task("tiny-imagenet-mae", settings | other)
        task.prepare(silent)
        assert task.shared_sha256() != requests[0].shared_sha256()


@pytest.mark.slow
def test_places365_palette_learns_and_is_judged(there, monkeypatch):
    from unlearnbench.tasks.image_to_image.palette import Palette

    monkeypatch.setattr(Palette, "sampling_steps", 2)
    write_palette(there / "palette")
    settings = {"base": str(there / "palette"), "train_images": 4, "test_images": 2}
    make_task("tiny-palette", settings).prepare(silent)
    original = made_record("tiny-palette", "original", there, settings)
    forgot = made_record("tiny-palette", "li2024", there, settings | {"steps": 2, "lr": 1e-3})
    assert original.status is forgot.status is Status.OK
    assert numbers(original)["hole_error_forget"] != numbers(forgot)["hole_error_forget"]
    assert not any(metric.judge for metric in original.metrics)
    assert [board.track.name for board in rank_all([original, forgot])] == ["suppression"]


def test_li2024_moves_palettes_encoder_and_nothing_else(there):
    write_palette(there / "palette")
    task = make_task("tiny-palette", {"base": str(there / "palette"), "train_images": 4, "test_images": 2})
    task.prepare(silent)
    method = make_method("li2024", {"steps": 1, "lr": 1e-3})
    problem = task.problem(method, 0, CPU)
    before = {name: value.clone() for name, value in problem.model.state_dict().items()}
    encoder = {id(value) for value in problem.encoder().parameters()}
    method.unlearn(problem)
    for name, value in problem.model.named_parameters():
        assert torch.equal(value, before[name]) == (id(value) not in encoder), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tiny-tinyimagenet", marks=pytest.mark.data("tiny-imagenet-20")),
        pytest.param("tiny-miniplaces", marks=pytest.mark.data("miniplaces-20")),
    ],
)
def test_on_real_photographs_from_prepare_to_the_board(name, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    task = make_task(name, {})
    task.prepare(silent)
    records = [
        made_record(name, method, tmp_path, settings)
        for method, settings in (("original", {}), ("oracle", {}), ("li2024", {"steps": 3}))
    ]
    assert all(record.status is Status.OK for record in records)
    assert numbers(records[0])["oracle_distance_forget"] > 0
    assert {metric.ci_method for metric in records[0].metrics if metric.name == "hole_error_forget"} == {"bootstrap"}
    assert [board.track.name for board in rank_all(records)] == ["suppression", "indistinguishability"]
