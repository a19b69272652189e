"""Records of the first schema, as releases before wrote them, one file of each kind."""

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unlearnbench as ub
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.record import NAME_PATTERN, SCHEMA_VERSION, Status, parse_record
from unlearnbench.benchmark.records.store import load_records, read_record, record_bytes, write_record
from unlearnbench.benchmark.running.identity import make_method, make_task, run_id

FOLDER = Path(__file__).parent / "records_v1"
"""Written by the release before; pictures and most numbers of single classes are left out, to be short."""
FILES = sorted(FOLDER.glob("*.json"))
FAMILIES = {"class-forgetting", "class-suppression", "image-to-image", "one-shot"}


def first(name, change=lambda value: None):
    """The text of a record of version 1, changed."""
    value = json.loads((FOLDER / f"{name}.json").read_text())
    change(value)
    return json.dumps(value)


def test_there_is_a_file_of_each_kind():
    raw = [json.loads(path.read_text()) for path in FILES]
    assert {record["schema_version"] for record in raw} == {1}
    assert {record["task"]["family"] for record in raw} == FAMILIES
    assert {record["status"] for record in raw} >= {"ok", "failed", "diverged"}
    assert {record["method"]["distribution"] for record in raw} == {"unlearnbench 0.1.0", "file"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_record_of_version_1_is_a_record_of_this_version(path):
    record, raw = read_record(path), json.loads(path.read_text())
    assert record.schema_version == SCHEMA_VERSION
    assert (record.task.source_sha256, record.task.distribution) == (None, "unlearnbench 0.1.0")
    assert [metric.value for metric in record.metrics] == [metric["value"] for metric in raw["metrics"]]
    family = registry.families.find(record.task.family)
    # A family may have dropped a quantity since; most are those of then.
    known = [metric for metric in record.metrics if family.find(metric.name) is not None]
    assert 2 * len(known) >= len(record.metrics)
    for metric in record.metrics:
        assert "unlearnbench" not in metric.identity.name
        assert metric.identity.version == 1
    # What is written is of this version, and the same record.
    assert parse_record(record_bytes(record), "x") == record
    if raw["run_id"] != "6" * 64:
        assert run_id(record.task, record.method, record.seed, record.device) == record.run_id


def test_text_and_bytes_are_the_same_record():
    text = first("one-shot")
    assert parse_record(text, "x") == parse_record(text.encode(), "x")
    # Keys in another order, so that the version stands last.
    backwards = json.dumps(dict(reversed(json.loads(text).items())))
    assert parse_record(backwards, "x") == parse_record(text, "x")


@pytest.mark.slow
def test_they_show_on_a_board_beside_records_of_this_version(tmp_path):
    for number, path in enumerate(FILES):
        record = read_record(path)
        folder = tmp_path / "old" / record.task.name / record.method.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"seed{record.seed}-{number:012}.json").write_bytes(path.read_bytes())
        write_record(tmp_path / "new", record.model_copy(update={"seed": 5, "run_id": f"{number:064x}"}))
    board = ub.board([tmp_path / "old", tmp_path / "new"], out=tmp_path / "site", committed=False)
    assert board.problems == []
    page = Path(board.page).read_text()
    for record in load_records([tmp_path / "new"]).records:
        assert record.task.name in page
    assert {ranking.task for ranking in board.rankings} >= {"digits-ddpm", "digits-vae", "digits-mae", "imagenet-dit"}


@pytest.mark.slow
def test_a_record_of_now_is_measured_with_the_same():
    """Protocol, judges and references; a computation's version may have been raised since."""
    record = read_record(FOLDER / "one-shot.json")
    task, method = make_task("digits-vae", dict(record.task.config)), make_method("original", {})
    device = torch.device("cpu")
    now = task.evaluate(task.load_model(task.base_file), record.seed, device).metrics
    again = record.model_copy(update={"metrics": [*now, *task.retrace(method, record.seed, device)]}).metrics_by_key()
    before = record.metrics_by_key()
    assert len(before) >= 15
    for key, metric in before.items():
        assert metric.identity == again[key].identity.model_copy(update={"version": 1}), key


