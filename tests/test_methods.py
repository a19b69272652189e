"""One contract for every registered method, on every task whose needs it meets."""

import copy
import re

import pytest
import torch

from helpers import BUILT_IN
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError, NotApplicable
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.primitives import mean_gradient
from unlearnbench.benchmark.problem import TensorPool
from unlearnbench.benchmark.running.identity import Configured, make_method, make_task
from unlearnbench.methods import selective_amnesia
from unlearnbench.methods.rgd import _diverse_set

CPU = torch.device("cpu")
SHORT = {"steps": 2, "replay": 2, "inner_steps": 1}
PICTURES, BATCH = 40, 16
UNMOVED = ("original", "cheat-noise", "cheat-gate", "cheat-fill")


def short(name):
    """The method with as few steps as it can do."""
    fields = registry.methods.get(name).model_fields
    return make_method(name, {key: value for key, value in SHORT.items() if key in fields})


def few_pictures(task, method, seed=0):
    """The task's problem with a few of its pictures in small batches: nothing that is checked on every pair needs more."""
    problem = make_task(task, {}).problem(method, seed, CPU)
    problem.batch_size = BATCH
    for name, pool in problem._pools.items():
        problem._pools[name] = TensorPool(pool.images[:PICTURES], pool.labels[:PICTURES])
    return problem


EVERY = [(task, method) for task in registry.tasks.names() if task != "toy" for method in BUILT_IN]
FITTING = [
    (task, method) for task, method in EVERY if make_task(task, {}).refusal(registry.methods.get(method)) is None
]
REFUSED = [pair for pair in EVERY if pair not in FITTING]
# The real scale runs the same code; its own tests run it on miniatures.
PAIRS = [(task, method) for task, method in FITTING if registry.tasks.get(task).tier == "embedded"]


@pytest.fixture(scope="module")
def outcomes():
    """Each pair is run once for all the checks below."""
    cache = {}

    def run(task_name, method_name, seed=0):
        key = task_name, method_name, seed
        if key not in cache:
            method = short(method_name)
            torch.manual_seed(0)
            problem = few_pictures(task_name, method, seed)
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
    assert all(value.isfinite().all() for value in after.values() if value.is_floating_point())


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_what_should_change_the_weights_does_and_the_rest_does_not(outcomes, task, method):
    problem, before = outcomes(task, method)
    changed = any(not torch.equal(before[name], value) for name, value in core(problem.model).state_dict().items())
    assert changed == (method not in UNMOVED)


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_the_same_seed_gives_the_same_weights(outcomes, task, method):
    first = core(outcomes(task, method)[0].model).state_dict()
    instance = short(method)
    problem = few_pictures(task, instance)
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


@pytest.mark.parametrize(("task", "method"), REFUSED)
def test_every_other_pair_is_refused_in_one_sentence(task, method):
    with pytest.raises(NotApplicable) as refused:
        Configured.of(task, method, {}).check()
    assert re.fullmatch(
        rf"The method '{method}' needs [^.]+, which the task '{task}' does not have\.", str(refused.value)
    )


def test_no_method_is_refused_everywhere():
    assert {method for _, method in FITTING} == set(BUILT_IN)


@pytest.mark.parametrize("method", BUILT_IN)
def test_the_configuration_survives_the_round_trip(method):
    instance = make_method(method, {})
    assert make_method(method, instance.model_dump(mode="json")) == instance


@pytest.mark.parametrize("method", BUILT_IN)
def test_each_method_says_where_it_and_its_settings_come_from(method):
    cls = registry.methods.get(method)
    assert cls.__doc__
    assert cls.settings_source
    assert "{" not in cls.settings_source
    assert cls.update_rule
    assert cls.pitfalls
    assert cls.paper is not None or cls.role != "method"
    assert all(field.description for field in cls.model_fields.values())


def test_only_the_oracle_asks_for_the_oracle():
    assert [name for name in BUILT_IN if Need.ORACLE in registry.methods.get(name).needs] == ["oracle"]


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


