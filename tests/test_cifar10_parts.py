"""The pool of bytes, the network and the protocols of `cifar10-ddpm`."""

import dataclasses

import numpy as np
import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.measuring.device import CPU
from unlearnbench.benchmark.metrics import measures
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_forgetting import cifar10_networks, cifar10_protocols, evaluation, summaries
from unlearnbench.tasks.class_forgetting.summaries import Reference, Samples, Some
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
    small = make_task("cifar10-ddpm", {"preset": "small"})
    assert not small.sampler.scheduler().config.clip_sample
    assert (found["forget"], found["retain"], found["reference_per_class"]) == (500, 45_000, 500)
    assert len(found["known_faults"]) >= 5
    assert small.evaluation_protocol()["sampler"] == "ddim 50 steps, guidance 1.5, uint8"
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

    def some(most, *parts):
        found = Some(30, most)
        for part in parts:
            found.add(part)
        return found.rows

    assert some(30, values) is values
    chosen = some(10, values)
    assert len(chosen) == 10
    assert (np.diff(chosen[:, 0]) > 0).all()
    assert np.array_equal(chosen, some(10, values[:7], values[7:7], values[7:29], values[29:]))


def test_sets_in_parts_are_measured_as_a_whole():
    generator = np.random.default_rng(0)
    generated, real = generator.normal(0, 1, (90, 6)), generator.normal(0.2, 1, (200, 6))
    samples, reference = Samples(90), Reference(200)
    for part in (generated[:50], generated[50:]):
        samples.add(part)
    for part in (real[:120], real[120:120], real[120:]):
        reference.add(part)
    found = measures.fid_of_moments(samples.blocks, reference.frechet)
    expected = measures.fid(generated, real)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.interval == pytest.approx(expected.interval, rel=1e-9)
    assert (found.n, found.by) == (expected.n, expected.by)
    assert measures.kid(samples.kernel, reference.kernel) == measures.kid(generated, real)
    assert measures.prdc(samples.manifold, reference.manifold) == measures.prdc(generated, real)


def test_an_evaluation_in_parts_gives_the_same_numbers(monkeypatch):
    """And never holds the features of more than a part."""
    task = make_task("digits-ddpm", {}).brief()
    exam = dataclasses.replace(task.exam([1, 2], CPU), budget=None)
    model = task.load_model(task.base_file)
    whole = evaluation.evaluate(exam, model, 0, CPU).report.metrics
    seen = []
    monkeypatch.setattr(evaluation, "PART", 500)
    monkeypatch.setattr(summaries, "PART", 500)
    real = summaries.fixed_features
    monkeypatch.setattr(summaries, "fixed_features", lambda source, part: seen.append(len(part)) or real(source, part))
    parts = evaluation.evaluate(exam, model, 0, CPU).report.metrics
    assert max(seen) == 500
    assert len(seen) > 4
    assert [metric.name for metric in parts] == [metric.name for metric in whole]
    for one, other in zip(parts, whole, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9), one.name
        assert one.n == other.n
