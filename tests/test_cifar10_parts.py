"""The pool of bytes, the network and the protocols of `cifar10-ddpm`."""

import numpy as np
import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_forgetting import cifar10_networks, cifar10_protocols, evaluation
from unlearnbench.tasks.data.pools import BytePool

# The pool.


def test_a_pool_of_bytes_mirrors_draws_and_nothing_else():
    images = torch.randint(256, (50, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pool = BytePool(images, torch.arange(50), mirrored=True)
    expected = images.float() / 127.5 - 1
    first = pool.sample(40, torch.Generator().manual_seed(1))
    again = pool.sample(40, torch.Generator().manual_seed(1))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    turned = 0
    for image, label in zip(*first, strict=True):
        plain = torch.equal(image, expected[label])
        turned += not plain
        assert plain or torch.equal(image, expected[label].flip(-1))
    assert 10 <= turned <= 30
    assert len(set(first[1].tolist())) == 40
    assert torch.equal(torch.cat([part for part, _ in pool.ordered(7)]), expected)
    part = pool.where(pool.labels % 2 == 0)
    assert torch.equal(part.take(torch.tensor([1, 3]))[0], expected[[2, 6]])


# The networks and the protocols.


def test_the_network_has_the_size_of_the_papers():
    """38,632,323 weights: computed from the configuration in SFRon's released code."""
    with torch.device("meta"):
        sizes = {
            name: sum(p.numel() for p in cifar10_networks.unet(preset).parameters())
            for name, preset in cifar10_networks.PRESETS.items()
        }
        embedding = cifar10_networks.unet(cifar10_networks.PRESETS["small"]).class_embedding
    assert sizes["paper"] == pytest.approx(38_632_323, rel=0.01)
    assert sizes["small"] < sizes["paper"] / 3
    assert embedding.num_embeddings == 11


def test_the_papers_protocol_says_what_is_wrong_with_it():
    task = make_task("cifar10-ddpm", {"protocol": "paper"})
    found = task.evaluation_protocol()
    assert found["sampler"].startswith("ddpm 1000 steps, guidance 3, ")
    assert not task.sampler.scheduler().config.clip_sample
    assert not make_task("cifar10-ddpm", {}).sampler.scheduler().config.clip_sample
    assert (found["forget"], found["retain"], found["reference_per_class"]) == (500, 45_000, 500)
    assert len(found["known_faults"]) >= 5
    assert make_task("cifar10-ddpm", {}).evaluation_protocol()["sampler"] == "ddim 50 steps, guidance 1.5, uint8"
    assert task.model_dump()["protocol"] == "paper"
    with pytest.raises(BenchmarkError, match="The setting 'protocol' of the task 'cifar10-ddpm' cannot be 'mine'"):
        make_task("cifar10-ddpm", {"protocol": "mine"})


def test_stretched_pictures_use_the_whole_range_one_by_one():
    images = torch.tensor([[-0.1, 0.1], [-3.0, 5.0]]).view(2, 1, 1, 2)
    assert cifar10_protocols.stretched(images).flatten().tolist() == [0, 255, 0, 255]
    pool = BytePool(torch.arange(40, dtype=torch.uint8).view(20, 1, 1, 2).repeat(1, 3, 1, 1), torch.arange(20) % 10)
    found = cifar10_protocols.reference(pool, cifar10_protocols.PAPER._replace(reference_per_class=1))
    assert found.labels.tolist() == list(range(10))
    assert found.images.unique().tolist() == [0, 255]


def test_what_compares_all_with_all_takes_some():
    values = np.arange(30.0)[:, None]
    assert evaluation._some(values, 30) is values
    some = evaluation._some(values, 10)
    assert len(some) == 10
    assert (np.diff(some[:, 0]) > 0).all()
    assert np.array_equal(some, evaluation._some(values, 10))
