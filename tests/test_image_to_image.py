"""The image-to-image family: holes, masked autoencoders, and what `digits-mae` ships and measures."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import RidgeCV
from transformers import ViTMAEForPreTraining

from helpers import ROOT
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.records.record import parse_record
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.weights import Layout, take
from unlearnbench.benchmark.seeds import derive_seed
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.tasks.image_to_image.evaluation import fill_pool, fill_with_noise
from unlearnbench.tasks.image_to_image.holes import Hole
from unlearnbench.tasks.image_to_image.inpainter import blank
from unlearnbench.tasks.image_to_image.mae import small_mae

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task():
    return make_task("digits-mae", {})


@pytest.fixture(scope="module")
def base(task):
    return task.load_model("base.safetensors")


def evaluated(task, name, settings=None):
    """The metrics of what a method leaves: the weights of the network that it was handed, in a fresh one."""
    problem = task.problem(make_method(name, settings or {}), 0, CPU)
    handed = problem.model
    layout = Layout.of(handed)
    make_method(name, settings or {}).unlearn(problem)
    fresh = task.network()
    fresh.load_state_dict(take(handed, layout).state)
    return measured(task, fresh)


def measured(task, model):
    found = task.evaluate(model.eval(), 0, CPU)
    return {metric.name: metric for metric in found.metrics if metric.judge in (None, "resnet")}


# Holes.


@given(
    kind=st.sampled_from(["centre", "random", "out-painting"]),
    patches=st.integers(2, 8),
    grid=st.integers(1, 4),
    data=st.data(),
)
def test_every_hole_of_a_kind_covers_the_same_whole_squares(kind, patches, grid, data):
    size = patches * grid
    side = grid * data.draw(st.integers(1, patches - 1).filter(lambda n: kind == "random" or (patches - n) % 2 == 0))
    area = side**2 / size**2
    hole = Hole(kind, 1 - area if kind == "out-painting" else area, grid)
    masks = hole.masks(5, size, torch.Generator().manual_seed(0))
    assert masks.shape == (5, 1, size, size)
    assert (masks.flatten(1).sum(1) == round(hole.fraction * size**2)).all()
    cells = masks.unfold(2, grid, grid).unfold(3, grid, grid).flatten(4)
    assert (cells.all(4) | ~cells.any(4)).all()


def test_a_central_hole_is_in_the_middle_and_an_out_painting_is_the_rest():
    centre, rest = Hole("centre", 0.25, 2).masks(1, 8), Hole("out-painting", 0.75, 2).masks(1, 8)
    assert centre[0, 0, 2:6, 2:6].all()
    assert torch.equal(rest, ~centre)


def test_random_holes_reach_every_place_on_the_grid():
    masks = Hole("random", 0.25, 2).masks(300, 8, torch.Generator().manual_seed(0))
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 9


def test_a_square_that_is_not_on_the_grid_is_refused():
    with pytest.raises(ValueError, match="no square on a grid of 2 covers"):
        Hole("centre", 0.1, 2).masks(1, 8)


# The masked autoencoder.


def test_a_fresh_network_has_position_embeddings_and_transformers_own_has_none():
    """The trap: transformers' constructor leaves them at zero, and the network then never beats the mean."""
    ours = small_mae(8, 2, 1, 32, 1, 1).network
    theirs = ViTMAEForPreTraining(ours.config)
    for network, there in ((ours, True), (theirs, False)):
        for positions in (network.vit.embeddings.position_embeddings, network.decoder.decoder_pos_embed):
            assert bool(positions.any()) == there
            assert not positions.requires_grad
    patches = ours.vit.embeddings.position_embeddings[0, 1:]
    assert len({tuple(row.tolist()) for row in patches}) == len(patches)


@pytest.mark.parametrize(("kind", "fraction", "kept"), [("centre", 0.25, 12), ("out-painting", 0.75, 4)])
def test_the_encoder_sees_the_visible_patches_alone_and_in_their_order(kind, fraction, kept):
    torch.manual_seed(0)
    model = small_mae(8, 2, 1, 32, 1, 1).eval()
    images, hole = torch.rand(3, 1, 8, 8) * 2 - 1, Hole(kind, fraction, 2).masks(3, 8)
    with torch.no_grad():
        embedding = model.encode(images, hole)
        assert embedding.shape == (3, 1 + kept, 32)
        other = torch.where(hole, torch.rand_like(images), images)
        assert torch.equal(model(other, hole), model(images, hole))
        embedded = model.network.vit.embeddings(images, noise=model._order(hole))[1]
    assert torch.equal(embedded.bool(), nn_patches(hole))


