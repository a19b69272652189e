"""submit, validate and verify as a user calls them; badges."""

import json
import re
import shutil

import pytest

from helpers import ROOT, TOY, anchors, asked_for, between, make_record
from submissions import ACCEPTED, as_of_now, committed, mine, with_changes, write_submission
from unlearnbench.benchmark.records.record import Status, utc_now
from unlearnbench.benchmark.records.store import load_records, write_record
from unlearnbench.leaderboard.attestations import (
    Attestation,
    Attestations,
    Statement,
    digest,
    load_attestations,
    write_attestation,
)
from unlearnbench.leaderboard.boards import case_of, cases_text
from unlearnbench.leaderboard.rows import settings_origin
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.submission import pack
from unlearnbench.leaderboard.submission.requirements import incomplete
from unlearnbench.leaderboard.submission.verify import attest, compare

METHOD = '''"""Mine."""

from unlearnbench import Method


class Mine(Method):
    """Does nothing."""

    name = "mine"

    def unlearn(self, problem):
        """Does nothing."""
'''


@pytest.fixture
def finished(tmp_path):
    """A user's folder with a method's file and three finished runs of it."""
    (tmp_path / "mine.py").write_text(METHOD)
    rows = [
        mine(record, method__config={}, method__config_passed={}, method__source_sha256=source_hash(tmp_path))
        for record in committed("digits-vae", "uno")
    ]
    for record in rows:
        write_record(tmp_path / "results", record)
    return rows


def source_hash(folder):
    import hashlib

    return hashlib.sha256((folder / "mine.py").read_bytes()).hexdigest()


def submit(cli, *more):
    return cli("submit", "mine", "--plugin", "mine.py", *more)


def test_a_whole_method_is_packed_byte_for_byte_and_validates(cli, tmp_path, finished):
    done = submit(cli)
    assert done.returncode == 0, done.stderr
    assert "Next: unlearnbench validate submission" in done.stdout
    assert "Not run, though the method fits: digits-ddpm, digits-dit, digits-mae" in done.stdout
    packed = sorted(path for path in (tmp_path / "submission").rglob("*") if path.is_file())
    names = [path.relative_to(tmp_path / "submission").as_posix() for path in packed]
    assert names == [*sorted(record.filename for record in finished), "methods/mine.py"]
    for record in finished:
        assert (tmp_path / "submission" / record.filename).read_bytes() == (
            tmp_path / "results" / record.filename
        ).read_bytes()
    assert (tmp_path / "submission" / "methods" / "mine.py").read_text() == METHOD
    done = cli("validate", "submission")
    assert done.returncode == 0, done.stderr
    assert "6 records and 7 files were checked: nothing is wrong." in done.stdout
    done = submit(cli)
    assert done.returncode == 2
    assert "The folder submission is not empty" in done.stderr


def test_everything_missing_is_listed_at_once_and_nothing_is_written(cli, tmp_path, finished):
    shutil.rmtree(tmp_path / "results")
    first, second, *_ = finished
    write_record(tmp_path / "results", with_changes(first, provenance__git_dirty=True))
    write_record(tmp_path / "results", with_changes(second, method__source_sha256="0" * 64))
    write_record(tmp_path / "results", with_changes(second, method__source_sha256="0" * 64, seed=0))
    write_record(tmp_path / "results", with_changes(second, device__name="Another", method__config_passed={"x": 1}))
    done = submit(cli)
    assert done.returncode == 1
    for expected in (
        "the seeds 1 were run with another version of the method's file",
        "No embedded task is whole",
        "mine on digits-vae lacks the seeds 1, 2 of forget_class=0",
        "mine (x=1) on digits-vae lacks the seeds 0, 2 of forget_class=0",
        "was run from a clone with uncommitted changes",
    ):
        assert expected in done.stderr, done.stderr
    assert not (tmp_path / "submission").exists()
    assert "Traceback" not in done.stderr


def test_of_runs_by_default_and_tuned_ones_the_newer_kind_is_packed(cli, tmp_path, finished):
    searched = {"lr": 0.5}
    later = [
        with_changes(
            mine(record, method__config=searched, method__config_passed=searched),
            method__source_sha256=source_hash(tmp_path),
            created=utc_now(),
            method__settings_from="tuned",
            method__trials=2,
        )
        for record in committed("digits-vae", "uno")
    ]
    for record in later:
        write_record(tmp_path / "results", record)
    done = submit(cli)
    assert done.returncode == 0, done.stderr
    packed = load_records([tmp_path / "submission"]).records
    assert {record.run_id for record in packed} == {record.run_id for record in later}
    assert (
        f"Left out of mine on digits-vae: the seeds {cases_text(case_of(record) for record in finished)} with other settings "
        f"({settings_origin(finished[0])}) than those of its newest run (tuned (2 trials))."
    ) in " ".join(done.stdout.split())


def test_no_run_is_one_sentence(cli, tmp_path):
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "results").mkdir()
    done = submit(cli)
    assert done.returncode == 2
    assert "There is no run of 'mine' in results; make some with" in done.stderr


