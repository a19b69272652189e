"""Attackers: what they touch, what they own, and that what they reach is a loss of the network on fixed draws."""

import dataclasses

import pytest
import torch

from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_forgetting import diffusion, probes
from unlearnbench.tasks.class_forgetting.label_tables import label_tables
from unlearnbench.tasks.class_forgetting.probes import Attacker, Budget, Draws

CPU = torch.device("cpu")
SMALL = Budget(batch=8, inversion_steps=8, relearning_steps=4, benign_steps=3, looks=1, draws=24)


@pytest.fixture(scope="module", params=["digits-ddpm", "digits-dit"])
def task(request):
    return make_task(request.param, {})


@pytest.fixture(scope="module")
def model(task):
    return task.load_model(task.base_file)


@pytest.fixture(scope="module")
def pools(task):
    held_out = task.held_out()
    owned, rest = probes.parted(held_out.where(held_out.labels == task.forget_class), 10)
    return owned, rest, task.parted(task.training_pool())[1]


@pytest.fixture
def attacker(task, pools):
    return Attacker(SMALL, task.forget_class, task.num_classes, pools[0], pools[2], 0, CPU)


@pytest.fixture(scope="module")
def on(task, pools):
    return Draws.of(pools[1], SMALL.draws, 5, CPU)


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_every_table_of_the_network_is_found_once(task, model):
    tables = label_tables(model, task.num_classes)
    assert len(tables) == (1 if task.name == "digits-ddpm" else 4)
    assert {table.shape[0] for table in tables} == {task.num_classes + 1}
    assert len({table.data_ptr() for table in tables}) == len(tables)


def test_draws_are_the_same_for_everybody_and_take_every_picture_in_turn(pools):
    first, again = (Draws.of(pools[1], 60, 5, CPU) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert torch.equal(first.images[: len(pools[1])], first.images[len(pools[1]) : 2 * len(pools[1])])
    assert not torch.equal(first.noise[0], first.noise[len(pools[1])])
    assert not torch.equal(first.noise, Draws.of(pools[1], 60, 6, CPU).noise)


def test_a_loss_is_the_training_loss_with_no_label_dropped(task, model, on):
    found = probes.measured_losses(model, on, batch=7)
    draw = {"noise": on.noise, "timesteps": on.timesteps, "dropped": torch.zeros(len(on.labels), dtype=torch.bool)}
    with torch.inference_mode():
        expected = diffusion.denoising_loss(
            model, diffusion.noise_schedule(), on.images, on.labels, draw, task.num_classes
        )
    assert torch.allclose(found.float(), expected, atol=1e-5)


def test_an_inversion_moves_the_forgotten_row_of_each_table_and_nothing_else(task, model, attacker, on):
    before = state(model)
    found = attacker.invert(model, on)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    moved = {name for name, value in found.end.state_dict().items() if not torch.equal(value, before[name])}
    assert len(moved) == len(label_tables(model, task.num_classes))
    for name in moved:
        rows = (found.end.state_dict()[name] != before[name]).any(1).nonzero().flatten().tolist()
        assert rows == [task.forget_class]


def test_what_the_method_left_in_the_forgotten_row_plays_no_part(task, model, attacker, on):
    edited = task.load_model(task.base_file)
    with torch.no_grad():
        for table in label_tables(edited, task.num_classes):
            table[task.forget_class] = 100.0
    for left, right in zip(attacker.invert(model, on)[1:], attacker.invert(edited, on)[1:], strict=True):
        assert left == right if isinstance(left, list) else torch.equal(left, right)


def test_attacks_help_the_attacker_are_repeatable_and_depend_on_the_seed(model, attacker, on):
    found, again = (attacker.invert(model, on) for _ in range(2))
    assert found.curve == again.curve
    assert [step for step, _ in found.curve] == [0, 4, 8]
    assert float(found.best.mean()) == min(loss for _, loss in found.curve) < found.curve[0][1]
    assert dataclasses.replace(attacker, seed=1).invert(model, on).curve != found.curve
    relearned = attacker.relearn(found.end, on)
    assert relearned.curve[0][1] == pytest.approx(found.curve[-1][1])
    changed = [
        name for name, value in relearned.end.state_dict().items() if not torch.equal(value, state(found.end)[name])
    ]
    assert len(changed) > 10


def test_use_without_harm_trains_everything_on_retained_pictures(task, model, attacker):
    before = state(model)
    used = attacker.use(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for table in label_tables(used, task.num_classes):
        assert torch.isfinite(table).all()
    assert any(not torch.equal(value, before[name]) for name, value in used.state_dict().items())


def test_a_gap_is_the_difference_of_two_means():
    found, beside = torch.tensor([0.2, 0.4, 0.6]).double(), torch.tensor([0.1, 0.1, 0.4]).double()
    measured = probes.gap(found, beside)
    assert measured.value == pytest.approx(0.2)
    assert measured.interval.low < 0.2 < measured.interval.high
    assert measured.n == 3
