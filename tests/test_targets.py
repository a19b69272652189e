"""Forgetting targets: what each teaches, checked against its definition."""

import pytest
import torch

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.targets import as_next_class, as_noise, as_original, away_from_label, noise_images

CPU = torch.device("cpu")


@pytest.fixture
def problem():
    task = make_task("digits-ddpm", {})
    method = make_method("esd", {})
    made = task.problem(method, 0, CPU)
    made._granted = frozenset(Need) - {Need.ORACLE}
    return made


@pytest.fixture
def batch(problem):
    return problem.conditioned(next(iter(problem.epoch("forget"))))


def test_the_untouched_model_is_already_as_the_original(problem, batch):
    assert as_original(problem, batch).max() < 1e-10


def test_relabelling_is_the_error_to_the_next_class(problem, batch):
    with torch.no_grad():
        other = problem.predict(batch, labels=torch.full_like(batch.labels, 4))
        expected = (problem.predict(batch) - other).square().flatten(1).mean(1)
    assert torch.allclose(as_next_class(problem, batch), expected)


def test_negative_guidance_is_the_error_to_the_reflected_prediction(problem, batch):
    """At strength zero the target is the unconditional prediction; each unit goes as far beyond it as the label leads to."""
    nothing = torch.full_like(batch.labels, problem.null_label)
    with torch.no_grad():
        free, labelled = problem.predict(batch, nothing), problem.predict(batch)
    for strength in (0.0, 1.0, 2.5):
        expected = ((1 + strength) * (labelled - free)).square().flatten(1).mean(1)
        assert torch.allclose(away_from_label(problem, batch, strength), expected, rtol=1e-4, atol=1e-6)


def test_a_conditioned_batch_drops_no_label(problem):
    batch = next(iter(problem.epoch("forget")))
    assert batch.draw["dropped"].any()
    assert not problem.conditioned(batch).draw["dropped"].any()


def test_noise_images_have_the_moments_that_their_name_says(problem, batch):
    images = batch.images.repeat(20, 1, 1, 1)
    uniform = noise_images(problem, images, "uniform")
    assert uniform.min() >= -1
    assert uniform.max() <= 1
    assert float(uniform.var()) == pytest.approx(1 / 3, rel=0.05)
    normal = noise_images(problem, images, "normal")
    assert float(normal.std()) == pytest.approx(1, rel=0.05)
    like = noise_images(problem, images * 0.1, "batch")
    assert float(like.mean()) == pytest.approx(float(images.mean()) * 0.1, abs=0.01)
    assert float(like.std()) == pytest.approx(float(images.std()) * 0.1, rel=0.05)


def test_noise_is_far_from_what_the_model_knows(problem, batch):
    assert as_noise(problem, batch, "uniform").mean() > 2 * problem.loss(batch).mean()


def test_a_target_that_the_method_did_not_declare_is_refused(problem, batch):
    problem._granted = frozenset({Need.RETAIN})
    with pytest.raises(BenchmarkError, match=r"Need\.LABELS"):
        as_next_class(problem, batch)
    with pytest.raises(BenchmarkError, match=r"Need\.GUIDANCE"):
        away_from_label(problem, batch, 1.0)
    with pytest.raises(BenchmarkError, match=r"Need\.GENERATOR"):
        problem.generate(batch.labels, problem.model)


def test_replay_is_drawn_with_the_tasks_sampler_in_the_models_range(problem):
    labels = torch.tensor([0, 1, 2])
    images = problem.generate(labels, problem.original)
    assert images.shape == (3, 1, 8, 8)
    assert images.min() >= -1
    assert images.max() <= 1
    assert problem.meter.forward_passes > 0
