"""The record: what is refused, what never leaves the machine, and the published schema."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers import ROOT, make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.files import canonical_sha256
from unlearnbench.benchmark.records.record import MAX_RECORD_BYTES, parse_record
from unlearnbench.docs.make.schema import schema_text


def text_with(**changes) -> str:
    data = json.loads(make_record("sfron").model_dump_json())
    return json.dumps(data | changes)


def test_a_record_survives_the_round_trip():
    record = make_record("sfron", passed={"lr": 0.1})
    assert parse_record(record.model_dump_json(), "here") == record


def test_the_published_schema_is_up_to_date():
    published = (ROOT / "docs" / "record.schema.json").read_text()
    assert published == schema_text(), "run `make schema` and say in CHANGELOG.md what changed"


def test_every_model_of_the_schema_is_documented():
    schema = json.loads(schema_text())
    assert schema["description"]
    for name, model in schema["$defs"].items():
        assert model.get("description"), name
    for model in (schema, *schema["$defs"].values()):
        for name, field in model.get("properties", {}).items():
            assert "description" in field, name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not whole JSON"),
        ("", "is not whole JSON"),
        (text_with()[:-200], "is not whole JSON"),
        (text_with(schema_version=3), "is of schema version 3"),
        (text_with(hostname="mine"), "does not fit the record schema at 'hostname'"),
        (text_with(seed=-1), "'seed'"),
        (text_with(run_id="../../etc"), "'run_id'"),
        ("[" * 100_000, "is n"),
    ],
)
def test_a_broken_record_is_refused_in_one_sentence(text, says):
    with pytest.raises(BenchmarkError) as caught:
        parse_record(text, "results/x.json")
    message = str(caught.value)
    assert message.startswith("results/x.json")
    assert says in message
    assert "\n" not in message


def test_a_huge_file_is_no_record():
    with pytest.raises(BenchmarkError, match="larger than"):
        parse_record(" " * (MAX_RECORD_BYTES + 1), "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_is_finite_or_null(value):
    with pytest.raises(ValidationError):
        make_record("sfron", values={"forget_accuracy": value})
    assert make_record("sfron", values={"forget_accuracy": None}).metrics[0].value is None


@pytest.mark.parametrize("name", ["../up", "A", "", "a/b", "<script>"])
def test_names_that_could_leave_the_folder_or_the_page_are_refused(name):
    with pytest.raises(ValidationError):
        make_record(name)


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert canonical_sha256({"a": 1, "b": 2}) == canonical_sha256({"b": 2, "a": 1})


def test_the_rerun_command_repeats_what_was_set():
    record = make_record("sfron", 2, passed={"lr": 0.001, "steps": 5})
    assert record.rerun_command() == "unlearnbench run digits-ddpm sfron --seeds 2 --set lr=0.001 --set steps=5"


def test_the_rerun_command_is_safe_to_paste():
    record = make_record("sfron", passed={"x": "$(rm -rf ~)"})
    assert "'x=$(rm -rf ~)'" in record.rerun_command()


def test_committed_records_tell_nothing_about_whose_machine_it_was():
    files = sorted((ROOT / "leaderboard" / "results").rglob("*.json"))
    assert len(files) >= 30
    for file in files:
        text = re.sub(r'"png_base64": "[^"]*"', "", file.read_text())
        record = parse_record(file.read_bytes(), str(file))
        assert file.relative_to(ROOT / "leaderboard" / "results") == Path(record.filename)
        assert not re.search(r"/(home|root|work|tmp|Users)/", text), file
        assert record.provenance.git_commit
        assert record.provenance.git_dirty is False, f"{file} was made from uncommitted sources"
