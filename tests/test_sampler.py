"""The sampler of class forgetting: what it draws, its stream, and its options for a GPU."""

import pytest
import torch
from diffusers import DDIMScheduler

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.tasks.class_forgetting import diffusion
from unlearnbench.tasks.class_forgetting.sampler import Sampler

CPU = torch.device("cpu")
FAST = {"bf16": True, "channels_last": True, "compiled": True}


@pytest.fixture(scope="module")
def task():
    return make_task("digits-ddpm", {})


@pytest.fixture(scope="module")
def model(task):
    return task.load_model("base.safetensors")


class Scripted(torch.nn.Module):
    """A network that costs nothing."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, noisy, timesteps, class_labels, return_dict=False):
        return (noisy * self.weight * (1 + class_labels.view(-1, 1, 1, 1) / 16) * (timesteps.view(-1, 1, 1, 1) / 1024),)


def draw(model, solver, steps, labels, batch_size=50, seed=3):
    return Sampler(solver, steps, 1.5, batch_size).sample(model, labels, 10, (1, 8, 8), seed)


@pytest.mark.parametrize("solver", ["dpm", "ddpm"])
def test_guided_samples_are_what_one_loop_over_the_whole_noise_gives(model, solver):
    """All initial noise first, then what the solver draws, batch by batch: the order that committed samples were drawn in."""
    sampler = Sampler(solver, 4, 1.5, batch_size=5)
    labels = torch.arange(12) % 10
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn((12, 1, 8, 8), generator=generator)
    extra = {"generator": generator} if solver == "ddpm" else {}
    batches = []
    for x, y in zip(noise.split(5), labels.split(5), strict=True):
        scheduler = sampler.scheduler()
        both = torch.cat([y, torch.full_like(y, 10)])
        with torch.inference_mode():
            for t in scheduler.timesteps:
                output = diffusion.predict_noise(model, x.repeat(2, 1, 1, 1), t.expand(len(both)), both)
                given, free = output.chunk(2)
                x = scheduler.step(free + 1.5 * (given - free), t, x, return_dict=False, **extra)[0]
        batches.append(((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))
    assert torch.equal(sampler.sample(model, labels, 10, (1, 8, 8), 3), torch.cat(batches))


@pytest.mark.parametrize("solver", ["dpm", "ddim", "ddpm"])
def test_a_stream_is_the_samples_batch_by_batch(model, solver):
    sampler, labels = Sampler(solver, 3, 1.5, batch_size=4), torch.arange(10) % 10
    parts = list(sampler.stream(model, labels, 10, (1, 8, 8), 5))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat(parts), sampler.sample(model, labels, 10, (1, 8, 8), 5))


def test_a_stream_that_is_left_early_draws_no_further():
    network, calls = Scripted(), []
    network.register_forward_hook(lambda *_: calls.append(1))
    next(Sampler("dpm", 3, 1.5, batch_size=2).stream(network, torch.zeros(10_000, dtype=torch.long), 10, (1, 8, 8), 0))
    assert len(calls) == 3


def test_ddim_does_not_clip_its_prediction(model):
    """Clipping without recomputing the noise got worse with every step: diffusers' default, which a configuration of another
    scheduler does not change."""
    scheduler = Sampler("ddim", 5, 1.5).scheduler()
    assert isinstance(scheduler, DDIMScheduler)
    assert not scheduler.config.clip_sample
    assert Sampler("ddpm", 5, 1.5).scheduler().config.clip_sample
    labels = torch.arange(20) % 10
    coarse, fine, finer = (draw(model, "ddim", steps, labels).float() for steps in (5, 25, 50))
    assert (finer - fine).abs().mean() < 0.5 * (finer - coarse).abs().mean()


def test_options_are_named_only_where_they_are_on():
    plain = "dpm 10 steps, guidance 1.5, uint8"
    assert Sampler("dpm", 10, 1.5).describe() == plain
    assert Sampler("dpm", 10, 1.5, **FAST).describe() == f"{plain}, bf16, channels-last, compiled"


@pytest.mark.parametrize("option", FAST)
def test_options_for_a_gpu_are_refused_without_one(option):
    with pytest.raises(BenchmarkError, match="is for a GPU and brings nothing on 'cpu'"):
        Sampler("dpm", 2, 1.5, **{option: True}).sample(Scripted(), torch.zeros(1).long(), 10, (1, 8, 8), 0)


def test_options_change_little_and_leave_a_model_that_can_still_be_trained(task, monkeypatch):
    """On a CPU, where they can be run although they bring nothing; a method may sample in the middle of unlearning."""
    monkeypatch.setattr(Sampler, "_check", lambda self, device: None)
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network: compiled.append(network) or network)
    problem = task.problem(make_method("erasediff", {}), 0, CPU)
    network, labels = problem.model, torch.arange(8) % 10
    before = {name: (value.data_ptr(), value.clone(), value.stride()) for name, value in network.named_parameters()}
    plain = Sampler("dpm", 4, 1.5).sample(network, labels, 10, task.image_shape, 0)
    fast = Sampler("dpm", 4, 1.5, **FAST).sample(network, labels, 10, task.image_shape, 0)
    assert compiled == [network]
    assert (fast.float() - plain.float()).abs().mean() < 4
    for name, parameter in network.named_parameters():
        assert not parameter.is_inference()
        assert torch.equal(parameter, before[name][1])
        assert parameter.stride() == before[name][2]
    assert problem.original is not network
    problem.loss(next(iter(problem.epoch("retain")))).mean().backward()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_options_change_little_on_a_gpu(task):
    network, labels = task.load_model("base.safetensors").to("cuda"), torch.arange(8) % 10
    plain, fast = (
        Sampler("dpm", 4, 1.5, **options).sample(network, labels, 10, task.image_shape, 0) for options in ({}, FAST)
    )
    assert (fast.float() - plain.float()).abs().mean() < 4


def test_a_problem_generates_with_the_sampler_and_counts_no_gradient(task):
    method = make_method("selective-amnesia", {})
    assert Need.GENERATOR in method.needs
    problem = task.problem(method, 0, CPU)
    images = problem.generate(torch.tensor([1, 2]), problem.model)
    assert images.shape == (2, 1, 8, 8)
    assert not images.requires_grad
