"""Earlier versions of the boards, and the page of data that shows them."""

import csv
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import anchors, between, make_record
from test_site import check
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard import versions
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.versions import MOVED, KeptRow, Version, differences, kept_rows, load_versions


def row(method, score, task="digits-ddpm", settings=""):
    return KeptRow(
        task=task,
        track="forgetting",
        method=method,
        settings=settings,
        role="method",
        rank=1,
        score=score,
        ci_low=None,
        ci_high=None,
    )


def kept(*rows, name="first", day="2026-01-02"):
    return Version(name=name, day=day, rules="By other rules.", rows=list(rows))


def test_rows_come_go_move_and_stay():
    then = kept(row("gone", 0.5), row("moved", 0.2), row("more", 0.1), row("same", 0.4), row("tuned", 0.3))
    now = [row("moved", 0.3), row("more", 0.9), row("same", 0.41), row("new", 0.7), row("tuned", 0.3, settings="lr=1")]
    (found,) = differences(then, now)
    assert [one.method for one in found.moved] == ["more", "moved"]
    assert [one.method for one in found.went] == ["gone", "tuned"]
    assert [(one.method, one.settings) for one in found.came] == [("new", ""), ("tuned", "lr=1")]
    assert found.same == 1


rows = st.lists(
    st.builds(
        row,
        st.sampled_from("abcd"),
        st.none() | st.floats(0, 1),
        st.sampled_from(("digits-dit", "digits-ddpm")),
        st.sampled_from(("", "lr=1")),
    ),
    unique_by=lambda one: (one.task, one.method, one.settings),
)


@given(rows, rows)
def test_every_row_is_counted_once(then, now):
    found = differences(kept(*then), now)
    assert sum(len(one.went) + len(one.moved) + one.same for one in found) == len(then)
    assert sum(len(one.came) + len(one.moved) + one.same for one in found) == len(now)
    assert all(change.moved >= MOVED for one in found for change in one.moved)
    assert all(not one.came and not one.went and not one.moved for one in differences(kept(*then), then))


def test_the_readers_own_rows_are_no_part_of_a_version():
    mine, theirs = make_record("sfron", 0, between(0.5)), make_record("salun", 0, between(0.6))
    boards = rank_all([*anchors(), mine, theirs], own={mine.run_id})
    assert {one.method for one in kept_rows(boards)} == {"original", "oracle", "salun"}


def test_those_that_ship_are_readable_and_the_newest_comes_first():
    found = load_versions()
    assert len(found) >= 1
    assert [one.day for one in found] == sorted((one.day for one in found), reverse=True)
    for version in found:
        assert len({(one.task, one.track, one.method, one.settings) for one in version.rows}) == len(version.rows)


def test_a_file_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"x\.json is no version of the boards: Field required\."):
        load_versions(tmp_path)


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "first.json").write_text(kept(row("sfron", 0.1), row("gone", 0.5)).model_dump_json())
    monkeypatch.setattr(versions.load_versions, "__defaults__", (folder,))
    for record in [*anchors(), make_record("sfron", 0, between(0.9))]:
        write_record(tmp_path / "results", record)
    return build_board([tmp_path / "results"], tmp_path / "site").page.parent


def test_the_page_says_what_each_column_holds_and_what_became_of_the_boards(site):
    text = (site / "data.html").read_text()
    header = next(csv.reader((site / "board.csv").read_text().splitlines()))
    explained = re.findall(r'<th scope="row"><code>(\w+(?: \w+)*)</code></th><td>([^<]+)</td>', text)
    # What is checked of a row stands beside the columns that it has of its own.
    assert {name for name, _ in explained} == set(header) - {"checked"}
    assert all(len(hint) > 3 for _, hint in explained)
    assert "By other rules." in text
    assert re.search(r"sfron .*0\.10.*0\.\d\d", text, flags=re.S)
    assert Version.model_validate_json((site / "versions" / "first.json").read_text()).name == "first"
    assert check(site / "data.html").open == []


def test_parquet_holds_what_json_holds(site):
    import pyarrow.parquet as pq

    plain = json.loads((site / "board.json").read_text())
    table = pq.read_table(site / "board.parquet").to_pylist()
    assert table == [{key: one.get(key) for key in table[0]} for one in plain]
    assert (
        pq.read_table(site / "requests.parquet").num_rows == len((site / "requests.csv").read_text().splitlines()) - 1
    )