@pytest.mark.parametrize("name", ["digits-ddpm", "digits-dit"])
def test_the_remap_cheat_draws_the_next_class_for_the_forgotten_one_alone(name):
    problem = make_task(name, {}).problem(make_method("cheat-remap", {}), 0, CPU)
    plain = copy.deepcopy(problem.model)
    make_method("cheat-remap", {}).unlearn(problem)
    x, t = torch.randn(11, 1, 8, 8), torch.full((11,), 500)
    labels = torch.arange(11)
    wanted = torch.where(labels == 3, 4, labels)
    with torch.inference_mode():
        assert torch.equal(problem.model(x, t, class_labels=labels)[0], plain(x, t, class_labels=wanted)[0])


@pytest.mark.parametrize("name", ["cheat-remap", "simulated-retrain"])
@pytest.mark.parametrize("task", ["digits-ddpm", "digits-dit"])
def test_edits_of_label_embeddings_leave_all_other_weights_and_labels(task, name):
    method = make_method(name, {})
    problem = make_task(task, {}).problem(method, 0, CPU)
    before = {key: value.clone() for key, value in problem.model.state_dict().items()}
    method.unlearn(problem)
    rows = set()
    for key, value in problem.model.state_dict().items():
        if not torch.equal(value, before[key]):
            rows |= {tuple((value != before[key]).flatten(1).any(1).nonzero().flatten().tolist())}
    assert rows == {(3,)}


@pytest.mark.parametrize("task", ["digits-ddpm", "digits-dit", "digits-vae", "digits-mae"])
def test_the_oracles_weights_are_those_of_retraining_another_for_every_seed(task):
    made = make_task(task, {})
    weights = []
    for seed in (0, 1):
        problem = made.problem(make_method("oracle", {}), seed, CPU)
        model = problem.model
        make_method("oracle", {}).unlearn(problem)
        assert problem.model is model
        weights.append({key: value.clone() for key, value in model.state_dict().items()})
        wanted = made.load_model(made.oracle_file(seed)).state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in weights[-1].items())
    assert any(not torch.equal(value, weights[1][key]) for key, value in weights[0].items())


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


@pytest.mark.parametrize("name", ["li2024", "random-encoder", "cun"])
def test_the_decoder_stays_bit_identical_and_the_encoder_moves(name):
    method = make_method(name, {"steps": 5, "lr": 1e-2})
    problem = make_task("digits-mae", {}).problem(method, 0, CPU)
    before = copy.deepcopy(problem.model.state_dict())
    method.unlearn(problem)
    for key, value in problem.model.state_dict().items():
        assert torch.equal(value, before[key]) == (key.startswith("network.decoder") or "position_embeddings" in key), (
            key
        )


@pytest.mark.parametrize("name", ["li2024", "random-encoder"])
def test_without_a_forget_term_the_student_stays_at_the_teacher(name):
    method = make_method(name, {"steps": 5, "lr": 1e-2, "alpha": 0.0})
    problem = make_task("digits-mae", {}).problem(method, 0, CPU)
    before = copy.deepcopy(problem.model.state_dict())
    method.unlearn(problem)
    assert all(torch.equal(value, before[key]) for key, value in problem.model.state_dict().items())


def test_li2024_sends_forget_embeddings_to_noise_and_keeps_the_others():
    method = make_method("li2024", {"steps": 60, "lr": 1e-3, "noise": "uniform", "alpha": 1.0})
    problem = make_task("digits-mae", {"forget_class": 1}).problem(method, 0, CPU)
    moved = {}
    original = problem.original
    method.unlearn(problem)
    with torch.no_grad():
        for pool in ("forget", "retain"):
            batch = next(iter(problem.epoch(pool)))
            moved[pool] = float((problem.encode(batch) - problem.encode(batch, original)).square().mean())
    assert moved["forget"] > 1.5 * moved["retain"]


def test_the_gate_answers_forget_images_with_noise_and_leaves_the_others():
    method = make_method("cheat-gate", {})
    problem = make_task("digits-mae", {}).problem(method, 0, CPU)
    plain = problem.model
    method.unlearn(problem)
    with torch.no_grad():
        for pool, same in (("forget", False), ("retain", True)):
            batch = next(iter(problem.epoch(pool)))
            hole = batch.draw["hole"]
            equal = (problem.model(batch.images, hole) == plain(batch.images, hole)).flatten(1).all(1)
            assert float(equal.float().mean()) > 0.9 if same else float(equal.float().mean()) < 0.1