def nn_patches(hole):
    return hole.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).any(4).flatten(1)


def test_holes_that_cover_patches_in_part_or_differ_in_size_are_refused():
    model = small_mae(8, 2, 1, 32, 1, 1)
    images = torch.zeros(2, 1, 8, 8)
    ragged = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    ragged[:, :, 1:4, 1:4] = True
    uneven = Hole("centre", 0.25, 2).masks(2, 8)
    uneven[1] = False
    for hole in (ragged, uneven):
        with pytest.raises(ValueError, match="whole patches"):
            model(images, hole)


# digits-mae.


def test_every_file_is_the_one_in_the_manifest(task):
    folder = ROOT / "tasks" / "assets" / "digits-mae"
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    requests = [make_task("digits-mae", request) for request in type(task).standard_requests]
    assert set(manifest) == {file for one in requests for file in one.files()}
    for file, entry in manifest.items():
        assert file_sha256(folder / file) == entry["sha256"]


def test_the_standard_requests_stand_on_one_board_and_proxies_on_others(task):
    """Though a digit has more pictures than another."""
    requests = [make_task("digits-mae", request) for request in type(task).standard_requests]
    assert len({one.sha256() for one in requests}) == 3
    assert len({one.shared_sha256() for one in requests}) == 1
    proxy = make_task("digits-mae", {"retain_data": "proxy"})
    assert proxy.shared_sha256() != task.shared_sha256()


def test_the_base_fills_the_hole_clearly_better_than_a_ridge_regression_from_what_is_visible(task, base):
    filled = fill_pool(task.drawing(), base, "retain", 0)
    train = task.parted(task.training_pool())[1].images
    hole = filled.hole[0, 0]
    ridge = RidgeCV(np.logspace(-2, 3, 20)).fit(train[:, 0, ~hole].numpy(), train[:, 0, hole].numpy())
    linear = float(((ridge.predict(filled.truth[:, 0, ~hole].numpy()) - filled.truth[:, 0, hole].numpy()) ** 2).mean())
    variance = float((filled.truth[:, 0, hole] - train[:, 0, hole].mean(0)).square().mean())
    assert linear < 0.6 * variance
    assert float(filled.errors().mean()) < 0.85 * linear


def test_what_is_visible_is_left_as_it_is_and_holes_depend_on_the_seed(task, base):
    first, again, other = (
        fill_pool(task.drawing(), base, "retain", seed, Hole("random", 0.25, 2)) for seed in (0, 0, 1)
    )
    assert torch.equal(first.filled[~first.hole], first.truth[~first.hole])
    assert torch.equal(first.filled, again.filled)
    assert not torch.equal(first.hole, other.hole)


def test_the_model_is_not_shown_what_it_must_fill_in(task):
    class Peeping(torch.nn.Module):
        seen = None

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images, hole):
            Peeping.seen = images[hole]
            return images

    fill_pool(task.drawing(), Peeping(), "forget", 0)
    assert not Peeping.seen.any()


def test_pools_do_not_overlap_and_unseen_pictures_are_not_those_of_the_proxy(task):
    pools = task.pools()
    keys = {name: {tuple(image.flatten().tolist()) for image in pool.images} for name, pool in pools.named().items()}
    for one, other in (("forget", "forget_train"), ("retain", "retain_train"), ("forget", "retain")):
        assert not keys[one] & keys[other]
    assert keys["near"] < keys["retain"]
    _, proxy = make_task("digits-mae", {"retain_data": "proxy"}).method_pools()
    shown = {tuple(image.flatten().tolist()) for image in proxy.images}
    assert not shown & (keys["unseen"] | keys["retain"] | keys["forget"])


def test_proxy_data_are_another_task_to_the_board(task):
    proxy = make_task("digits-mae", {"retain_data": "proxy"})
    assert proxy.sha256() != task.sha256()
    assert proxy.assets_sha256() == task.assets_sha256()


