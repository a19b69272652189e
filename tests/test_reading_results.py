"""Folders of records as users keep and name them: what is read, printed, and said of the rest; and that nothing is lost."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import unlearnbench as ub
from helpers import GOOD, ROOT, TOY, UNTOUCHED, anchors, make_record, write_plugin
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records import places
from unlearnbench.benchmark.records.files import files_below
from unlearnbench.benchmark.records.store import load_records, read_record, write_record
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.benchmark.running.requests import load_suite

# Writer and reader see the same files.


def test_records_behind_a_link_are_read_and_a_loop_ends(tmp_path):
    elsewhere, results = tmp_path / "elsewhere", tmp_path / "results"
    written = write_record(elsewhere, make_record("sfron"))
    (results / "digits-ddpm").mkdir(parents=True)
    (results / "digits-ddpm" / "sfron").symlink_to(written.parent)
    (results / "digits-ddpm" / "above").symlink_to(results)
    assert [record.method.name for record in load_records([results]).records] == ["sfron"]
    assert files_below(results, ".json") == [results / "digits-ddpm" / "sfron" / written.name]


def test_a_link_that_leads_nowhere_is_told_of(tmp_path):
    (tmp_path / "gone.json").symlink_to(tmp_path / "nothing")
    assert "gone.json" in load_records([tmp_path]).problems[0]


def test_within_a_folder_the_newest_record_of_a_run_counts(tmp_path, cli):
    old = make_record("sfron", values=UNTOUCHED, created="2026-01-01T00:00:00Z")
    new = old.model_copy(
        update={"created": "2026-01-02T00:00:00Z", "metrics": make_record("sfron", values=GOOD).metrics}
    )
    write_record(tmp_path / "results", new)
    copied = write_record(tmp_path / "results" / "old", old)
    loaded = load_records([tmp_path / "results"])
    assert loaded.records == [new]
    assert str(copied) in loaded.notes[0]
    for record in anchors((0,)):
        write_record(tmp_path / "results", record)
    done = cli("board", "--no-committed")
    assert done.returncode == 0
    assert "note: results/old/" in done.stderr


# What a user named, printed.


def test_names_with_brackets_are_printed_as_they_are(cli, tmp_path):
    for name in ("runs[old]", "x[/y]", "[bold]", "a b%s"):
        for record in [*anchors((0,)), make_record("sfron")]:
            write_record(tmp_path / name, record)
        done = cli("board", "--no-committed", "--results", name, "--out", f"site {name}")
        assert done.returncode == 0, done.stderr
        assert f"The board is at site {name}/index.html" in done.stdout
        done = cli("compare", "sfron", "original", "--no-committed", "--results", name)
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_terminal_without_a_dash_shows_something_else(tmp_path):
    for record in [*anchors((0,)), make_record("sfron")]:
        write_record(tmp_path / "results", record)
    done = subprocess.run(
        [sys.executable, "-m", "unlearnbench", "board", "--no-committed"],
        cwd=tmp_path,
        capture_output=True,
        timeout=240,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert done.returncode == 0, done.stderr.decode("latin-1")


def test_a_name_that_is_no_text_is_one_sentence(tmp_path):
    with pytest.raises(BenchmarkError, match="is no text in UTF-8; rename it"):
        ub.run("toy", "toy-good", results=os.fsdecode(b"runs-\xff"), plugins=[TOY])


def test_texts_with_a_byte_order_mark_are_read(tmp_path):
    suite = tmp_path / "s.toml"
    suite.write_text('﻿description = "x"\n[[runs]]\ntasks = ["toy"]\nmethods = ["a"]\nseeds = [0]\n')
    assert len(load_suite(str(suite)).requests()) == 1
    file = write_plugin(tmp_path / "p.py", name="marked")
    file.write_text("﻿" + file.read_text())
    assert not [one for one in ub.check(file).failures if "ended" in one]


def test_a_suite_with_nothing_to_run_says_so(tmp_path, cli):
    (tmp_path / "s.toml").write_text('description = "x"\nruns = []\n')
    done = cli("suite", "s.toml")
    assert done.returncode == 2
    assert "The suite s.toml has nothing to run" in done.stderr


# What a first user misses.


def test_a_board_without_results_of_ones_own_says_so(cli):
    done = cli("board")
    assert done.returncode == 0
    assert "There is no folder 'results' here" in done.stderr


def test_the_terminal_shows_the_boards_of_what_was_just_run(tmp_path, cli):
    record = read_record(sorted((ROOT / "leaderboard" / "results" / "digits-vae" / "uno").glob("*.json"))[0])
    write_record(tmp_path / "results", record)
    done = cli("board", "--full")
    assert done.returncode == 0
    assert "digits-vae · forgetting" in done.stdout
    assert "digits-mae" not in done.stdout
    assert re.search(r"\d+ more boards, with none of these runs, are on the page", done.stdout)


def test_seeds_of_an_older_file_are_not_left_out_in_silence(tmp_path, cli):
    older = [make_record("mine", seed, UNTOUCHED) for seed in range(3)]
    newer = make_record("mine", 0, GOOD, created="2026-02-01T00:00:00Z")
    method = newer.method.model_copy(update={"source_sha256": "9" * 64})
    newer = newer.model_copy(update={"method": method, "run_id": "9" * 64})
    for record in [*anchors((0,)), *older, newer]:
        write_record(tmp_path / "results", record)
    said = "mine on digits-ddpm was run with an older version of its file"
    for words in (("board",), ("compare", "mine", "original")):
        done = cli(*words, "--no-committed")
        assert said in done.stderr, done.stdout + done.stderr


def test_doctor_says_what_the_hub_would_have_to_give(monkeypatch):
    monkeypatch.delenv(places.DATA, raising=False)
    monkeypatch.setenv(places.OFFLINE, "0")
    assert make_task("mnist-vae", {}).fetched() == ["ylecun/mnist"]
    assert make_task("digits-vae", {}).fetched() == []


@pytest.mark.slow
def test_an_honest_method_passes_its_check_on_a_plugins_task(tmp_path, cli):
    text = """
    from unlearnbench import Method, Need

    class Honest(Method):
        name = "honest"
        needs = frozenset({{Need.RETAIN}})
        steps: int = 2

        def unlearn(self, problem):
            import torch

            optimizer = torch.optim.SGD(problem.model.parameters(), lr=1e-3)
            for _, forget, retain in problem.steps(self.steps):
                optimizer.zero_grad()
                problem.loss(retain).mean().backward()
                optimizer.step()
    """
    done = cli("check", write_plugin(tmp_path / "honest.py", text), "--task", "toy", "--plugin", TOY)
    assert done.returncode == 0, done.stdout
    assert "It keeps the contract" in done.stdout


def test_eighty_columns_break_no_word(tmp_path, cli):
    for record in [*anchors((0,)), make_record("gradient-surgery"), make_record("selective-amnesia")]:
        write_record(tmp_path / "results", record)
    done = cli("compare", "gradient-surgery", "selective-amnesia", "--no-committed", env={"COLUMNS": "80"})
    shown = done.stdout.partition("Differences are")[0]
    for word in ("gradient", "surgery", "selective", "amnesia", "verdict", "score", "seed"):
        assert re.search(rf"\b{word}", shown), shown
    done = cli("board", "--no-committed", env={"COLUMNS": "80"})
    assert "gradient-surgery" in done.stdout
    assert "selective-amnesia" in done.stdout


# Nothing is lost.


@pytest.mark.slow
def test_no_verb_changes_a_record(tmp_path, cli):
    """Run, run again, board, compare, regress, submit, validate, verify, evaluate: every record's bytes stay as they were."""
    options = ("--plugin", TOY, "--device", "cpu")
    for method in ("original", "oracle", "toy-good"):
        done = cli("run", "toy", method, "--seeds", "0-2", "--keep-model", *options)
        assert done.returncode == 0, done.stderr
    records = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.json")}
    assert len(records) == 9
    model = next((tmp_path / "results" / "toy" / "toy-good").glob("*.model.safetensors"))
    shutil.copytree(tmp_path / "results", tmp_path / "baseline")
    one = next(path for path in records if "toy-good" in str(path))
    for verb in (
        ("run", "toy", "toy-good", "--seeds", "0-2", "--retry-failed", *options),
        ("board", "--no-committed", "--plugin", TOY),
        ("compare", "toy-good", "original", "--no-committed", "--plugin", TOY),
        ("regress", "--baseline", "baseline", "--plugin", TOY),
        ("submit", "toy-good", "--plugin", TOY),
        ("validate", "results", "--plugin", TOY),
        ("verify", one, "--plugin", TOY),
        ("evaluate", "toy", model, *options),
    ):
        done = cli(*verb)
        assert "Traceback" not in done.stderr, verb
        assert {path: path.read_bytes() for path in records} == records, verb
    assert json.loads(one.read_text())["status"] == "ok"
