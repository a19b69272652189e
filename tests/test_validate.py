"""What a submission is refused for: one sentence each, from schema to copies, and nothing of it reaches the page as markup."""

import hashlib
import json
import os
import shutil
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from submissions import ACCEPTED, as_of_now, committed, mine, with_changes, write_submission
from unlearnbench.benchmark.records.record import parse_record
from unlearnbench.benchmark.records.store import record_bytes, write_record
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.submission.layout import MAX_METHOD_BYTES, shown
from unlearnbench.leaderboard.submission.plausible import implausible
from unlearnbench.leaderboard.submission.recompute import drift
from unlearnbench.leaderboard.submission.validate import attest, validate


@pytest.fixture(scope="module")
def row():
    """Two seeds of each of three requests of a real method, renamed."""
    return [mine(record) for record in committed("digits-vae", "uno")]


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A few of the accepted records: enough for a board."""
    folder = tmp_path_factory.mktemp("accepted")
    for method in ("original", "oracle", "uno", "ascent"):
        shutil.copytree(ACCEPTED / "digits-vae" / method, folder / "digits-vae" / method)
    return folder


@pytest.fixture
def submission(row, tmp_path):
    return write_submission(tmp_path / "submission", row)


def sentences(folder, accepted, **options):
    return [str(problem) for problem in validate(folder, accepted, **options).problems]


def refused(folder, accepted, says, **options):
    """Every problem is one short line without control characters, and one of them says so."""
    found = sentences(folder, accepted, **options)
    assert any(says in sentence for sentence in found), found
    for sentence in found:
        assert len(sentence) <= 401
        assert sentence.isprintable()
    return found


def test_a_whole_submission_has_nothing_wrong(submission, accepted):
    found = validate(submission, accepted)
    assert found.problems == []
    assert found.new == len(found.passed) == 6


def test_every_committed_record_agrees_with_itself():
    paths = sorted(ACCEPTED.rglob("*.json"))
    assert len(paths) > 150
    for path in paths[::7]:
        data = path.read_bytes()
        record = parse_record(data, str(path))
        assert implausible(record, data) == []
        assert drift(record) == []


# What one changed field of a record is refused for.
CHANGES = [
    ({"run_id": "0" * 64}, "its run_id is not the hash"),
    ({"created": "2999-01-01T00:00:00Z"}, "which cannot be"),
    ({"created": "2026-13-45T00:00:00Z"}, "which is no date"),
    ({"metrics__0__value": 0.5}, "outside its own interval"),
    ({"metrics__0__value": 0.5, "metrics__0__ci_low": 0.4, "metrics__0__ci_high": 0.6}, "is not Wilson's"),
    ({"metrics__0__n": 1999, "metrics__0__value": 0.3}, "outside its own interval"),
    ({"metrics__0__ci_low": None}, "half an interval"),
    ({"metrics__0__direction": "info"}, "in another way than the accepted records"),
    ({"metrics__0__identity__protocol": "my own"}, "in another way than the accepted records"),
    ({"metrics__0__name": "my_metric"}, "lacks the metric 'feature_ratio"),
    ({"cost__unlearn_seconds": 0.001}, "in its timed phases"),
    ({"cost__steps": 5}, "counts 5 steps and times"),
    ({"cost__forget_samples": -1}, "negative forget samples"),
    ({"cost__forget_samples": 10**30}, "larger than 2^53"),
    ({"seed": 10**17}, "larger than 2^53"),
    ({"status": "failed", "reason": "x"}, "with metrics"),
    ({"reason": "x"}, "ended as ok with a reason"),
    ({"reason": "a\u202eb"}, "control character or an invisible one"),
    ({"device__name": "A" * 10_000}, "a text of 10,000 characters"),
    ({"device__name": "x\u001b[31m"}, "control character"),
    ({"method__role": "reference"}, "calls itself a reference row"),
    ({"method__source_sha256": "3" * 64}, "made with another file than methods/mine.py"),
    ({"method__config": {"a": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}}, "nested more than 12 deep"),
    ({"task__sha256": "4" * 64}, "is of another hash of the task 'digits-vae'"),
    ({"task__family": "class-forgetting"}, "is of another family"),
    ({"task__name": "methods"}, "a name that the layout keeps"),
    ({"task__name": "nowhere"}, "There is no task named 'nowhere'"),
    ({"gallery__tile": 11}, "no PNG picture of"),
    ({"gallery__tile": 10**6}, "impossible size"),
    ({"gallery__png_base64": "PHN2Zz4="}, "no PNG picture"),
    ({"provenance__git_dirty": True}, "uncommitted changes"),
    ({"seed": 7}, "lacks the seed 2 of forget_class=8, or the seeds 0, 1 of each of forget_class=0"),
]


@pytest.mark.parametrize(
    ("changes", "says"), CHANGES, ids=[str(sorted(changes)) + says[:20] for changes, says in CHANGES]
)
def test_a_changed_record_is_refused(row, accepted, tmp_path, changes, says):
    records = [with_changes(row[0], **changes), *row[1:]]
    refused(write_submission(tmp_path / "s", records), accepted, says)


def rewrite(folder, change):
    """Changes the text of one record and leaves its name."""
    path = next(folder.glob("digits-vae/mine/seed0-*.json"))
    path.write_text(change(path.read_text()))
    return path


TEXTS = [
    (lambda text: text.replace('"schema_version": 2', '"schema_version": 3'), "is of schema version 3"),
    (lambda text: text.replace('"schema_version": 2', '"schema_version": "<script>\\u0007"'), "is of schema version"),
    (lambda text: text[:-300], "is not whole JSON"),
    (lambda text: '{"a":' * 300_000, "is n"),
    (lambda text: "[" * 4_000_000, "is n"),
    (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 0'), "a key occurs twice"),
    (lambda text: text.replace('"value": 0', '"value": NaN, "x": 0', 1), "does not fit the record schema"),
    (lambda text: text.replace('"config": {', '"config": {"lr2": NaN, ', 1), "it holds NaN"),
    (lambda text: text.replace('"config": {', '"config": {"lr2": 1e999, ', 1), "not finite"),
    (lambda text: text.replace('"config": {', '"config": {"lr2": Infinity, ', 1), "it holds Infinity"),
    (lambda text: text.replace('"name": "mine"', '"name": "<script>alert(1)</script>"'), "at 'method.name'"),
    (lambda text: text.replace('"name": "mine"', '"name": "../../mine"'), "at 'method.name'"),
    (lambda text: text.replace('"name": "mine"', '"name": "ascent"'), "should be named"),
    (lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 5000), "is n"),
    (lambda text: text.replace('"python": "', '"python": "\\ud800'), "is"),
]


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=[says for _, says in TEXTS])
def test_hostile_text_is_refused_in_one_sentence(submission, accepted, number):
    change, says = TEXTS[number]
    path = rewrite(submission, change)
    found = refused(submission, accepted, says)
    assert sum(path.name in sentence for sentence in found) == 1


def test_a_gigabyte_is_never_read(submission, accepted):
    path = next(submission.glob("digits-vae/mine/seed0-*.json"))
    with path.open("wb") as file:
        file.truncate(2**30)
    refused(submission, accepted, "is larger than 4,194,304 bytes")
    assert len(build_board([submission, accepted], submission.parent / "site").problems) == 1


def test_only_records_and_methods_belong_into_a_submission(submission, accepted, tmp_path):
    (submission / "README.md").write_text("x")
    (submission / "digits-vae" / "mine" / "conftest.py").write_text("x")
    (submission / "digits-vae" / "mine" / "deep").mkdir()
    (submission / "digits-vae" / "mine" / "deep" / "x.json").write_text("{}")
    (submission / "methods" / "..py").write_text("x")
    (submission / "methods" / "bad\x1b\n::set-env.py").write_text("x")
    (submission / "methods" / "link.py").symlink_to("/etc/passwd")
    (submission / "digits-vae" / "root").symlink_to("/")
    os.mkfifo(submission / "digits-vae" / "mine" / "seed9-000000000000.json")
    found = refused(submission, accepted, "README.md: does not belong")
    for expected in (
        "conftest.py: does not",
        "..py: does not",
        "link.py: is a link",
        "root: is a link",
        "000.json: is a",
    ):
        assert any(expected in sentence for sentence in found), (expected, found)
    assert any("bad ::set-env.py" in sentence for sentence in found)
    assert len(found) == 8


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "comes without the method's file"),
        (b"other", "another file than methods/mine.py"),
        (b"\xff\xfe", "is not a text file"),
        (b"x" * (MAX_METHOD_BYTES + 1), "is larger than"),
    ],
)
def test_the_methods_file_is_the_one_that_was_run(row, accepted, tmp_path, source, says):
    refused(write_submission(tmp_path / "s", row, source), accepted, says)


def test_a_file_without_records_and_one_with_a_suites_name_are_refused(submission, accepted):
    (submission / "methods" / "other.py").write_text("x")
    (submission / "methods" / "uno.py").write_text("x")
    found = refused(submission, accepted, "methods/other.py: is the file of a method that no record is of")
    assert any("uno.py: has the name of a method of the suite" in sentence for sentence in found)


def test_a_row_of_the_suites_own_method_under_new_settings_needs_no_file(accepted, tmp_path):
    records = [
        mine(
            record,
            method__name="uno",
            method__role="method",
            method__source_sha256=as_of_now(record).method.source_sha256,
            method__config={**record.method.config, "lr": 0.002},
            method__config_passed={**record.method.config_passed, "lr": 0.002},
        )
        for record in committed("digits-vae", "uno")
    ]
    assert sentences(write_submission(tmp_path / "s", records, None), accepted) == []
    lying = [with_changes(record, method__config={**record.method.config, "lr": 0.003}) for record in records]
    refused(write_submission(tmp_path / "t", lying, None), accepted, "a configuration that the method does not have")


def test_copies_and_second_runs_are_found(row, accepted, tmp_path):
    copied = [
        with_changes(record, method__name="mine", method__source_sha256=row[0].method.source_sha256)
        for record in committed("digits-vae", "uno")
    ]
    refused(write_submission(tmp_path / "a", copied), accepted, "step by step; it is a copy")
    second = with_changes(row[0], method__config={**row[0].method.config, "hidden": 1})
    refused(write_submission(tmp_path / "b", [*row, second]), accepted, "is a second run of seed 0 of mine")


def test_a_board_without_its_reference_rows_is_refused(row, accepted, tmp_path):
    elsewhere = [with_changes(record, device__name="My CPU") for record in row]
    assert sentences(write_submission(tmp_path / "s", elsewhere), accepted) == []
    found = refused(tmp_path / "s", None, "without the seeds 0, 1 of original")
    assert any("unlearnbench run digits-vae oracle --seeds 0,1 --set forget_class=8" in sentence for sentence in found)


@pytest.fixture
def whole(accepted, submission, tmp_path):
    """All accepted records with the submission among them, as a pull request has them."""
    folder = shutil.copytree(accepted, tmp_path / "whole")
    return shutil.copytree(submission, folder, dirs_exist_ok=True)


def test_against_a_base_only_what_is_new_is_checked(whole, accepted):
    found = validate(whole, accepted, whole=True)
    assert (found.problems, found.new) == ([], 6)


def test_others_rows_stay_as_they_are(whole, accepted, row):
    removed, changed = sorted(whole.glob("digits-vae/ascent/*.json"))[:2]
    removed.unlink()
    changed.write_bytes(changed.read_bytes().replace(b'"cores": ', b'"cores": 1'))
    found = refused(whole, accepted, "the submission removes it", whole=True)
    assert any("the submission changes it" in sentence for sentence in found)


def test_a_maintainer_lets_an_author_replace_rows_of_their_own(whole, row, tmp_path):
    after = shutil.copytree(whole, tmp_path / "after")
    shutil.rmtree(after / "digits-vae" / "mine")
    newer = b'"""Mine, mended."""\n'
    records = [with_changes(record, method__source_sha256=hashlib.sha256(newer).hexdigest()) for record in row]
    write_submission(after, records, newer)
    refused(after, whole, "methods/mine.py: is accepted already, and the submission changes it", whole=True)
    assert sentences(after, whole, whole=True, own=["mine"]) == []


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.handlers = set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add((tag, dict(attributes).get("src")) if tag in ("script", "img") else (tag, None))
        self.handlers += [name for name, _ in attributes if name.startswith("on")]


HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'`</title></style><!--"


def test_nothing_of_a_hostile_record_reaches_the_page_as_markup(row, accepted, tmp_path):
    """Even of records that validation would refuse."""
    places = ["device__name", "reason", "provenance__python", "provenance__suite_version", "method__distribution"]
    changes = {place: HOSTILE for place in places if place != "device__name"}
    changes |= {"metrics__0__identity__protocol": HOSTILE}
    changes |= {"provenance__packages": {HOSTILE: HOSTILE}, "gallery__rows": [HOSTILE] * len(row[0].gallery.rows)}
    changes |= {"method__config": {HOSTILE: HOSTILE}, "method__config_passed": {HOSTILE: HOSTILE}}
    changes |= {"task__config": {HOSTILE: HOSTILE}}
    records = [with_changes(record, **changes) for record in row]
    failed = with_changes(row[0], **changes, status="failed", metrics=[], device__name=HOSTILE, seed=5)
    task = with_changes(row[0], task__config_passed={HOSTILE: HOSTILE}, task__sha256="5" * 64)
    for record in [*records, failed, task]:
        write_record(tmp_path / "hostile", record)
    site = build_board([accepted, tmp_path / "hostile"], tmp_path / "site").page.parent
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 5
    seen = 0
    for page in pages:
        text = page.read_text()
        seen += "alert(1)" in text
        parser = Text()
        parser.feed(text)
        assert parser.handlers == []
        assert "{{ 7*7 }}" in text or "7*7" not in text
        for tag, source in parser.tags:
            assert tag != "script" or (source and (page.parent / source).resolve().is_relative_to(site.resolve()))
            assert tag != "img" or source.removeprefix("../").startswith(("samples/", "forgetting.png"))
    assert seen >= 3
    assert all(path.resolve().is_relative_to(site.resolve()) for path in site.rglob("*"))


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([HOSTILE, "../../x", "NaN", [], {}, [[]], "\x00", "9" * 400]),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_one_field_becomes_it_passes_whole_or_is_refused_in_one_line(row, accepted, tmp_path_factory, data):
    raw = json.loads(record_bytes(row[0]))
    path = data.draw(st.sampled_from([path for path in leaves(raw) if path[:1] != ("gallery",)]))
    inner = raw
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = data.draw(ODD)
    folder = write_submission(tmp_path_factory.mktemp("fuzz"), row)
    (folder / row[0].filename).write_text(json.dumps(raw))
    for sentence in sentences(folder, accepted):
        assert sentence.isprintable()
        assert len(sentence) <= 401
    build_board([folder, accepted], folder.parent / "fuzz-site")


def test_a_number_that_is_a_text_of_digits_is_refused(row, accepted, tmp_path):
    raw = json.loads(record_bytes(row[0]))
    raw["metrics"][0]["n"] = "9" * 400
    folder = write_submission(tmp_path / "digits", row)
    (folder / row[0].filename).write_text(json.dumps(raw))
    (sentence,) = [found for found in sentences(folder, accepted) if "does not fit the record schema" in found]
    assert "at 'metrics.0.n' (Input should be a valid integer)" in sentence


def test_a_strangers_text_becomes_one_short_line():
    assert shown("a\n::error\x1b[31m\u202eb" + "c" * 1000).startswith("a ::error [31m b")
    assert len(shown("x" * 10_000)) == 401


def test_numbers_are_recomputed_whatever_became_of_the_methods_file(tmp_path):
    first, second = (as_of_now(record) for record in committed("digits-vae", "uno")[:2])
    old = with_changes(first, method__source_sha256="9" * 64)
    wrong = with_changes(second, metrics__0__value=0.7)
    found = validate(write_submission(tmp_path / "s", [old, wrong], None), ACCEPTED)
    assert [record.run_id for record in found.recomputed.values()] == [old.run_id]
    assert found.passed == {}
    assert [statement.run_id for statement in attest(found, "1.0").statements] == [old.run_id]


def test_settings_that_no_search_found_are_not_called_tuned(accepted, tmp_path):
    (first, *_) = committed("digits-vae", "uno")
    assert first.method.settings_from == "tuned"
    lying = with_changes(
        first, method__config={**first.method.config, "lr": 0.003}, method__config_passed={"lr": 0.003}
    )
    refused(write_submission(tmp_path / "s", [lying], None), accepted, "calls settings tuned which are not those")


def test_runs_of_a_row_say_one_thing_of_their_settings(row, accepted, tmp_path):
    first, *others = (with_changes(record, method__trials=16, method__settings_from="tuned") for record in row)
    claims = [with_changes(first, method__trials=2), *others]
    refused(write_submission(tmp_path / "claims", claims), accepted, "are tuned (16 trials) and tuned (2 trials)")


def test_another_folder_is_told_in_one_line_with_the_one_that_was_meant(submission, accepted):
    (found,) = sentences(submission.parent, accepted)
    assert found.endswith(f"no file is at TASK/METHOD/seedN-ID.json; did you mean {submission}?")


def test_what_a_row_lacks_is_not_said_of_one_with_a_broken_record(row, accepted, tmp_path):
    folder = write_submission(tmp_path / "broken", row)
    (folder / row[0].filename).write_text("{}")
    (found,) = sentences(folder, accepted)
    assert row[0].filename in found
