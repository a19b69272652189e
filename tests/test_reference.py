"""The unit that seconds are shown in: timed beside the method's work, and without a trace in what comes of it."""

import textwrap

import pytest
import torch

from helpers import TOY
from unlearnbench.benchmark.measuring.clock import REFERENCE_STEPS
from unlearnbench.benchmark.measuring.device import CPU
from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.running import unlearning
from unlearnbench.benchmark.running.identity import RunSpec, make_task
from unlearnbench.benchmark.running.reference import aside
from unlearnbench.benchmark.running.unlearning import Unlearning

PLUGIN = """
import torch
from unlearnbench import Method, Need
from unlearnbench.benchmark import registry

Toy = registry.tasks.get("toy")


class Drawing(Method):
    '''Draws from every generator that a run has.'''

    name = "reference-drawing"
    needs = frozenset({Need.RETAIN})
    steps: int = 3

    def unlearn(self, problem):
        for step in problem.steps(self.steps):
            (problem.loss(step.forget).mean() - problem.loss(step.retain).mean()).backward()
            with torch.no_grad():
                for weight in problem.parameters():
                    if weight.grad is not None:
                        weight += 1e-3 * (weight.grad + torch.randn_like(weight) + problem.random_like(weight))
                        weight.grad = None


class Breaking(Method):
    '''Leaves nothing whole.'''

    name = "reference-breaking"
    how: str

    def unlearn(self, problem):
        if self.how == "raises":
            raise ValueError("no luck")
        if self.how == "replaces":
            problem.model = None
        if self.how == "empties":
            problem.model.weight = problem.model.bias = None
        if self.how == "hooks":
            problem.model.register_forward_hook(lambda *_: 1 / 0)


class Stepless(Toy):
    '''Has problems without a step to time.'''

    name = "reference-stepless"

    def problem(self, method, seed, device):
        found = super().problem(method, seed, device)
        found._draw = None
        return found
"""


@pytest.fixture(scope="module")
def left(toy, tmp_path_factory):
    """Makes the method's part of a run in this process."""
    folder = tmp_path_factory.mktemp("reference")
    plugin = folder / "reference_plugin.py"
    plugin.write_text(textwrap.dedent(PLUGIN))

    def make(task, method, **settings):
        plugins = [TOY, plugin]
        spec = RunSpec(task=task, method=method, seed=0, settings=settings, plugins=plugins, results=folder)
        return Unlearning(spec, folder / "model.safetensors", lambda phase: None).left()

    return make


@pytest.mark.parametrize("task", ["toy", "digits-vae"])
def test_a_run_leaves_the_same_with_and_without_reference_steps(left, task, monkeypatch):
    timed = left(task, "reference-drawing")
    monkeypatch.setattr(unlearning, "time_reference", lambda *_: None)
    untimed = left(task, "reference-drawing")
    assert (timed.status, untimed.cost.reference_step_seconds) == ("ok", [])
    assert len(timed.cost.reference_step_seconds) >= 4
    assert timed.weights == untimed.weights
    assert timed.on_the_way == untimed.on_the_way
    counted = {name for name in type(timed.cost).model_fields if name.endswith(("steps", "passes", "samples"))}
    assert len(counted) == 7
    assert timed.cost.model_dump(include=counted) == untimed.cost.model_dump(include=counted)
    assert [phase.name for phase in timed.cost.phases] == [phase.name for phase in untimed.cost.phases]


@pytest.mark.parametrize(
    ("how", "status"), [("raises", "failed"), ("replaces", "ok"), ("empties", "failed"), ("hooks", "ok")]
)
def test_a_step_afterwards_is_one_of_a_whole_network_whatever_the_method_left(left, how, status):
    found = left("toy", "reference-breaking", how=how)
    assert found.status == status
    assert len(found.cost.reference_step_seconds) == 2 * REFERENCE_STEPS


def test_a_task_without_such_a_step_has_no_unit_and_its_runs_are_none_the_worse(left, capsys):
    found = left("reference-stepless", "original")
    assert (found.status, found.cost.reference_step_seconds) == ("ok", [])
    assert "The reference step could not be timed: TypeError" in capsys.readouterr().err


def test_an_oracles_row_has_the_unit_beside_the_cost_of_its_training(left):
    cost = left("toy", "oracle").cost
    assert (cost.steps, cost.backward_passes, cost.forward_samples, cost.backward_samples) == (60, 60, 600, 600)
    assert cost.cpu_seconds is None
    assert len(cost.reference_step_seconds) == 2 * REFERENCE_STEPS


class Idle(Method):
    """Declares nothing."""

    name = "idle"

    def unlearn(self, problem):
        pass


@pytest.mark.parametrize("name", ["digits-ddpm", "digits-dit", "digits-mae", "digits-vae"])
def test_the_step_trains_a_network_of_the_tasks_own_on_a_batch_as_large_as_the_problems(name):
    task = make_task(name, {})
    problem = task.problem(Idle(), 0, CPU)
    made, seen = [], []

    def fresh():
        network = task.network()
        network.register_forward_hook(lambda module, given, output: seen.append(len(given[0])))
        made.append((network, {key: value.clone() for key, value in network.state_dict().items()}))
        return network

    given = {key: value.clone() for key, value in problem.model.state_dict().items()}
    drawn = torch.get_rng_state(), problem._generator.get_state()
    with aside(problem):
        problem.training_step(fresh)()
    ((network, before),) = made
    assert seen == [problem.batch_size]
    assert any(not torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(torch.equal(value, given[key]) for key, value in problem.model.state_dict().items())
    assert all(map(torch.equal, drawn, (torch.get_rng_state(), problem._generator.get_state())))
    assert problem.meter.forward_passes == problem.meter.backward_passes == 0
