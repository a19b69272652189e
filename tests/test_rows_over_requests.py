"""Boards over requests, seeds and devices: what stands together, what is scored by what, whose rows are whose."""

import csv
import json
import re

import numpy as np
import pytest

from helpers import GOOD, TASK, UNTOUCHED, anchors, asked_for, between, make_record
from unlearnbench.benchmark.metrics.intervals import student
from unlearnbench.benchmark.records.record import Device, Status
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard.by_request import by_request
from unlearnbench.leaderboard.columns import Where, columns_of, rank_text
from unlearnbench.leaderboard.ranking import load_boards, rank_all
from unlearnbench.leaderboard.rows import left_out
from unlearnbench.leaderboard.site.build import build_board

ELSEWHERE = Device(kind="cpu", name="Other CPU", threads=1)
TASKS = [asked_for(digit) for digit in (0, 3, 8)]


def references(tasks=TASKS, seeds=(0, 1), **changes):
    return [record for task in tasks for record in anchors(seeds, task=task, **changes)]


def over(method, shares, tasks=TASKS, **changes):
    """Runs of a method, request by request and seed by seed."""
    return [
        make_record(method, seed, between(share), task=task, **changes)
        for task, row in zip(tasks, shares, strict=False)
        for seed, share in enumerate(row)
    ]


def row(records, name, own=()):
    (board,) = rank_all(records, own)
    (found,) = [row for row in board.rows if row.name == name]
    return found


def test_a_row_is_the_mean_over_requests_and_seeds_with_students_interval():
    shares = [(0.9, 0.8), (0.5, 0.6), (0.7, 0.4)]
    records = [*references(), *over("a", shares)]
    found = row(records, "a")
    flat = [share for pair in shares for share in pair]
    assert found.score == pytest.approx(np.mean(flat))
    assert found.interval == pytest.approx(student(flat))
    assert [(case.request, case.seed) for case in found.cases] == [
        (f"forget_class={digit}", seed) for digit in (0, 3, 8) for seed in (0, 1)
    ]


def test_every_request_has_reference_rows_of_its_own():
    harder = {**GOOD, "forget_gap": 0.06}
    tasks = [asked_for(3), asked_for(8)]
    records = [*anchors((0,), task=tasks[0]), make_record("original", 0, UNTOUCHED, task=tasks[1])]
    records.append(make_record("oracle", 0, harder, task=tasks[1]))
    records += [make_record("a", 0, GOOD, task=task) for task in tasks]
    assert [run.components["unasked"] for run in row(records, "a").runs] == pytest.approx([1.0, 0.5])


def test_a_request_without_references_leaves_its_runs_unscored_and_names_the_command():
    records = [*references(TASKS[:2]), *over("a", [(0.9, 0.9), (0.7, 0.7), (0.1, 0.1)])]
    records.append(make_record("b", 0, task=TASKS[2], status=Status.FAILED, reason="x"))
    (board,) = rank_all(records)
    (note,) = board.notes
    assert note.startswith("No scores of forget_class=8: the reference rows are missing")
    assert "`unlearnbench run digits-ddpm oracle --set forget_class=8`" in note
    found = {row.name: row for row in board.rows}
    assert found["a"].score == pytest.approx(0.8)
    assert [record.seed for record in found["a"].unscored] == [0, 1]
    assert "forget_class=8 have no score" in found["a"].notes[0]
    assert (found["b"].score, found["b"].rank) == (None, None)


def test_a_row_that_lacks_a_request_says_so():
    records = [*references(), *over("a", [(0.9, 0.7), (0.6, 0.9)]), *over("b", [(0.7, 0.8)] * 3)]
    (board,) = rank_all(records)
    found = {row.name: row for row in board.rows}
    assert found["a"].lacking == ["forget_class=8"]
    assert found["a"].notes == ["It was not run with forget_class=8, as other rows were."]
    (runs,) = [column for column in columns_of(board, Where.SITE) if column.key == "runs"]
    assert (runs.text(found["a"]), runs.text(found["b"])) == ("2 of 3 × 2", "3 × 2")
    assert board.extent == "3 requests, up to 2 seeds"
    assert (rank_text(found["a"]), rank_text(found["b"])) == ("1–2", "1 (1–2)")


