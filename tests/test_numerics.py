"""How numbers are computed: alike in `prepare` and in runs, and faster where a task's protocol says so."""

import dataclasses
import subprocess
import sys

import pytest
import torch

import unlearnbench
from helpers import TOY
from tiny_imagenet import CPU, miniature, prepared, task  # noqa: F401 - fixtures
from unlearnbench.benchmark import numerics, registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.numerics import FAST, MEASURED, TRAINING, Numerics, computing
from unlearnbench.benchmark.problem import TensorPool
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.torch_setup import configure_torch
from unlearnbench.tasks.class_forgetting.sampler import Sampler
from unlearnbench.tasks.class_suppression import evaluation
from unlearnbench.tasks.image_to_image.evaluation import Drawing, Pools, fill_pool
from unlearnbench.tasks.image_to_image.holes import Hole
from unlearnbench.tasks.image_to_image.mae import MAE, small_mae
from unlearnbench.tasks.image_to_image.palette import Palette, unet

LARGE = ["imagenet-dit", "imagenet-mae", "imagenet-vqgan", "places365-palette"]
"""Tasks whose samples may be drawn fast."""


@pytest.fixture
def gpu(monkeypatch):
    """Has the switches of attention act as on a GPU, and samplers that are for one run here; undone at the end."""
    before = Numerics.now()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(numerics, "check_fast", lambda device: None)
    monkeypatch.setattr(Sampler, "check", lambda self, device: None)
    yield
    before.apply()


def test_a_run_and_prepare_have_the_same_settings(gpu, monkeypatch, tmp_path):
    found = []
    threads = torch.get_num_threads()
    Numerics(0, True, True, True, True, True).apply()
    there = Numerics.now()
    registry.add_plugin(TOY)
    monkeypatch.setattr(
        registry.tasks.get("toy"), "prepare", lambda self, progress: found.append(Numerics.now()) or tmp_path
    )
    unlearnbench.prepare("toy", plugins=[TOY])
    assert Numerics.now() == there, "a notebook computes on as it did"
    configure_torch(threads)
    found.append(Numerics.now())
    assert found == [MEASURED, MEASURED]