def at(*place):
    """A change: what is at a place is removed, or replaced by the last argument."""

    def change(value, *replacement):
        *above, last = place
        for key in above:
            value = value[key]
        if replacement:
            value[last] = replacement[0]
        else:
            del value[last]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: at("metrics")(v), "at 'metrics' (Field required)"),
        (lambda v: at("metrics")(v, {"a": 1}), "at 'metrics' "),
        (lambda v: at("metrics")(v, [1]), "at 'metrics.0' "),
        (lambda v: at("metrics", 0, "identity")(v), "at 'metrics.0.identity' (Field required)"),
        (lambda v: at("metrics", 0, "identity")(v, [1]), "at 'metrics.0.identity' "),
        (lambda v: at("metrics", 0, "identity", "implementation")(v), "at 'metrics.0.identity.name' (Field required)"),
        (lambda v: at("metrics", 0, "identity", "implementation")(v, 7), "at 'metrics.0.identity.name' "),
        (lambda v: at("metrics", 0, "name")(v, ["fid"]), "at 'metrics.0.name' "),
        (lambda v: at("metrics", 0, "value")(v, "0.5"), "at 'metrics.0.value"),
        (lambda v: at("metrics", 0, "value")(v, 1e999), "at 'metrics.0.value"),
        (lambda v: at("task")(v), "at 'task' (Field required)"),
        (lambda v: at("task")(v, None), "at 'task' "),
        (lambda v: at("task", "sha256")(v, "x"), "at 'task.sha256' "),
        (lambda v: at("provenance")(v), "at 'provenance' (Field required)"),
        (lambda v: at("status")(v, "fine"), "at 'status' "),
        (lambda v: at("status")(v, ["ok"]), "at 'status' "),
        (lambda v: at("status")(v), "at 'status' (Field required)"),
        (lambda v: at("seed")(v, "0"), "at 'seed' "),
        (lambda v: at("seed")(v, -1), "at 'seed' "),
        (lambda v: at("hostname")(v, "mine"), "at 'hostname' "),
        (lambda v: at("schema_version")(v, 1.0), "is of schema version 1.0"),
        (lambda v: at("schema_version")(v, 3), "is of schema version 3, and this release reads versions up to 2"),
    ],
)
def test_a_damaged_one_is_one_sentence(change, says):
    with pytest.raises(BenchmarkError) as caught:
        parse_record(first("one-shot", change), "here.json")
    message = str(caught.value)
    assert message.startswith("here.json ")
    assert says in message
    assert message.endswith("; run it again or remove the file.")
    assert "\n" not in message


@pytest.mark.parametrize(
    "text", [first("failed")[:-9], first("failed") + "x", '{"schema_version": 1', '["schema_version": 1]']
)
def test_half_a_file_is_one_sentence(text):
    with pytest.raises(BenchmarkError, match="is not whole JSON"):
        parse_record(text, "here.json")
    with pytest.raises(BenchmarkError, match="is not whole JSON"):
        parse_record(text.encode() + b"\xff", "here.json")


def test_an_array_is_no_record():
    with pytest.raises(BenchmarkError, match="does not fit the record schema"):
        parse_record('[{"schema_version": 1}]', "here.json")


def named(implementation):
    """What a computation of a third party is called since."""
    change = at("metrics", 0, "identity", "implementation")
    return parse_record(first("one-shot", lambda value: change(value, implementation)), "x").metrics[0].identity.name


@given(st.text())
def test_what_a_third_party_computed_has_a_valid_name(implementation):
    assert re.fullmatch(NAME_PATTERN, named(implementation))


def test_what_was_computed_differently_stays_different():
    long = [letter * count for letter in "xy" for count in (64, 65, 66)]
    others = ["mine.Metric", "mine.metric.Other", "日本", "中国", "", "-", "unlearnbench.tasks.mine.f", *long]
    assert named("mine.Metric") == "mine.metric"
    assert len({named(implementation) for implementation in others}) == len(others)


def test_a_failed_run_keeps_its_status():
    assert read_record(FOLDER / "failed.json").status is Status.FAILED
    assert read_record(FOLDER / "diverged.json").reason == json.loads(first("diverged"))["reason"]
