"""The record: what is refused, what never leaves the machine, and the published schema."""

import copy
import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers import ROOT, make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.files import canonical_sha256
from unlearnbench.benchmark.records.record import MAX_RECORD_BYTES, SCHEMA_VERSION, parse_record
from unlearnbench.benchmark.records.store import read_record, record_bytes
from unlearnbench.docs.make.schema import schema_text
from unlearnbench.leaderboard.frames import long_frame, scored_frame
from unlearnbench.leaderboard.ranking import rank_all


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


@pytest.mark.parametrize(
    ("settings_from", "command"),
    [
        ("set", "unlearnbench run digits-ddpm sfron --seeds 2 --set lr=0.001"),
        ("paper", "unlearnbench run digits-ddpm sfron --settings paper --seeds 2 --set lr=0.001"),
        # What were defaults in an earlier release may be others now.
        (None, "unlearnbench run digits-ddpm sfron --seeds 2 --set forget_class=3 --set lr=0.001 --set steps=7"),
    ],
)
def test_the_rerun_command_repeats_what_was_run(settings_from, command):
    record = make_record("sfron", 2, passed={"lr": 0.001})
    method = record.method.model_copy(update={"settings_from": settings_from, "config": {"lr": 0.001, "steps": 7}})
    assert record.model_copy(update={"method": method}).rerun_command() == command


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


def places(value, path=()):
    """Every leaf of a record, and every empty list and object."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, one in inner for place in places(one, (*path, key))]
    return found or [path]


WHOLE = json.loads(record_bytes(read_record(sorted((ROOT / "leaderboard" / "results").rglob("*.json"))[0])))
PLACES = {re.sub(r"\d+", "N", ".".join(map(str, place))): place for place in places(WHOLE)}
"""One place for each field of the schema, by its name."""
ODD = [None, True, -1, 0, 3, 0.5, 1e300, 2**60, "", "x", "9" * 400, "NaN", "../x", "\x00", [], [0], {}, {"x": 1}]


def edited(place, change):
    """The record with one thing changed in the object or list that holds a place."""
    raw = copy.deepcopy(WHOLE)
    inner = raw
    for step in place[:-1]:
        inner = inner[step]
    change(inner, place[-1])
    return json.dumps(raw)


def read_or_refused(text, *named):
    """The record, or None if it is refused in a sentence that names some words."""
    try:
        return parse_record(text, "The record")
    except BenchmarkError as error:
        sentence = str(error)
    assert sentence.startswith("The record ")
    assert sentence.isprintable()
    assert all(word in sentence for word in named)
    return None


def at(record, place):
    found = json.loads(record_bytes(record))
    for step in place:
        found = found[step]
    return found


@pytest.mark.parametrize("name", PLACES)
def test_an_edit_of_any_field_is_kept_or_refused_and_never_ignored(name):
    """A number that is a text is no number."""
    for odd in ODD:
        record = read_or_refused(edited(PLACES[name], lambda inner, last, odd=odd: inner.__setitem__(last, odd)))
        if record is None:
            continue
        assert at(record, PLACES[name]) == odd
        for show in (rank_all, scored_frame, long_frame):
            show([record])


@pytest.mark.parametrize("name", [name for name in PLACES if not re.search("config|request\\.|packages|\\.N$", name)])
def test_a_field_that_is_gone_is_refused_or_has_a_default_and_one_that_nobody_knows_is_refused(name):
    place = PLACES[name]
    record = read_or_refused(edited(place, lambda inner, last: inner.pop(last)), place[-1])
    assert record is None or at(record, place) in (None, [], SCHEMA_VERSION, "fp32")
    assert read_or_refused(edited(place, lambda inner, last: inner.__setitem__("made_up", 1)), "made_up") is None
