"""`imagenet-vqgan`: in-painting over tokens, on a miniature in aMUSEd's layout from prepare to the board."""

import re
import shutil

import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.records.record import Status
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.tasks.image_to_image.holes import Hole
from unlearnbench.tasks.image_to_image.tokens import load_token_filling, load_token_inpainter

from test_inpainting_tasks import _plugin, data, made_record, numbers, silent, there  # noqa: F401  # isort: skip
from tiny_photographs import HOLES, SIZE, write_mae, write_vqgan  # isort: skip

CPU = torch.device("cpu")
WAY_OUT = "take another"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vqgan")
    write_vqgan(folder)
    return folder


@pytest.fixture
def filling(checkpoint):
    return load_token_filling(checkpoint, SIZE, 4, WAY_OUT)


@pytest.fixture
def inpainter(checkpoint):
    return load_token_inpainter(checkpoint, SIZE, WAY_OUT)


@pytest.fixture
def images():
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def task(checkpoint, there):
    task = make_task("tiny-vqgan", {"base": str(checkpoint), "train_images": 4, "test_images": 2})
    task.prepare(silent)
    return task


def test_masked_tokens_are_the_holes_and_their_neighbours(filling, images):
    hole = HOLES["centre"].masks(3, SIZE)
    masked = filling.masked(hole)
    assert masked.shape == (3, 8, 8)
    assert masked[0, 1:7, 1:7].all()
    assert int(masked[0].sum()) == 36
    assert torch.equal(filling.inputs(images, hole, {})["tokens"] == 31, masked)


def test_what_stands_in_the_hole_does_not_reach_the_network(filling, images):
    hole = HOLES["random"].masks(3, SIZE, torch.Generator().manual_seed(1))
    others = torch.where(hole, -images, images)
    assert torch.equal(filling.inputs(images, hole, {})["tokens"], filling.inputs(others, hole, {})["tokens"])


def test_the_prompt_and_the_pictures_go_in_as_the_public_pipeline_puts_them(checkpoint, filling, inpainter, images):
    from diffusers import AmusedInpaintPipeline

    hole = Hole("centre", 0.25, 4).masks(1, SIZE)
    pipeline = AmusedInpaintPipeline.from_pretrained(checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    around = torch.nn.functional.max_pool2d(hole.float(), 9, stride=1, padding=4)
    shown = images[:1].masked_fill(hole, 0.0)
    with torch.inference_mode():
        expected = pipeline(
            "",
            (shown + 1) / 2,
            around,
            strength=1.0,
            num_inference_steps=12,
            guidance_scale=0,
            generator=torch.Generator().manual_seed(5),
            output_type="pt",
        ).images
        found = filling.fill(inpainter, shown, hole, 5)
    inside = hole.expand_as(found)
    assert torch.allclose(found[inside], expected[inside] * 2 - 1, atol=1e-5)
    assert torch.equal(found[~inside], shown[~inside])


def test_encoder_and_decoder_together_are_the_network(filling, inpainter, images):
    hole = HOLES["centre"].masks(3, SIZE)
    inputs = filling.inputs(images, hole, {})
    network, seen = inpainter.network, {}
    handle = network.project_from_hidden_norm.register_forward_pre_hook(lambda _, given: seen.update(hidden=given[0]))
    with torch.inference_mode():
        inpainter(images, hole, **inputs)
        assert torch.allclose(inpainter.encode(images, hole, **inputs), seen["hidden"], atol=1e-6)
    handle.remove()


def test_the_loss_is_the_cross_entropy_of_the_masked_tokens_alone(filling, images):
    hole = HOLES["centre"].masks(3, SIZE)
    masked, tokens = filling.masked(hole), filling.tokens(images)
    logits = torch.randn(3, 30, 8, 8, generator=torch.Generator().manual_seed(0))
    found = filling.error(logits, images, hole, {})
    each = torch.log_softmax(logits, 1).gather(1, tokens[:, None])[:, 0]
    assert torch.allclose(found[1], -each[1][masked[1]].mean(), atol=1e-6)
    moved = logits + 5 * torch.randn(logits.shape) * ~masked[:, None]
    assert torch.equal(filling.error(moved, images, hole, {}), found)
    assert torch.equal(filling.inside(moved, images, hole, {}), filling.inside(logits, images, hole, {}))


def test_li2024_moves_the_encoder_and_nothing_else(task):
    method = make_method("li2024", {"steps": 1, "lr": 1e-3})
    problem = task.problem(method, 0, CPU)
    before = {name: value.clone() for name, value in problem.model.named_parameters()}
    tokenizer = [value.clone() for value in task.filling.tokenizer.state_dict().values()]
    encoder = {id(value) for value in problem.encoder().parameters()}
    method.unlearn(problem)
    assert Need.IMAGES not in task.offers
    for name, value in problem.model.named_parameters():
        assert torch.equal(value, before[name]) or id(value) in encoder, name
    assert any(not torch.equal(value, before[name]) for name, value in problem.model.named_parameters())
    assert all(torch.equal(a, b) for a, b in zip(tokenizer, task.filling.tokenizer.state_dict().values(), strict=True))


def test_a_gradient_method_learns_tokens(task):
    method = make_method("finetune", {"steps": 30, "lr": 3e-3})
    problem = task.problem(method, 0, CPU)
    (batch,) = problem.batches("retain", 1)
    before = problem.loss(batch).mean().item()
    method.unlearn(problem)
    assert problem.loss(batch).mean().item() < before


@pytest.mark.slow
def test_imagenet_vqgan_from_prepare_to_the_board(task, checkpoint, there):
    settings = {"base": str(checkpoint), "train_images": 4, "test_images": 2}
    original = made_record("tiny-vqgan", "original", there, settings)
    forgot = made_record("tiny-vqgan", "li2024", there, settings | {"steps": 6, "lr": 1e-2})
    assert original.status is forgot.status is Status.OK
    assert numbers(original)["suppression"] == 0
    assert numbers(original)["hole_error_forget"] != numbers(forgot)["hole_error_forget"]
    assert [board.track.name for board in rank_all([original, forgot])] == ["suppression"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, r"amused-256 cannot be fetched .*name its folder"),
        ({"base": "/nowhere"}, r"there is no folder /nowhere; download"),
    ],
)
def test_without_its_base_model_the_task_says_what_to_do(settings, expected, there):
    (sentence,) = make_task("imagenet-vqgan", settings).missing()
    assert re.search(expected, sentence), sentence


def test_a_wrong_or_damaged_checkpoint_is_one_sentence(checkpoint, tmp_path):
    with pytest.raises(BenchmarkError, match="squares of 4 pixels, and the task's of 16; take another"):
        load_token_filling(checkpoint, 256, 16, WAY_OUT)
    write_mae(tmp_path / "mae")
    with pytest.raises(BenchmarkError, match="is no checkpoint"):
        load_token_inpainter(tmp_path / "mae", SIZE, WAY_OUT)
    for part, load in (("transformer", load_token_inpainter), ("vqvae", load_token_filling)):
        torn = tmp_path / part
        shutil.copytree(checkpoint, torn)
        (weights,) = (torn / part).glob("*.safetensors")
        weights.write_bytes(b"torn")
        with pytest.raises(BenchmarkError, match="cannot be loaded"):
            load(torn, SIZE, *([4] if part == "vqvae" else []), WAY_OUT)