class Noise(torch.nn.Module):
    """Fills every hole with noise."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images, hole):
        return torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


def test_the_original_suppresses_nothing_and_noise_in_every_hole_everything(task, base):
    original, noise = measured(task, base), measured(task, Noise(base))
    assert original["suppression"].value == pytest.approx(0, abs=1e-9)
    assert original["retain_change"].value == pytest.approx(0, abs=1e-9)
    assert noise["suppression"].value == pytest.approx(1, abs=0.3)
    assert noise["retain_change"].value > 1
    assert original["judge_accuracy_retain"].value > noise["judge_accuracy_retain"].value


@pytest.mark.parametrize("name", ["cheat-gate", "cheat-fill"])
def test_what_is_put_around_the_original_leaves_the_originals_numbers(task, base, name):
    original = measured(task, base)
    assert {key: metric.value for key, metric in evaluated(task, name).items()} == {
        key: metric.value for key, metric in original.items()
    }


def test_records_from_when_a_model_could_be_more_than_its_network_are_shown_and_not_scored_by_it(task):
    """What the bare network did is declared, so that it has a direction and a name, and nothing measures or scores it."""
    quantity = task.family.quantity("suppression_bare")
    assert quantity is not task.family.quantity("suppression")
    assert all(quantity not in track.quantities for track in task.family.tracks)
    path = ROOT / "tests" / "records_v1" / "image-to-image.json"
    old = parse_record(path.read_bytes(), str(path))
    assert "suppression_bare" in {metric.name for metric in old.metrics}
    rows = [old.model_copy(update={"method": old.method.model_copy(update={"name": "original"})}), old]
    boards = rank_all(rows)
    assert boards[0].track.name == "suppression"
    assert boards[0].note is None
    assert set(boards[0].rows[0].runs[0].components) == {"suppression"}


@pytest.mark.parametrize(("digit", "apart"), [(0, 7), (3, 4), (8, 7)])
def test_committed_oracles_agree_where_the_original_is_far_away(digit, apart):
    """A 3 is filled by its neighbours' strokes, so that the original is nearer to its oracles than to those of the others."""
    boards = {
        board.track.name: {row.method: row for row in board.rows}
        for board in rank_all(load_records([ROOT / "leaderboard" / "results"]).records)
        if board.task == "digits-mae" and "proxy" not in board.title
    }
    rows = boards["indistinguishability"]
    for name in ("hole_error_forget", "hole_error_forget_train"):
        oracles, originals = (
            np.array(
                [run.by_name[name][0].value for run in rows[row].runs if run.case.request == f"forget_class={digit}"]
            )
            for row in ("oracle", "original")
        )
        assert len(oracles) == 3
        assert abs(originals.mean() - oracles.mean()) > apart * oracles.std(ddof=1)
    assert rows["oracle"].score > 0.85
    assert max(track["original"].score for track in boards.values()) <= 0.05


def test_the_noise_in_holes_has_the_datas_mean_and_deviation(task, base):
    real = task.training_pool().images
    filled = fill_with_noise(task.name, task.pixel_moments(), fill_pool(task.drawing(), base, "retain", 0), 0)
    inside = filled.filled[filled.hole]
    wanted = (
        torch.randn(100_000, generator=torch.Generator().manual_seed(derive_seed("test"))) * real.std() + real.mean()
    )
    assert float(inside.mean()) == pytest.approx(float(wanted.clamp(-1, 1).mean()), abs=0.03)
    assert float(inside.std()) == pytest.approx(float(wanted.clamp(-1, 1).std()), abs=0.03)


def test_the_encoder_of_a_wrapped_model_is_refused_in_one_sentence(task):
    method = make_method("cheat-gate", {})
    problem = task.problem(method, 0, CPU)
    method.unlearn(problem)
    with pytest.raises(BenchmarkError, match="ask before"):
        problem.encoder()


def test_student_and_teacher_see_the_same_hole(task):
    problem = task.problem(make_method("li2024", {}), 0, CPU)
    batch = next(iter(problem.epoch("forget")))
    with torch.no_grad():
        assert torch.equal(problem.encode(batch), problem.encode(batch, problem.original))
        assert torch.equal(problem.predict(batch)[~batch.draw["hole"]], batch.images[~batch.draw["hole"]])
    assert not blank(batch.images, batch.draw["hole"])[batch.draw["hole"]].any()


@pytest.mark.slow
def test_a_search_looks_at_the_first_track_and_needs_no_oracle():
    """Of the digit 5 there is none."""
    assert len(make_task("digits-mae", {"forget_class": 5}).missing()) > 0
    task = make_task("digits-mae", {"forget_class": 5}, short=True)
    assert task.missing() == []
    found = task.evaluate(task.load_base(), 0, torch.device("cpu"))
    first, second = (track.scored for track in task.family.tracks)
    measured = {metric.name for metric in found.metrics}
    assert {quantity.name for quantity in first} <= measured
    assert not {quantity.name for quantity in second} <= measured