def test_prepare_has_products_summed_in_a_fixed_order():
    code = (
        "import os, unlearnbench\n"
        "os.environ.pop('CUBLAS_WORKSPACE_CONFIG', None)\n"
        "unlearnbench.prepare('digits-vae')\n"
        "print(os.environ['CUBLAS_WORKSPACE_CONFIG'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ":4096:8"


def test_a_gpu_trains_with_all_that_it_has_and_a_cpu_as_ever(gpu):
    with computing(MEASURED):
        with numerics.training(torch.device("cuda")):
            assert Numerics.now() == TRAINING
        assert Numerics.now() == MEASURED
        with numerics.training(CPU):
            assert Numerics.now() == MEASURED


def test_settings_come_back_after_an_error(gpu):
    before = Numerics.now()
    seen = []
    with pytest.raises(ZeroDivisionError), computing(FAST):
        seen.append(Numerics.now()) or 1 // 0
    assert seen == [FAST]
    assert Numerics.now() == before


def test_without_a_gpu_attention_stays_what_it_is():
    """A CPU's fused attention is another function in the last digits, and the committed numbers have it."""
    flash = torch.backends.cuda.flash_sdp_enabled()
    with computing(MEASURED):
        assert torch.backends.cuda.flash_sdp_enabled() == flash


# Fast sampling.


@pytest.mark.parametrize("name", LARGE)
def test_fast_sampling_is_off_and_another_task_when_it_is_on(name):
    plain, fast = make_task(name, {}), make_task(name, {"fast_sampling": True})
    assert not plain.fast_sampling
    assert plain.model_dump(mode="json") != fast.model_dump(mode="json")


def test_the_protocol_says_how_samples_are_drawn(task):
    fast = task.model_copy(update={"fast_sampling": True})
    assert task.evaluation_protocol()["numerics"] == "fp32"
    assert fast.evaluation_protocol()["numerics"] == "tf32, fused attention, bf16"
    assert "tf32 and fused attention, bf16" in fast.evaluation_protocol()["sampler"]
    assert task.sha256() != fast.sha256()
    palette = make_task("places365-palette", {"fast_sampling": True})
    assert palette.sampling().endswith(
        "tf32, fused attention, bf16, DDIM without noise in 50 steps, noise by seed and batch of 50"
    )


def test_fast_sampling_without_a_gpu_is_refused_before_the_method_works(task):
    fast = task.model_copy(update={"fast_sampling": True})
    with pytest.raises(BenchmarkError, match="is for a GPU and brings nothing on 'cpu'; leave out .*fast_sampling"):
        fast.problem(make_method("original", {}), 0, CPU)
    palette = make_task("places365-palette", {"fast_sampling": True})
    with pytest.raises(BenchmarkError, match="Fast sampling is for a GPU and brings nothing on 'cpu'; leave out"):
        palette.problem(make_method("original", {}), 0, CPU)
    with (
        pytest.raises(BenchmarkError, match="Fast sampling is for a GPU"),
        numerics.sampling(torch.nn.Linear(1, 1), True),
    ):
        pass


@pytest.fixture
def attention(monkeypatch):
    """What was in force whenever a network attended."""
    seen, real = [], torch.nn.functional.scaled_dot_product_attention

    def watched(query, *args, **options):
        seen.append((Numerics.now(), query.dtype))
        return real(query, *args, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    return seen


def test_a_dit_draws_fast_and_judges_compute_as_ever(task, gpu, attention, monkeypatch):
    judged, decoded = [], []
    look, decode = evaluation.look, evaluation.decode
    monkeypatch.setattr(evaluation, "look", lambda *given: judged.append(Numerics.now()) or look(*given))
    monkeypatch.setattr(evaluation, "decode", lambda *given: decoded.append(Numerics.now()) or decode(*given))
    fast = task.model_copy(update={"fast_sampling": True, "sample_batch": 10})
    with computing(MEASURED):
        exam = dataclasses.replace(fast.exam(CPU), sampler=dataclasses.replace(fast.sampler(), steps=2))
        found = evaluation._drawn(exam, task.network(), torch.full((20,), 7), 0, None)
        assert {numbers for numbers, _ in attention} == {FAST}
        # The decoder attends in single precision.
        kinds = [kind for _, kind in attention]
        assert kinds.count(torch.bfloat16) == 2 * 2 * 2
        assert kinds.count(torch.float32) == 2
        assert set(decoded) == {FAST}
        assert set(judged) == {MEASURED}
        assert Numerics.now() == MEASURED
    assert all(len(labels) == 20 for labels in found.values())


@pytest.mark.parametrize("kind", ["mae", "palette"])
def test_holes_are_filled_fast_close_to_what_they_are_filled_with_otherwise(kind, gpu, attention, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(Palette, "sampling_steps", 2)
    model = small_mae(16, 4, 3, 32, 2, 1) if kind == "mae" else Palette(unet(16, 32, (1, 1), 1, 16))
    filling = MAE if kind == "mae" else Palette
    pool = TensorPool(torch.rand(6, 3, 16, 16) * 2 - 1, torch.zeros(6).long())
    drawing = Drawing("tiny", Pools(*[pool] * 6), {"centre": Hole("centre", 0.25, 4)}, filling, 3)
    model.eval()
    with computing(MEASURED):
        plain = fill_pool(drawing, model, "forget", 0).filled
        assert {numbers for numbers, _ in attention} <= {MEASURED}
        attention.clear()
        fast = fill_pool(dataclasses.replace(drawing, fast=True), model, "forget", 0).filled
        assert Numerics.now() == MEASURED
    assert {numbers for numbers, _ in attention} == {FAST}
    assert {kind for _, kind in attention} == {torch.bfloat16}
    assert fast.dtype == plain.dtype == torch.float32
    assert not torch.equal(fast, plain)
    assert (fast - plain).abs().mean() < 0.05