def test_a_failed_run_is_kept_as_it_is(cli, tmp_path, finished):
    failed = with_changes(finished[0], status="failed", reason="ValueError: no luck", metrics=[], gallery=None)
    write_record(tmp_path / "results", failed)
    assert submit(cli).returncode == 0
    assert [r.status for r in load_records([tmp_path / "submission"]).records].count(Status.FAILED) == 1


def test_reference_rows_that_the_board_lacks_go_along(cli, tmp_path, finished):
    shutil.rmtree(tmp_path / "results")
    references = map(as_of_now, committed("digits-vae", "original") + committed("digits-vae", "oracle"))
    for record in [*finished, *references]:
        write_record(tmp_path / "results", with_changes(record, device__name="My CPU"))
    # The board has them, from another device.
    assert "Packed 7 files" in submit(cli).stdout
    packed = pack.submit("mine", tmp_path / "results", tmp_path / "other", None, plugins=[tmp_path / "mine.py"])
    assert (packed.problems, len(packed.files)) == ([], 25)


def test_validate_prints_a_list_and_exits_with_one(cli, tmp_path, finished):
    write_submission(tmp_path / "s", [with_changes(finished[0], metrics__0__value=0.7)], METHOD.encode())
    done = cli("validate", "s")
    assert done.returncode == 1
    assert done.stderr.count("error:") >= 2
    assert "outside its own interval" in done.stderr
    done = cli("validate", "nowhere")
    assert done.returncode == 2
    assert "There is no folder nowhere to validate" in done.stderr


def test_seeds_of_any_device_count_and_mixed_sources_do_not():
    board = anchors()
    rows = [make_record("sfron", seed, between(0.9)) for seed in range(3)]
    assert incomplete(rows, board) == []
    other = rows[0].device.model_copy(update={"name": "Other"})
    mixed = [*rows[:2], make_record("sfron", 2, between(0.9), device=other)]
    assert incomplete(mixed, board) == []
    changed = rows[2].method.model_copy(update={"source_sha256": "9" * 64})
    two = [*rows[:2], rows[2].model_copy(update={"method": changed})]
    assert any("mixes 2 versions of the method's file" in sentence for sentence in incomplete(two, board))
    assert any("lacks the seed 2" in sentence for sentence in incomplete(rows[:2], board))
    assert incomplete(rows[2:], [*board, *rows[:2]]) == []


def test_two_seeds_of_every_request_are_enough_and_what_lacks_is_named():
    tasks = [asked_for(digit) for digit in (0, 3, 8)]
    board = [record for task in tasks for record in anchors((0, 1), task=task)]
    rows = [make_record("sfron", seed, between(0.9), task=task) for task in tasks for seed in (0, 1)]
    assert incomplete(rows, board) == []
    (sentence,) = incomplete(rows[:-1], board)
    assert sentence == (
        "sfron on digits-ddpm lacks the seed 2 of forget_class=3, or the seeds 0, 1 of each of "
        "forget_class=0; forget_class=3; forget_class=8."
    )
    third = make_record("sfron", 2, between(0.9), task=tasks[1])
    assert incomplete([*rows[2:4], third], [*board, *anchors((2,), task=tasks[1])]) == []
    (sentence,) = incomplete(rows, board[2:])
    command = "unlearnbench run digits-ddpm original --seeds 0,1 --set forget_class=0"
    assert f"without the seeds 0, 1 of original; run `{command}`" in sentence


def test_a_rerun_agrees_within_the_intervals_and_not_outside():
    record = make_record("sfron", 0, between(0.9))
    assert {item.verdict for item in compare(record, record)} == {"same"}
    near = make_record("sfron", 0, between(0.9, coverage=0.905))
    assert [item.name for item in compare(record, near) if item.verdict == "inside"] == ["coverage resnet"]
    far = make_record("sfron", 0, between(0.9, coverage=0.95))
    found = attest(record, far, compare(record, far)).statements[0]
    assert (found.agrees, found.differs, found.compared) == (False, ["coverage resnet"], 15)
    failed = make_record("sfron", 0, status=Status.FAILED, reason="x")
    assert [item.verdict for item in compare(record, failed)] == ["differs"]
    assert [item.verdict for item in compare(failed, failed)] == ["same"]


def test_a_number_without_an_interval_is_judged_on_the_same_machine_alone():
    record = make_record("sfron", 0, between(0.9))
    bare = [metric.model_copy(update={"ci_low": None, "ci_high": None}) for metric in record.metrics]
    record = record.model_copy(update={"metrics": bare})
    other = [metric.model_copy(update={"value": metric.value + 0.1}) for metric in bare]
    again = record.model_copy(update={"metrics": other})
    assert {item.verdict for item in compare(record, again)} == {"differs", "same"}
    elsewhere = again.model_copy(update={"device": again.device.model_copy(update={"name": "Other"})})
    assert {item.verdict for item in compare(record, elsewhere)} == {"not judged", "same"}


def statement(record, agrees=True):
    differs = [] if agrees else ["coverage"]
    return Statement(run_id=record.run_id, sha256=digest(record), agrees=agrees, compared=7, differs=differs)