def test_a_row_that_lacks_a_request_says_so_beside_its_name(tmp_path):
    for record in [*references(), *over("a", [(0.9, 0.7)]), *over("b", [(0.7, 0.8)] * 3)]:
        write_record(tmp_path / "shipped", record)
    built = build_board([tmp_path / "shipped"], tmp_path / "site", shipped=tmp_path / "shipped")
    page = (built.page.parent / "tasks" / "digits-ddpm.html").read_text()
    assert 'title="Not run with forget_class=3; forget_class=8, as other rows were">1 of 3 requests</span>' in page


def test_a_failed_run_counts_zero_on_its_request():
    records = [*references(), *over("a", [(0.9, 0.9), (0.9, 0.9), (0.9,)])]
    records.append(make_record("a", 1, task=TASKS[2], status=Status.DIVERGED, reason="NaN"))
    (board,) = rank_all(records)
    parts = by_request(board, row(records, "a"))
    assert [(part.request, part.seeds, part.failed) for part in parts] == [
        ("forget_class=0", [0, 1], 0),
        ("forget_class=3", [0, 1], 0),
        ("forget_class=8", [0, 1], 1),
    ]
    assert [part.score for part in parts] == pytest.approx([0.9, 0.9, 0.45])
    assert parts[2].components["asked"] == pytest.approx(0.9)


def test_records_of_earlier_releases_join_the_board_of_their_tasks_hash():
    old = TASK.model_copy(update={"sha256": TASKS[1].sha256})
    records = [*references(), *over("a", [(0.9,), (), (0.7,)]), make_record("a", 1, between(0.5), task=old)]
    assert row(records, "a").score == pytest.approx(0.7)


def test_the_newest_record_of_a_hash_says_whose_board_it_is():
    told_apart = [
        task.model_copy(update={"shared_sha256": str(index) * 64}) for index, task in enumerate(TASKS, start=1)
    ]
    earlier = references(told_apart)
    assert len(rank_all(earlier)) == 3
    later = over("a", [(0.9, 0.9)] * 3, created="2026-05-01T00:00:00Z")
    (board,) = rank_all([*later, *earlier])
    assert len(board.requests) == 3


def test_earlier_records_of_several_requests_make_one_board_without_the_request_in_its_title():
    seven = TASK.model_copy(
        update={"config": {"forget_class": 7}, "config_passed": {"forget_class": 7}, "sha256": "7" * 64}
    )
    (board,) = rank_all([*references([TASK, seven]), *over("a", [(0.9, 0.9), (0.7, 0.7)], [TASK, seven])])
    assert (board.task_config, board.requests) == ("", ["forget_class=3", "forget_class=7"])


def test_other_settings_versions_and_protocols_are_boards_of_their_own_the_newest_first():
    other = TASK.model_copy(
        update={"config": {"forget_class": 3, "size": 2}, "config_passed": {"size": 2}, "sha256": "6" * 64}
    )
    again = TASK.model_copy(update={"sha256": "7" * 64})
    later = TASK.model_copy(update={"sha256": "8" * 64, "version": 2})
    records = [*anchors(), *anchors(task=other), *anchors(task=again, created="2026-03-01T00:00:00Z")]
    records += anchors(task=later, created="2026-02-01T00:00:00Z")
    boards = [(board.task_config, board.task_sha256[0]) for board in rank_all(records)]
    assert boards == [("", "7"), ("", "8"), ("", "1"), ("size=2", "6")]
    assert rank_all(records) == rank_all(records[::-1])


def test_tuned_rows_have_the_methods_name_alone_and_say_how_they_were_tuned():
    def told(method, origin, trials=None, passed=None):
        record = make_record(method, 0, between(0.5), passed=passed or {})
        made = record.method.model_copy(update={"settings_from": origin, "trials": trials})
        return record.model_copy(update={"method": made})

    records = [
        *anchors((0,)),
        told("a", "tuned", 16, {"lr": 0.1}),
        told("b", "paper"),
        told("c", "set", None, {"lr": 0.1}),
        told("d", None, None, {"lr": 0.1}),
        told("e", None),
    ]
    (board,) = rank_all(records)
    assert {row.name: row.settings for row in board.rows if row.role == "method"} == {
        "a": "tuned (16 trials)",
        "b": "paper's",
        "c (lr=0.1)": "set by hand",
        "d (lr=0.1)": "set by hand",
        "e": "defaults of then",
    }


# Rows of one's own.