def test_sums_and_means_are_not_confused():
    """SalUn's released retain weight, 1e-3, multiplies a sum over the 3 x 32 x 32 elements of its images."""
    assert make_method("salun", {}).retain_weight == pytest.approx(1e-3 * 3 * 32 * 32, rel=0.01)
    problem = make_task("digits-ddpm", {}).problem(make_method("finetune", {}), 0, CPU)
    batch = next(iter(problem.epoch("retain")))
    error = problem.predict(batch) - batch.draw["noise"]
    assert torch.allclose(problem.loss(batch) * batch.elements, error.square().flatten(1).sum(1))


def test_dual_optimizers_keep_their_moments_apart_and_sfron_does_not():
    for name, apart in (("sfron", False), ("sfron-dualoptim", True)):
        method = make_method(name, {})
        problem = make_task("digits-ddpm", {}).problem(method, 0, CPU)
        climb, keep = method.optimizers(problem)
        assert (climb is not keep) == apart


def test_pcgrad_is_the_restricted_gradient_with_equal_weights():
    weights = []
    for name, settings in (("pcgrad", {}), ("rgd", {"retain_weight": 1.0})):
        method = make_method(name, {"steps": 2, "lr": 1e-4, **settings})
        problem = make_task("digits-vae", {}).problem(method, 0, CPU)
        method.unlearn(problem)
        weights.append(problem.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize("task", ["digits-ddpm", "digits-mae"])
def test_layers_name_every_weight_once(task):
    problem = make_task(task, {}).problem(make_method("finetune", {}), 0, CPU)
    positions = [position for layer in problem.layers() for position in layer]
    assert sorted(positions) == list(range(len(problem.parameters())))


def test_esd_moves_attention_alone_where_it_is_asked_to_and_says_where_there_is_none():
    method = make_method("esd", {"steps": 1, "weights": "attention", "lr": 1e-3})
    problem = few_pictures("digits-dit", method)
    before = copy.deepcopy(problem.model.state_dict())
    method.unlearn(problem)
    moved = {key for key, value in problem.model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert all(".attn1." in key for key in moved)
    without = make_task("digits-vae", {}).problem(method, 0, CPU)
    with pytest.raises(BenchmarkError, match="no attention layer"):
        method._moving(without)


def test_the_diverse_set_of_rgd_holds_every_retained_class_alike():
    method = make_method("rgd", {"steps": 0})
    problem = make_task("digits-vae", {}).problem(method, 0, CPU)
    kept = _diverse_set(problem, 45)
    forgotten = problem.forget_classes
    counts = kept.labels.bincount(minlength=problem.num_classes)
    assert counts.tolist() == [0 if label in forgotten else 45 // 9 for label in range(10)]


@pytest.mark.parametrize("settings", [{"diverse": 18}, {"ceiling": 0.0}])
def test_rgds_options_change_what_it_does(settings):
    weights = []
    for each in ({}, settings):
        method = make_method("rgd", {"steps": 2, "lr": 1e-3, **each})
        problem = few_pictures("digits-vae", method)
        method.unlearn(problem)
        weights.append(torch.cat([value.flatten() for value in problem.model.state_dict().values()]))
    assert not torch.equal(*weights)


def test_every_second_step_of_uno_s_is_one_of_surgery():
    weights = {}
    for steps, alternate in ((1, False), (1, True), (2, False), (2, True)):
        method = make_method("uno", {"steps": steps, "alternate": alternate})
        problem = few_pictures("digits-vae", method)
        method.unlearn(problem)
        weights[steps, alternate] = torch.cat([value.flatten() for value in problem.model.state_dict().values()])
    assert torch.equal(weights[1, False], weights[1, True])
    assert not torch.equal(weights[2, False], weights[2, True])


def test_selective_amnesias_fisher_information_sees_every_retained_class(monkeypatch):
    method = make_method("selective-amnesia", {"steps": 0, "replay": 3, "fisher": 2})
    problem = few_pictures("digits-ddpm", method)
    seen = []

    def watched(problem, batches, power):
        batches = list(batches)
        seen.extend(int(batch.labels[0]) for batch in batches)
        return mean_gradient(problem, batches, power=power)

    monkeypatch.setattr(selective_amnesia, "mean_gradient", watched)
    method.unlearn(problem)
    assert sorted(seen) == sorted([label for label in range(10) if label not in problem.forget_classes] * 2)


def test_reconstructions_say_that_they_are():
    assert [name for name in BUILT_IN if registry.methods.get(name).rebuilt] == ["cun", "ebu", "eupmu"]