def said(kind, records, agrees=True):
    return Attestation(
        kind=kind,
        created="2026-01-02T00:00:00Z",
        suite_version="0.1.0",
        statements=[statement(record, agrees) for record in records],
    )


def test_a_badge_says_the_most_that_was_checked_and_for_how_many_seeds():
    rows = [make_record("sfron", seed, between(0.9)) for seed in range(3)]
    assert Attestations().badge(rows).text == "self-reported"
    recomputed = said("recomputed", rows)
    assert Attestations([recomputed]).badge(rows).text == "recomputed"
    assert Attestations([recomputed, said("rerun", rows[:1])]).badge(rows).text == "rerun 1/3"
    assert Attestations([recomputed, said("rerun", rows)]).badge(rows).text == "rerun"
    disputed = Attestations([said("rerun", rows[:1], agrees=False), recomputed]).badge(rows)
    assert (disputed.kind, "coverage" in disputed.title) == ("disputed", True)


def test_a_record_that_changes_loses_what_was_said_of_it():
    record = make_record("sfron", 0, between(0.9))
    known = Attestations([said("rerun", [record])])
    assert known.badge([record]).kind == "rerun"
    assert known.badge([make_record("sfron", 0, between(0.8))]).kind == "self-reported"


def test_badges_stand_on_the_board_and_attestations_do_not_break_it(tmp_path):
    rows = [make_record("sfron", seed, between(0.9)) for seed in range(3)]
    for record in [*anchors(), *rows]:
        write_record(tmp_path / "results", record)
    write_attestation(tmp_path / "said" / "a.json", said("rerun", rows))
    write_attestation(tmp_path / "said" / "b.json", said("recomputed", anchors()))
    (tmp_path / "said" / "broken.json").write_text("{<script>")
    built = build_board([tmp_path / "results"], tmp_path / "site", [tmp_path / "said", tmp_path / "missing"])
    assert len(built.problems) == 1
    assert "broken.json is no attestation" in built.problems[0]
    text = (built.page.parent / "tasks" / "digits-ddpm.html").read_text()
    cells = {name: line for name in ("sfron", "original") for line in text.splitlines() if f">{name}</a>" in line}
    assert 'class="badge trust rerun" title="Run again' in cells["sfron"]
    assert 'class="badge trust recomputed"' in cells["original"]
    page = next(built.page.parent.glob("rows/*-sfron.html")).read_text()
    assert "every number fell into its stored interval: 3 of 3 seeds" in page
    rows = json.loads((built.page.parent / "board.json").read_text())
    assert {row["method"]: row["checked"] for row in rows}["sfron"] == "rerun"


def test_the_committed_attestations_are_readable():
    _, problems = load_attestations([ROOT / "leaderboard" / "verifications"])
    assert problems == []


@pytest.mark.slow
def test_verify_runs_a_record_again(cli, tmp_path):
    done = cli("run", "toy", "toy-good", "--plugin", TOY, "--set", "steps=5")
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "results").rglob("*.json")
    done = cli("verify", record, "--plugin", TOY)
    assert done.returncode == 0, done.stdout + done.stderr
    same = re.search(r"(\d+) numbers are the same, 0 within their stored intervals, 0 outside, 0 without", done.stdout)
    assert same
    assert int(same[1]) >= len(json.loads(record.read_text())["metrics"])
    assert "The record agrees." in done.stdout
    (attestation,) = (tmp_path / "verifications").glob("*.json")
    assert Attestation.model_validate_json(attestation.read_text()).kind == "rerun"
    done = cli("board", "--no-committed")
    assert 'class="badge trust rerun"' in (tmp_path / "site" / "tasks" / "toy.html").read_text()
    lying = json.loads(record.read_text())
    for metric in lying["metrics"]:
        metric |= {"value": metric["value"] + 0.5, "ci_low": metric["value"] + 0.4, "ci_high": metric["value"] + 0.6}
    (tmp_path / "lying.json").write_text(json.dumps(lying))
    done = cli("verify", "lying.json", "--plugin", TOY, "--out", "other")
    assert done.returncode == 1
    assert done.stdout.count("differs: ") == 10
    assert "The record does not agree." in done.stdout


def test_verify_refuses_what_it_cannot_run_again(cli, tmp_path):
    source = sorted((ACCEPTED / "digits-vae" / "uno").glob("*.json"))[0]
    record = committed("digits-vae", "uno")[0]
    cases = [
        (mine(record), "The method 'mine' is not part of the suite; give its file with --plugin FILE."),
        (with_changes(record, method__source_sha256="1" * 64), "another version of the method 'uno'"),
        (as_of_now(record, task__sha256="1" * 64), "another version of the task 'digits-vae'"),
    ]
    assert source.is_file()
    for number, (changed, says) in enumerate(cases):
        path = write_record(tmp_path / str(number), changed)
        done = cli("verify", path)
        assert done.returncode == 2, done.stdout
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    done = cli("verify", "nothing.json")
    assert done.returncode == 2
    assert "There is no record nothing.json" in done.stderr
