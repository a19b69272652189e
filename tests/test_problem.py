"""What a method may see, and what is counted while it works."""

import copy

import pytest
import torch
from torch import nn

from unlearnbench.benchmark.errors import BenchmarkError, Overspent
from unlearnbench.benchmark.measuring.counts import Meter
from unlearnbench.benchmark.needs import Need


@pytest.fixture
def problem(toy):
    return toy.ToyTask().problem(toy.Good(), 0, torch.device("cpu"))


def test_steps_are_the_same_for_the_same_seed_and_differ_between_seeds(toy):
    def first(seed):
        return next(iter(toy.ToyTask().problem(toy.Good(), seed, torch.device("cpu")).steps(1))).forget.images

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


def test_forget_batches_hold_the_forgotten_class_alone(problem):
    for _, forget, retain in problem.steps(5):
        assert (forget.labels == 0).all()
        assert (retain.labels != 0).all()


def test_an_epoch_is_every_sample_once(problem):
    assert sum(len(batch) for batch in problem.epoch("forget")) == 40
    assert sum(len(batch) for batch in problem.epoch("retain")) == 80


def test_undeclared_retain_data_cannot_be_read(toy):
    problem = toy.ToyTask().problem(toy.Peeks(), 0, torch.device("cpu"))
    reads = (
        lambda: list(problem.steps(1)),
        lambda: list(problem.batches("retain", 1)),
        lambda: list(problem.epoch("retain")),
        problem.oracle,
    )
    for read in reads:
        with pytest.raises(BenchmarkError, match="without declaring"):
            read()
    assert len(list(problem.batches("forget", 2))) == 2
    assert problem.meter.samples == {"forget": 32, "retain": 0}


def test_the_original_is_frozen_and_stays_what_it_was(problem):
    before = copy.deepcopy(problem.model.state_dict())
    original = problem.original
    with torch.no_grad():
        problem.parameters()[0].add_(1)
    assert all(torch.equal(value, original.state_dict()[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in original.parameters())
    assert not original.training


def test_the_original_cannot_be_taken_after_an_edit(problem):
    with torch.no_grad():
        problem.parameters()[0].add_(1)
    with pytest.raises(BenchmarkError, match="after editing"):
        _ = problem.original


def test_the_meter_counts_steps_samples_and_passes(problem):
    optimizer = torch.optim.SGD(problem.parameters(), lr=0.1)
    for step in problem.steps(3):
        optimizer.zero_grad()
        (problem.loss(step.retain).mean() - problem.loss(step.forget).mean()).backward()
        optimizer.step()
    meter = problem.meter
    assert (meter.steps, meter.samples) == (3, {"forget": 48, "retain": 48})
    assert (meter.forward_passes, meter.forward_samples) == (meter.backward_passes, meter.backward_samples) == (6, 96)


def test_passes_of_a_frozen_copy_are_counted(problem):
    batch = next(iter(problem.steps(1))).forget
    problem.loss(batch, problem.original)
    assert (problem.meter.forward_passes, problem.meter.backward_passes, problem.meter.backward_samples) == (1, 0, 0)


def test_a_sample_counts_backwards_each_time_that_a_gradient_reaches_it_and_no_oftener(problem):
    forget, retain = next(iter(problem.steps(1)))[1:]
    lost, kept = problem.loss(forget), problem.loss(retain)
    torch.autograd.grad(lost.mean(), problem.parameters(), retain_graph=True)
    assert (problem.meter.backward_passes, problem.meter.backward_samples) == (1, 16)
    (lost.mean() + lost.square().mean()).backward(retain_graph=True)
    assert (problem.meter.backward_passes, problem.meter.backward_samples) == (2, 32)
    (lost[:3].sum() + kept.sum()).backward()
    assert (problem.meter.backward_passes, problem.meter.backward_samples) == (4, 64)
    problem.meter.reset()
    assert problem.meter.backward_samples == 0


def test_a_paused_meter_counts_nothing_and_goes_on_afterwards(problem):
    batch = next(problem.batches("forget", 1))
    with problem.meter.paused():
        problem.loss(batch).mean().backward()
    meter = problem.meter
    assert (meter.forward_passes, meter.forward_samples, meter.backward_passes, meter.backward_samples) == (0, 0, 0, 0)
    problem.loss(batch).mean().backward()
    assert (meter.forward_passes, meter.forward_samples, meter.backward_passes, meter.backward_samples) == (
        1,
        16,
        1,
        16,
    )


def test_a_pass_beyond_what_a_run_may_take_is_refused(problem):
    batch = next(problem.batches("forget", 1))
    # Sixteen samples forwards, and twice as many for the way back.
    problem.meter.most_work = 48
    problem.loss(batch).mean().backward()
    problem.loss(batch)
    assert problem.meter.work == 64
    with pytest.raises(Overspent, match="It took more work than the 48 samples"):
        problem.loss(batch)


def test_the_meter_finds_the_tensor_in_every_kind_of_output():
    class Wraps(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.inner, self.shape = nn.Linear(2, 2), shape

        def forward(self, x):
            y = self.inner(x)
            return {"tensor": y, "tuple": (y,), "mapping": {"sample": y}}[self.shape]

    for shape in ("tensor", "tuple", "mapping"):
        meter, model = Meter(), Wraps(shape)
        meter.watch(model)
        model(torch.zeros(3, 2))
        assert (meter.forward_passes, meter.forward_samples) == (1, 3)


def test_needs_are_checked_before_anything_runs(toy):
    refusal = toy.ToyTask().refusal(toy.WantsEncoder)
    assert refusal == "The method 'toy-wants-encoder' needs an encoder, which the task 'toy' does not have."
    assert toy.ToyTask().refusal(toy.Good) is None
    assert Need.RETAIN in toy.ToyTask.offers
