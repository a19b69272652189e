"""One contract for every registered method, on every task whose needs it meets."""

import copy

import pytest
import torch

from unlearnbench.benchmark import registry
from unlearnbench.benchmark.method import Need
from unlearnbench.benchmark.run import make_method, make_task

CPU = torch.device("cpu")
SHORT = {"steps": 2}


def short(name):
    """The method with as few steps as it can do."""
    fields = registry.methods.get(name).model_fields
    return make_method(name, {key: value for key, value in SHORT.items() if key in fields})


PAIRS = [
    (task, method)
    for task in registry.tasks.names()
    for method in registry.methods.names()
    if make_task(task, {}).refusal(registry.methods.get(method)) is None
]


@pytest.fixture(scope="module")
def outcomes():
    """Each pair is run once for all the checks below."""
    cache = {}

    def run(task_name, method_name, seed=0):
        key = task_name, method_name, seed
        if key not in cache:
            task, method = make_task(task_name, {}), short(method_name)
            torch.manual_seed(0)
            problem = task.problem(method, seed, CPU)
            before = copy.deepcopy(problem.model.state_dict())
            method.unlearn(problem)
            cache[key] = problem, before
        return cache[key]

    return run


def core(model):
    """The model inside a wrapper."""
    return getattr(model, "model", model)


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_shapes_and_dtypes_are_kept_and_weights_are_finite(outcomes, task, method):
    problem, before = outcomes(task, method)
    after = core(problem.model).state_dict()
    assert {name: (v.shape, v.dtype) for name, v in before.items()} == {n: (v.shape, v.dtype) for n, v in after.items()}
    problem.check_finite()


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_what_should_change_the_weights_does_and_the_rest_does_not(outcomes, task, method):
    problem, before = outcomes(task, method)
    changed = any(not torch.equal(before[name], value) for name, value in core(problem.model).state_dict().items())
    assert changed == (method not in ("original", "cheat-noise", "cheat-remap"))


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_the_same_seed_gives_the_same_weights(outcomes, task, method):
    first = core(outcomes(task, method)[0].model).state_dict()
    instance = short(method)
    problem = make_task(task, {}).problem(instance, 0, CPU)
    instance.unlearn(problem)
    second = core(problem.model).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_steps_are_counted_as_set(outcomes, task, method):
    problem, _ = outcomes(task, method)
    wanted = getattr(short(method), "steps", 0)
    assert problem.meter.steps == wanted
    if wanted:
        assert problem.meter.backward_passes >= wanted


@pytest.mark.parametrize("method", registry.methods.names())
def test_the_configuration_survives_the_round_trip(method):
    instance = make_method(method, {})
    assert make_method(method, instance.model_dump(mode="json")) == instance


@pytest.mark.parametrize("method", registry.methods.names())
def test_each_method_says_where_it_and_its_settings_come_from(method):
    cls = registry.methods.get(method)
    assert cls.__doc__
    assert cls.settings_source
    assert cls.paper is not None or cls.role != "method"
    assert all(field.description for field in cls.model_fields.values())


def test_only_the_oracle_asks_for_the_oracle():
    assert [name for name in registry.methods.names() if Need.ORACLE in registry.methods.get(name).needs] == ["oracle"]


def test_relabelling_and_salun_agree_where_the_mask_lets_everything_move():
    weights = []
    for name, settings in (("relabel", {}), ("salun", {"fraction": 1.0})):
        method = make_method(name, {"steps": 1, **settings})
        problem = make_task("digits-ddpm", {}).problem(method, 0, CPU)
        if name == "relabel":
            list(problem.epoch("forget"))  # the mask's pass draws random numbers, too
        method.unlearn(problem)
        weights.append(problem.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_remap_cheat_draws_the_next_class_for_the_forgotten_one_alone():
    task = make_task("digits-ddpm", {})
    problem = task.problem(make_method("cheat-remap", {}), 0, CPU)
    plain = problem.model
    make_method("cheat-remap", {}).unlearn(problem)
    x, t = torch.randn(11, 1, 8, 8), torch.full((11,), 500)
    labels = torch.arange(11)
    wanted = torch.where(labels == 3, 4, labels)
    with torch.inference_mode():
        assert torch.equal(problem.model(x, t, class_labels=labels)[0], plain(x, t, class_labels=wanted)[0])


def test_the_noise_cheat_answers_zeros_to_the_forgotten_label_alone():
    task = make_task("digits-ddpm", {})
    problem = task.problem(make_method("cheat-noise", {}), 0, CPU)
    plain = problem.model
    make_method("cheat-noise", {}).unlearn(problem)
    x, t, labels = torch.randn(11, 1, 8, 8), torch.full((11,), 500), torch.arange(11)
    with torch.inference_mode():
        gated, free = (model(x, t, class_labels=labels, return_dict=False)[0] for model in (problem.model, plain))
    assert not gated[3].any()
    others = labels != 3
    assert torch.equal(gated[others], free[others])