def shipped_and_mine():
    shipped = [*references(), *over("a", [(0.9, 0.9)] * 3)]
    mine = [
        make_record(
            record.method.name,
            record.seed,
            between(0.5) if record.method.name == "a" else {**UNTOUCHED, "forget_gap": 0.02},
            task=record.task,
            device=ELSEWHERE,
            created="2026-03-01T00:00:00Z",
        )
        for record in shipped
        if record.method.name in ("a", "original")
    ]
    return shipped, mine


def test_the_readers_rows_stand_beside_the_shipped_ones_and_change_none_of_them():
    shipped, mine = shipped_and_mine()
    own = {record.run_id for record in mine}
    (board,) = rank_all([*shipped, *mine], own)
    found = {row.name: row for row in board.rows}
    assert set(found) == {"original", "oracle", "a", "original (yours)", "a (yours)"}
    assert [found[name].own for name in ("a", "a (yours)")] == [False, True]
    assert found["a"].score == row(shipped, "a").score == pytest.approx(0.9)
    assert found["a (yours)"].score == pytest.approx(0.5)  # by the shipped original


def test_own_references_serve_where_no_shipped_ones_are():
    seven = asked_for(7)
    shipped, _ = shipped_and_mine()
    mine = [
        *anchors((0,), task=seven, device=ELSEWHERE),
        make_record("a", 0, between(0.6), task=seven, device=ELSEWHERE),
    ]
    (board,) = rank_all([*shipped, *mine], {record.run_id for record in mine})
    found = {row.name: row for row in board.rows}
    assert found["a (yours)"].score == pytest.approx(0.6)
    assert board.requests == ["forget_class=0", "forget_class=3", "forget_class=8"]
    assert found["a"].lacking == []
    assert len(found["a (yours)"].lacking) == 3


def test_where_nothing_ships_no_row_is_marked():
    shipped, _ = shipped_and_mine()
    (board,) = rank_all(shipped, {record.run_id for record in shipped})
    assert {row.name for row in board.rows} == {"original", "oracle", "a"}
    assert not any(row.own for row in board.rows)


def test_a_run_made_again_on_an_equal_machine_takes_nothing_from_the_shipped_row(tmp_path):
    shipped, _ = shipped_and_mine()
    again = [record for record in shipped if record.method.name == "a"][:2]
    mine = [record.model_copy(update={"created": "2026-03-01T00:00:00Z"}) for record in again]
    for folder, records in (("shipped", shipped), ("mine", [*mine, shipped[0]])):
        for record in records:
            write_record(tmp_path / folder, record)
    loaded = load_boards([tmp_path / "shipped", tmp_path / "mine"], tmp_path / "shipped")
    assert loaded.own == {record.run_id for record in again}
    assert loaded.new == loaded.own | {shipped[0].run_id}
    (board,) = rank_all(loaded.records, loaded.own)
    assert {row.name: len(row.cases) for row in board.rows} == {"original": 6, "oracle": 6, "a": 6, "a (yours)": 2}
    assert left_out(loaded.records, loaded.own) == []


def test_the_site_marks_own_rows_and_shows_each_request_apart(tmp_path):
    shipped, mine = shipped_and_mine()
    for folder, records in (("shipped", shipped), ("mine", mine)):
        for record in records:
            write_record(tmp_path / folder, record)
    folders = [tmp_path / "shipped", tmp_path / "mine"]
    built = build_board(folders, tmp_path / "site", shipped=tmp_path / "shipped")
    text = (built.page.parent / "tasks" / "digits-ddpm.html").read_text()
    assert text.count('<span class="badge own">yours</span>') == 3  # two rows and the legend
    page = next(built.page.parent.glob("rows/*-a-yours.html")).read_text()
    assert "<h2>Request by request</h2>" in page
    assert re.findall(r'<th scope="row">(forget_class=\d)</th>', page) == [
        f"forget_class={digit}" for digit in (0, 3, 8)
    ]
    assert "Forget_class=8, seed 1" in page or "forget_class=8, seed 1" in page
    rows = {(one["method"], one["own"]): one for one in json.loads((built.page.parent / "board.json").read_text())}
    assert [part["score"] for part in rows["a", 1]["by_request"]] == pytest.approx([0.5] * 3)
    with (built.page.parent / "requests.csv").open() as file:
        parts = [one for one in csv.DictReader(file) if one["method"] == "a" and one["own"] == "0"]
    assert [(one["request"], one["seeds"]) for one in parts] == [(f"forget_class={digit}", "2") for digit in (0, 3, 8)]
    assert "How much hangs on one seed or one request" in (built.page.parent / "rules.html").read_text()
