"""Weights alone are judged: what a method leaves is taken, written, loaded into a fresh network, and nothing else is."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

import unlearnbench
import wrapping_methods
from helpers import TOY
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError, Diverged
from unlearnbench.benchmark.measuring.device import CPU
from unlearnbench.benchmark.records.files import file_sha256
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.benchmark.running.weights import Layout, load, take, write

TRICKS = ("w-wrapper", "w-hook", "w-subclass", "w-attached", "w-forward", "w-functional", "w-loaders", "w-at-import")
PLUGINS = [Path(wrapping_methods.__file__), Path(__file__).parent / "patching_method.py"]
BRIEF = Path(__file__).parent / "brief_task.py"

KINDS = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool])
SHAPES = st.lists(st.integers(0, 3), max_size=3)
ENTRIES = st.dictionaries(st.sampled_from("abcdef"), st.tuples(SHAPES, KINDS), min_size=1)


def network(entries, seed=0):
    """Returns a network with some entries in its state, half of them inside another module."""
    generator = torch.Generator().manual_seed(seed)
    found = nn.Module()
    found.inner = nn.Module()
    for number, (name, (shape, kind)) in enumerate(sorted(entries.items())):
        value = (10 * torch.randn(shape, generator=generator)).to(kind)
        owner = found.inner if number % 2 else found
        owner.register_buffer(name, value)
    return found


def bits(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@settings(max_examples=60, deadline=None)
@given(ENTRIES)
def test_what_was_left_comes_back_to_the_last_bit(tmp_path_factory, entries):
    left, fresh = network(entries), network(entries, seed=1)
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    write(file, take(left, Layout.of(left)).state)
    assert equal(bits(load(file, fresh)), bits(left))
    first = file.read_bytes()
    write(file, take(fresh, Layout.of(fresh)).state)
    assert file.read_bytes() == first


CHANGES = {
    "lack": lambda state, name: state.pop(name),
    "renamed": lambda state, name: state.__setitem__(name + ".old", state.pop(name)),
    "hold": lambda state, name: state.__setitem__("more", torch.zeros(2)),
    "shape": lambda state, name: state.__setitem__(name, state[name].new_zeros((*state[name].shape, 2))),
    " instead of ": lambda state, name: state.__setitem__(
        name, state[name].to(torch.int8 if state[name].dtype != torch.int8 else torch.int16)
    ),
}


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.sampled_from(sorted(CHANGES)), st.data())
def test_any_other_state_is_one_sentence_that_names_the_entry(tmp_path_factory, entries, change, data):
    fresh = network(entries)
    before, state = bits(fresh), bits(fresh)
    name = data.draw(st.sampled_from(sorted(state)))
    CHANGES[change](state, name)
    misfit = Layout.of(fresh).misfit(state)
    assert (name if change != "hold" else "more") in misfit
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    save_file(state, file)
    with pytest.raises(BenchmarkError) as caught:
        load(file, fresh)
    assert misfit in str(caught.value)
    assert equal(bits(fresh), before), "nothing of a file that does not fit is loaded"


def handed_out():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return model, Layout.of(model)


def lora(model):
    class Adapted(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base_layer, self.down, self.up = base, nn.Linear(3, 1), nn.Linear(1, 4)

    model[0] = Adapted(model[0])


def buffer(model):
    model[0].register_buffer("gate", torch.ones(4))


def parameter(model):
    model.gate = nn.Parameter(torch.ones(4))


def fewer(model):
    del model[2]


def missing(model):
    model[0].register_parameter("bias", None)


def renamed(model):
    model[0].w = model[0].weight
    model[0].register_parameter("weight", None)


def halved(model):
    model.half()


def wider(model):
    model[2] = nn.Linear(4, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda model: parametrizations.weight_norm(model[0]), "lack 0.weight, which the task's network has"),
        (lambda model: parametrizations.orthogonal(model[2]), "lack 2.weight, which the task's network has"),
        (lora, "lack 0.weight, 0.bias, which the task's network has"),
        (buffer, "hold '0.gate', which the task's network has not"),
        (parameter, "hold 'gate', which the task's network has not"),
        (fewer, "lack 2.weight, 2.bias, which"),
        (missing, "lack 0.bias, which"),
        (renamed, "lack 0.weight, which"),
        (halved, "hold '0.weight' as float16 instead of float32"),
        (wider, "hold '2.weight' with the shape (3, 4) instead of (2, 4)"),
    ],
)
def test_a_network_of_which_more_than_weights_changed_is_one_sentence(change, says):
    model, layout = handed_out()
    change(model)
    with pytest.raises(BenchmarkError) as caught:
        take(model, layout)
    assert says in str(caught.value)
    assert str(caught.value).endswith("; edit those of problem.model in place.")


def test_modules_that_were_attached_stay_behind_and_hooks_leave_no_trace():
    model, layout = handed_out()
    before = bits(model)
    model.gate = nn.Sequential(nn.Linear(3, 1))
    model[0].helper = nn.BatchNorm1d(2)
    model.register_forward_hook(lambda module, inputs, output: -output)
    model.forward = lambda images: images
    model.__class__ = type("Other", (nn.Sequential,), {})
    taken = take(model, layout)
    assert taken.left_behind == ["0.helper", "gate.0"]
    assert equal(taken.state, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_divergence_whether_taken_or_loaded(tmp_path, value):
    model, layout = handed_out()
    with torch.no_grad():
        model[1].running_var[2] = value
    with pytest.raises(Diverged, match=r"the weight '1\.running_var' is not finite"):
        take(model, layout)
    write(tmp_path / "x.safetensors", bits(model))
    with pytest.raises(Diverged):
        load(tmp_path / "x.safetensors", handed_out()[0])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight


def test_entries_that_are_one_weight_stay_one(tmp_path):
    model, fresh, file = Tied(), Tied(), tmp_path / "x.safetensors"
    layout = Layout.of(model)
    assert layout.tied == (("first.weight", "second.weight"),)
    write(file, take(model, layout).state)
    assert equal(bits(load(file, fresh)), bits(model))
    assert fresh.first.weight is fresh.second.weight
    model.second.weight = nn.Parameter(model.first.weight + 1)
    says = "hold two values of 'first.weight' and 'second.weight', which are one weight of the task's network"
    with pytest.raises(BenchmarkError, match=says):
        take(model, layout)
    write(file, bits(model))
    with pytest.raises(BenchmarkError, match=says):
        load(file, fresh)


@pytest.mark.parametrize("data", [b"", b"\x80\x05 a pickle", b"{}" * 100, None])
def test_what_is_no_file_of_weights_is_one_sentence(tmp_path, data):
    model, layout = handed_out()
    file = tmp_path / "x.safetensors"
    write(file, take(model, layout).state)
    file.write_bytes(file.read_bytes()[:-1] if data is None else data)
    with pytest.raises(BenchmarkError, match="cannot be read as a safetensors file"):
        load(file, model)


@pytest.mark.parametrize(
    ("task", "method", "left_behind"),
    [("digits-ddpm", "w-mixture-gate", []), ("digits-mae", "w-quiet-gate", ["gate.0", "gate.2"])],
)
def test_a_gate_leaves_the_weights_of_the_original(tmp_path, task, method, left_behind):
    registry.add_plugin(PLUGINS[0])
    on = make_task(task, {})
    problem = on.problem(make_method(method, {}), 0, CPU)
    handed, layout, before = problem.model, Layout.of(problem.model), bits(problem.model)
    make_method(method, {}).unlearn(problem)
    taken = take(handed, layout)
    assert taken.left_behind == left_behind
    write(tmp_path / "x.safetensors", taken.state)
    judged = load(tmp_path / "x.safetensors", on.network())
    assert type(judged) is type(on.network())
    assert equal(bits(judged), before)


@pytest.fixture(scope="module")
def tricks(warm, tmp_path_factory):
    """The records of runs that change no weight, and of the original."""
    requests = [Request("toy", method, [3], {}) for method in ("original", *TRICKS)]
    options = {"plugins": [TOY, *PLUGINS], "device": "cpu", "workers": 2}
    records, refused = unlearnbench.run_requests(requests, results=tmp_path_factory.mktemp("tricks"), **options)
    assert refused == []
    return {record.method.name: record for record in records}


@pytest.mark.parametrize("method", TRICKS)
def test_nothing_but_weights_reaches_the_judges(tricks, method):
    record, original = tricks[method], tricks["original"]
    assert (record.status, record.reason) == ("ok", None)
    assert record.metrics == original.metrics
    assert record.gallery == original.gallery
    assert record.weights.sha256 == original.weights.sha256
    expected = {"w-wrapper": ["problem.model"], "w-attached": ["gate.0"]}
    assert record.weights.left_behind == expected.get(method, [])


@pytest.fixture(scope="module")
def kept(warm, tmp_path_factory):
    """A folder with the record of a run and its weights."""
    folder = tmp_path_factory.mktemp("kept")
    (record,) = keep(folder)
    return folder, record


def keep(folder, method="toy-good", **options):
    return unlearnbench.run(
        "toy", method, seeds=[2], results=folder, plugins=[TOY], device="cpu", **{"keep_model": True, **options}
    )


def model_file(folder, record):
    return folder / record.filename.replace(".json", ".model.safetensors")


def evaluated(file, folder, **options):
    return unlearnbench.evaluate(
        "toy", file, **{"seed": 2, "results": folder, "plugins": [TOY], "device": "cpu"} | options
    )


def test_a_kept_model_gives_the_metrics_of_its_run_to_the_last_digit(kept):
    folder, record = kept
    file = model_file(folder, record)
    assert file_sha256(file) == record.weights.sha256
    found = evaluated(file, folder)
    assert (found.metrics, found.gallery) == (record.metrics, record.gallery)
    assert (found.status, found.cost, found.weights.sha256) == ("ok", None, record.weights.sha256)
    assert (found.method.name, found.method.distribution, found.method.role) == ("toy-good-kept", "weights", "method")
    assert found.method.source_sha256 == record.weights.sha256
    assert found.rerun_command() == (
        "unlearnbench evaluate toy WEIGHTS_FILE --seed 2 --name toy-good-kept --plugin FILE"
    )
    seen = []
    again = evaluated(file, folder, on_event=lambda event: seen.append(event.phase))
    assert (seen, again) == (["kept"], found)
    other = evaluated(file, folder, seed=3)
    assert other.metrics != found.metrics


def test_a_model_that_is_asked_for_and_not_there_is_made_again(tmp_path, warm):
    seen = []
    listen = {"on_event": lambda event: seen.append(event.phase)}
    (plain,) = keep(tmp_path, keep_model=False)
    file = model_file(tmp_path, plain)
    assert not file.exists()
    (made,) = keep(tmp_path, **listen)
    assert seen[0] == "start"
    assert made.metrics == plain.metrics
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    keep(tmp_path)
    assert file.read_bytes() == whole
    seen.clear()
    keep(tmp_path, **listen)
    keep(tmp_path, keep_model=False, **listen)
    assert seen == ["kept", "kept"]
    assert {path.name for path in file.parent.iterdir()} == {file.name, Path(made.filename).name}


def test_a_run_that_left_nothing_is_not_made_again_for_its_model(tmp_path, warm):
    seen = []
    (failed,) = keep(tmp_path, "toy-raises")
    (again,) = keep(tmp_path, "toy-raises", on_event=lambda event: seen.append(event.phase))
    assert (failed, seen) == (again, ["kept"])
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.slow
@pytest.mark.parametrize("task", ["brief-ddpm", "digits-vae"])
def test_a_kept_model_of_the_suites_tasks_gives_the_metrics_of_its_run(warm, tmp_path, task):
    options = {"results": tmp_path, "plugins": [BRIEF], "device": "cpu"}
    (record,) = unlearnbench.run(task, "ascent", settings={"steps": 5}, keep_model=True, **options)
    found = unlearnbench.evaluate(task, model_file(tmp_path, record), name="mine", **options)
    on_the_way = {"steps_to_threshold", "fid_at_threshold"}
    assert found.metrics == [metric for metric in record.metrics if metric.name not in on_the_way]
    assert len(found.metrics) > 10
    assert found.gallery == record.gallery


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "methods"),
    [("brief-ddpm", ["w-mixture-gate", "w-scheduler", "cheat-noise"]), ("digits-mae", ["w-quiet-gate", "cheat-fill"])],
)
def test_gates_around_real_networks_score_what_the_original_scores(warm, tmp_path, task, methods):
    requests = [Request(task, method, [1], {}) for method in ("original", *methods)]
    records, _ = unlearnbench.run_requests(
        requests, results=tmp_path, plugins=[PLUGINS[0], BRIEF], device="cpu", workers=1
    )
    original, *others = records
    for record in others:
        assert record.status == "ok", record.reason
        assert record.metrics == original.metrics, record.method.name
        assert record.gallery == original.gallery
