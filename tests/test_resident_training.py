"""The training loop of a GPU, on a CPU as far as that goes, and the smallest network of CIFAR-10."""

from functools import partial

import pytest
import torch

from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_forgetting import cifar10_networks, diffusion, training
from unlearnbench.tasks.class_forgetting.cifar10_protocols import TINY, reference
from unlearnbench.tasks.data.pools import BytePool
from unlearnbench.tasks.training import checkpoint, resident
from unlearnbench.tasks.training.checkpoint import Checkpoint
from unlearnbench.tasks.training.loop import Descent
from unlearnbench.tasks.training.recipe import TrainingRecipe
from unlearnbench.tasks.training.resident import Resident, Way

PLAIN = (Way(),)
SMALL = cifar10_networks.PRESETS["tiny"]._replace(channels=(8, 16), groups=4)


def pool():
    pixels = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return BytePool(pixels, torch.arange(64) % 10, mirrored=True)


def descent(steps=14):
    return Descent(partial(torch.optim.Adam, lr=1e-2), partial(training._rates, steps), 1.0, 0.9)


def trained(path, progress=lambda *_: None, ways=PLAIN):
    torch.manual_seed(0)
    return resident.train(
        cifar10_networks.unet(SMALL),
        partial(training.draw_inputs, pool(), 8),
        partial(training.loss_of_inputs, diffusion.noise_schedule(), 10),
        descent(),
        steps=14,
        generator=torch.Generator().manual_seed(0),
        progress=progress,
        checkpoint=Checkpoint(path, {}),
        ways=ways,
    ).state_dict()


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_descends_as_the_loop_of_a_cpu_does(tmp_path):
    """On the same draws the same weights come out, but for the last digits."""
    from unlearnbench.tasks.training import loop

    drawn = iter([])

    def draw(generator):
        nonlocal drawn
        inputs = training.draw_inputs(pool(), 8, generator)
        drawn = iter(inputs[2:])
        return inputs[:2]

    def loss(network, images, labels, generator):
        return training.loss_of_inputs(diffusion.noise_schedule(), 10, network, images, labels, *drawn)

    torch.manual_seed(0)
    wanted = loop.train(
        cifar10_networks.unet(SMALL),
        draw,
        loss,
        descent(),
        steps=14,
        generator=torch.Generator().manual_seed(0),
        progress=lambda *_: None,
        checkpoint=Checkpoint(tmp_path / "loop", {}),
    ).state_dict()
    found = trained(tmp_path / "resident")
    torch.manual_seed(0)
    start = cifar10_networks.unet(SMALL).state_dict()
    apart, moved = (
        torch.cat([(wanted[name] - other[name]).flatten() for name in wanted]).norm() for other in (found, start)
    )
    # Adam makes a whole step of a gradient that is rounding alone, so that single weights may differ by as much.
    assert apart < 1e-3 * moved


def test_it_goes_on_where_it_was(tmp_path, monkeypatch):
    undisturbed = trained(tmp_path / "x")
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)

    def stop(step, steps):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "y", stop)
    seen = []
    assert equal(trained(tmp_path / "y", lambda step, _: seen.append(step)), undisturbed)
    assert seen[0] == 7


def test_a_way_that_fails_leaves_no_trace(tmp_path, monkeypatch):
    undisturbed = trained(tmp_path / "x")
    tried, works = [], resident._tried

    def fail(state, way, draw, loss):
        tried.append(way)
        step = works(state, way._replace(compiled=False), draw, loss)
        if way.compiled:
            step(draw(state._generator))
            raise RuntimeError("no compiler")
        return step

    monkeypatch.setattr(resident, "_tried", fail)
    assert equal(trained(tmp_path / "y", ways=(Way(compiled=True), Way())), undisturbed)
    assert tried == [Way(compiled=True), Way()]
    with pytest.raises(RuntimeError, match="no compiler"):
        trained(tmp_path / "z", ways=(Way(compiled=True),))


def test_steps_that_were_only_tried_are_undone():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    state = Resident(cifar10_networks.unet(SMALL), descent(), generator)
    weights = {name: value.clone() for name, value in state.model.state_dict().items()}
    places = [value.data_ptr() for value in state.model.parameters()]
    random = generator.get_state()
    with state.undone():
        inputs = training.draw_inputs(pool(), 8, generator)
        state.descend(training.loss_of_inputs(diffusion.noise_schedule(), 10, state.model, *inputs))
        assert not equal(weights, state.model.state_dict())
    assert equal(weights, state.model.state_dict())
    assert places == [value.data_ptr() for value in state.model.parameters()]
    assert torch.equal(generator.get_state(), random)
    assert all(not value.any() for kept in state.optimizer.state.values() for value in kept.values())


# The smallest network.


def test_it_is_small_and_takes_pictures_as_the_others_do():
    network = cifar10_networks.unet(cifar10_networks.PRESETS["tiny"])
    assert sum(value.numel() for value in network.parameters()) <= 1_300_000
    images = torch.randn(2, 3, 32, 32)
    found = diffusion.predict_noise(network, images, torch.tensor([1, 999]), torch.tensor([0, 10]))
    assert found.shape == images.shape
    assert network.class_embedding.num_embeddings == 11


def test_it_has_a_protocol_of_its_own_which_stretches_nothing():
    tiny, small, papers = (
        make_task("cifar10-ddpm", settings) for settings in ({}, {"preset": "small"}, {"protocol": "paper"})
    )
    assert tiny.chosen == TINY
    assert small.sample_counts()["forget"] == 2500
    assert papers.sampler.steps == 1000
    images = torch.full((20, 3, 1, 1), 7, dtype=torch.uint8)
    found = reference(BytePool(images, torch.arange(20) % 10), TINY._replace(reference_per_class=1))
    assert torch.equal(found.images, images[:10])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("way", resident.WAYS)
def test_every_way_trains_on_a_gpu(way, tmp_path):
    torch.manual_seed(0)
    recipe = TrainingRecipe(steps=30, batch_size=16, lr=1e-3)
    weights = training.train(
        cifar10_networks.unet(cifar10_networks.PRESETS["tiny"]),
        pool(),
        10,
        recipe,
        0,
        lambda *_: None,
        Checkpoint(tmp_path / "x", {}),
        device=torch.device("cuda"),
        ways=(way,),
    )
    assert all(value.isfinite().all() for value in weights.values())
