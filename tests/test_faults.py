"""Kinds of fault that users of such tools report: each was seen here once, and what is right is a test."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

import unlearnbench as ub
from helpers import GOOD, ROOT, TOY, UNTOUCHED, make_record
from parquet_files import encoded, write_parquet
from unlearnbench.benchmark import origin, registry
from unlearnbench.benchmark.command_line import parse_seeds
from unlearnbench.benchmark.errors import LONGEST_LINE, BenchmarkError, first_line
from unlearnbench.benchmark.measuring import provenance
from unlearnbench.benchmark.records import files, places
from unlearnbench.benchmark.records.files import files_below, write_atomically
from unlearnbench.benchmark.records.store import load_records, read_record, write_record
from unlearnbench.benchmark.running.claims import Claim
from unlearnbench.benchmark.running.identity import make_method, make_task, method_info
from unlearnbench.benchmark.running.requests import Request, load_suite, plain
from unlearnbench.leaderboard.ranking import scorable
from unlearnbench.leaderboard.regression.regress import compare
from unlearnbench.leaderboard.regression.verdicts import Verdict
from unlearnbench.tasks.data.dataset import DataSet
from unlearnbench.tasks.data.pictures import Square, decode

GENTLE = """
    from unlearnbench import Method, Need

    class Gentle(Method):
        name = "{name}"
        needs = frozenset({{Need.RETAIN}})
        steps: int = {steps}

        def unlearn(self, problem):
            for _ in problem.steps(self.steps):
                pass
    """


def plugin(path, text=GENTLE, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).format(**{"name": "gentle", "steps": 1, **values}))
    return path


def anchors():
    return [make_record("original", 0, UNTOUCHED), make_record("oracle", 0, GOOD)]


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
    for record in anchors():
        write_record(tmp_path / "results", record)
    done = cli("board", "--no-committed")
    assert done.returncode == 0
    assert "note: results/old/" in done.stderr


# What names a run.


@pytest.mark.parametrize("seeds", [range(3), np.arange(3), [0.0, 1.0, 2.0], (np.int64(0), 1, np.float32(2))])
def test_seeds_of_a_notebook_are_those_of_a_command_line(seeds):
    found = plain(Request("toy", "toy-good", list(seeds), {}))
    assert found.seeds == [0, 1, 2]
    assert {type(seed) for seed in found.seeds} == {int}


@pytest.mark.parametrize("seed", [True, np.bool_(True), "0", 0.5, -1, None, float("nan"), float("inf"), [0]])
def test_what_is_no_seed_is_one_sentence(seed):
    with pytest.raises(BenchmarkError, match="is no seed; give whole numbers from 0"):
        plain(Request("toy", "toy-good", [seed], {}))


def test_settings_of_a_notebook_are_those_of_a_command_line(tmp_path):
    given = {
        "a": np.float64(0.1),
        "b": np.int32(3),
        "c": (1, 2),
        "d": np.array([1.5]),
        "e": tmp_path,
        "f": {"g": np.bool_(1)},
    }
    found = plain(Request("toy", "toy-good", [0], given)).settings
    assert found == {"a": 0.1, "b": 3, "c": [1, 2], "d": [1.5], "e": str(tmp_path), "f": {"g": True}}
    with pytest.raises(BenchmarkError, match="The setting 'a' cannot be .*: settings are what JSON has"):
        plain(Request("toy", "toy-good", [0], {"a": object()}))


def test_a_truth_value_is_no_number():
    with pytest.raises(BenchmarkError, match="The setting 'steps' of the method 'ascent' cannot be True"):
        make_method("ascent", {"steps": True})


def test_a_file_that_was_edited_is_loaded_anew(tmp_path):
    file = plugin(tmp_path / "p.py", name="edited", steps=1)
    registry.add_plugins([file])
    before = registry.methods.get("edited")
    registry.add_plugins([file])
    assert registry.methods.get("edited") is before
    plugin(file, name="edited", steps=7)
    registry.add_plugins([file])
    assert registry.methods.get("edited")().steps == 7


def test_a_notebook_that_edits_its_file_gets_a_run_of_the_new_one(tmp_path):
    file = plugin(tmp_path / "p.py", name="noted", steps=1)
    options = {"plugins": [file, TOY], "results": tmp_path / "results", "device": "cpu"}
    (first,) = ub.run("toy", "noted", seeds=np.arange(1), **options)
    plugin(file, name="noted", steps=2)
    (second,) = ub.run("toy", "noted", seeds=[0.0], **options)
    assert [first.method.config["steps"], second.method.config["steps"]] == [1, 2]
    assert [record.reason for record in (first, second)] == [None, None]
    assert len(load_records([tmp_path / "results"]).records) == 2


HELPED = """
    from unlearnbench import Method
    import beside_{name}

    class Helped(Method):
        name = "{name}"

        def unlearn(self, problem):
            beside_{name}.nothing()
    """


def test_what_a_plugin_imports_beside_it_is_part_of_its_hash(tmp_path):
    file = plugin(tmp_path / "p.py", HELPED, name="helped")
    beside = tmp_path / "beside_helped.py"
    beside.write_text("import deeper_helped\ndef nothing(): return deeper_helped.VALUE\n")
    (tmp_path / "deeper_helped.py").write_text("VALUE = 1\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the standard library is meant')\n")
    assert origin.imported_beside(file) == sorted([beside, tmp_path / "deeper_helped.py"])
    registry.add_plugins([file])
    before = method_info(make_method("helped", {}))
    (tmp_path / "deeper_helped.py").write_text("VALUE = 2\n")
    registry.add_plugins([file])
    after = method_info(make_method("helped", {}))
    assert before.source_sha256 != after.source_sha256
    assert registry.methods.get("helped").unlearn.__globals__["beside_helped"].nothing() == 2


@pytest.mark.slow
@pytest.mark.parametrize("program", [["-m", "unlearnbench"], ["-c", "from unlearnbench.__main__ import main; main()"]])
def test_a_plugin_with_a_file_beside_it_runs_from_wherever_it_is_called(tmp_path, program):
    file = plugin(tmp_path / "there" / "p.py", HELPED, name="helper")
    (tmp_path / "there" / "beside_helper.py").write_text("def nothing(): pass\n")
    words = [sys.executable, *program, "run", "toy", "helper", "--plugin", TOY, "--plugin", file, "--device", "cpu"]
    done = subprocess.run(list(map(str, words)), cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_two_folders_with_a_file_of_the_same_name_do_not_collide(tmp_path):
    one, two = plugin(tmp_path / "a" / "gentle.py", steps=1), plugin(tmp_path / "b" / "gentle.py", steps=2)
    registry.add_plugins([one])
    registry.add_plugins([two])
    assert registry.methods.get("gentle")().steps == 2
    with pytest.raises(BenchmarkError, match="'gentle' of .* is taken"):
        registry.add_plugins([one, two])


# What a user named, printed.


def test_names_with_brackets_are_printed_as_they_are(cli, tmp_path):
    for name in ("runs[old]", "x[/y]", "[bold]", "a b%s"):
        for record in [*anchors(), make_record("sfron")]:
            write_record(tmp_path / name, record)
        done = cli("board", "--no-committed", "--results", name, "--out", f"site {name}")
        assert done.returncode == 0, done.stderr
        assert f"The board is at site {name}/index.html" in done.stdout
        done = cli("compare", "sfron", "original", "--no-committed", "--results", name)
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_terminal_without_a_dash_shows_something_else(tmp_path):
    for record in [*anchors(), make_record("sfron")]:
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
    file = plugin(tmp_path / "p.py", name="marked")
    file.write_text("﻿" + file.read_text())
    assert not [one for one in ub.check(file).failures if "ended" in one]


def test_a_suite_with_nothing_to_run_says_so(tmp_path, cli):
    (tmp_path / "s.toml").write_text('description = "x"\nruns = []\n')
    done = cli("suite", "s.toml")
    assert done.returncode == 2
    assert "The suite s.toml has nothing to run" in done.stderr


# Shared folders, odd machines.


def test_files_have_the_rights_that_the_user_gives_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
        assert files._umask() == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_lock_that_another_user_left_is_no_hindrance(tmp_path, monkeypatch):
    (tmp_path / ".seed0-a.json.lock").write_bytes(b"")
    opened = os.open

    def refuse(path, flags, mode=0o777, **more):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", refuse)
    claim = Claim.take(tmp_path / "seed0-a.json")
    monkeypatch.undo()
    assert claim is not None
    assert Claim.take(tmp_path / "seed0-a.json") is None
    claim.release()


def test_a_slow_git_costs_no_run(monkeypatch):
    def slow(*command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", slow)
    monkeypatch.setattr(provenance.Path, "exists", lambda self: True)
    assert provenance.git_state(provenance.Path()) == (None, None)


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(places.CACHE)
    monkeypatch.setattr(places.Path, "home", unknown)
    assert places.cache_folder().name == "unlearnbench"


def test_a_long_message_keeps_its_beginning_and_its_end():
    said = first_line(ValueError("begin " + "x" * 5_000_000 + " end"))
    assert said.startswith("ValueError: begin")
    assert said.endswith("end")
    assert len(said) < LONGEST_LINE + 50


def test_one_folder_may_be_named_without_a_list(tmp_path, monkeypatch):
    for record in [*anchors(), make_record("sfron")]:
        write_record(tmp_path / "results", record)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(ub.records(str(tmp_path / "results"), committed=False)) == 3
    assert len(ub.records("~/results", committed=False)) == 3


# Seeds, numbers that are gone.


def test_seeds_as_people_type_them():
    assert parse_seeds("0-2") == [0, 1, 2]
    assert parse_seeds("0-2,7") == [0, 1, 2, 7]
    assert parse_seeds(" 3 , 5 - 6 ") == [3, 5, 6]
    for text in ("2-0", "0-2,1", "-1", "1-", "0--2", "0-999999999", "", "²", "0x1"):
        with pytest.raises(BenchmarkError, match="is no list of seeds"):
            parse_seeds(text)


def test_a_number_that_is_not_defined_any_more_is_worse():
    before = [make_record("sfron", seed) for seed in range(3)]
    now = [make_record("sfron", seed, {**GOOD, "coverage": None} if seed == 1 else GOOD) for seed in range(3)]
    found = compare(before, now, references=anchors())
    assert found.verdict is Verdict.REGRESSION
    assert "coverage was defined in the baseline and is not now (seed 1)" in found.sentence


def test_a_record_that_lacks_what_is_scored_is_no_zero(tmp_path, cli):
    whole = make_record("sfron")
    lacking = whole.model_copy(update={"metrics": [one for one in whole.metrics if one.name != "coverage"]})
    kept, sentences = scorable([*anchors(), lacking])
    assert [record.method.name for record in kept] == ["original", "oracle"]
    assert f"{lacking.filename} lacks coverage" in sentences[0]
    for record in [*anchors(), lacking]:
        write_record(tmp_path / "results", record)
    done = cli("board", "--no-committed")
    assert done.returncode == 1
    assert "cannot be scored" in done.stderr


def test_an_evaluation_that_breaks_is_no_outcome_of_the_method(tmp_path, cli):
    """A plugin's task whose own evaluation raises."""
    broken = "def evaluate(self, *more):\n        raise KeyError('mine')\n\n    def never(self, model"
    text = TOY.read_text().replace("def evaluate(self, model", broken)
    assert "def never" in text
    (tmp_path / "broken.py").write_text(text)
    done = cli("run", "toy", "toy-good", "--plugin", "broken.py", "--device", "cpu")
    assert done.returncode == 2
    assert "The evaluation on 'toy' failed (KeyError: 'mine')" in done.stderr
    assert not list((tmp_path / "results").rglob("*.json"))


def test_numbers_that_are_not_finite_are_a_run_that_diverged(tmp_path, cli):
    """Weights may be finite, and what is made of them not."""
    broken = """def evaluate(self, *more):
        what = Identity(name="test", version=1, protocol="test")
        numbers = {"value": float("nan"), "ci_low": None, "ci_high": None, "ci_method": "none", "n": 1}
        return Metric(name="x", direction="info", identity=what, **numbers)

    def never(self, model"""
    (tmp_path / "broken.py").write_text(TOY.read_text().replace("def evaluate(self, model", broken))
    done = cli("run", "toy", "toy-good", "--plugin", "broken.py", "--device", "cpu")
    assert done.returncode == 1
    assert "diverged toy toy-good seed 0: what the weights draw, or the loss on it, is not finite" in done.stderr
    (path,) = (tmp_path / "results").rglob("*.json")
    assert json.loads(path.read_text())["status"] == "diverged"


# Inputs are looked into before anything expensive.


@pytest.fixture
def own_assets(tmp_path, monkeypatch):
    """Copies of a task's shipped files, which may be damaged."""

    def copy(task):
        shutil.copytree(places.SHIPPED / task, tmp_path / "assets" / task)
        monkeypatch.setenv(places.ASSETS, str(tmp_path / "assets"))
        return tmp_path / "assets" / task

    return copy


def test_nothing_is_trained_beside_a_damaged_file(own_assets):
    folder = own_assets("digits-vae")
    (folder / "oracle-1-0.safetensors").unlink()
    (folder / "oracle-1-2.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    started = []
    with pytest.raises(
        BenchmarkError, match=r"oracle-1-2.safetensors is not the file that its manifest names, but a pointer"
    ):
        ub.prepare("digits-vae", progress=lambda what, done, total: started.append(what))
    assert started == []


def test_a_pointer_and_an_empty_file_are_called_so(tmp_path):
    for name, data, said in (
        ("a", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        ("b", b"", ", but empty"),
    ):
        (tmp_path / name).write_bytes(data)
        assert said in files.about(tmp_path / name)
        with pytest.raises(BenchmarkError, match=said):
            ub.evaluate("digits-vae", tmp_path / name, name="mine", results=tmp_path / "results", device="cpu")
    assert files.about(TOY) == files.about(tmp_path / "nowhere") == ""


def test_oracle_samples_that_were_drawn_otherwise_are_refused(own_assets):
    manifest = own_assets("digits-ddpm") / "manifest.json"
    manifest.write_text(manifest.read_text().replace("dpm 10 steps, guidance 1.5", "dpm 9 steps, guidance 1.5"))
    task = make_task("digits-ddpm", {})
    with pytest.raises(BenchmarkError, match="were drawn otherwise than the task 'digits-ddpm' asks for now"):
        task.oracle_samples("null", [0])
    manifest.write_text(manifest.read_text().replace("dpm 9 steps", "dpm 10 steps"))
    assert len(task.oracle_samples("null", [0, 1], 1000)) == 2000
    with pytest.raises(BenchmarkError, match="1000 of 'null' each, instead of .*, 1001"):
        task.oracle_samples("null", [0], 1001)


@pytest.mark.parametrize(
    ("cell", "label", "sentence"),
    [
        (None, 1, "The picture 1 .* is not there: its 'image' is null"),
        ("whole", None, "The label of the picture 1 .* is null and no whole number"),
        ("whole", "cat", "The label of the picture 0 .* is the str 'cat' and no whole number"),
    ],
)
def test_an_odd_cell_is_one_sentence_with_its_row(tmp_path, monkeypatch, cell, label, sentence):
    import datasets

    picture = encoded(np.zeros((8, 8, 3), np.uint8))
    labels = [label, label] if isinstance(label, str) else [0, label]
    kind = datasets.Value("string" if isinstance(label, str) else "int64")
    columns = {"image": [picture, picture if cell else None], "label": labels}
    for split in ("train", "test"):
        place = tmp_path / "odd" / "data" / f"{split}-00000-of-00001.parquet"
        write_parquet(place, columns, {"image": datasets.Image(), "label": kind})
    monkeypatch.setenv(places.DATA, str(tmp_path))
    rows = DataSet(folder="odd", size=8).rows(str(tmp_path / "odd"), "train").pictures()
    with pytest.raises(BenchmarkError, match=sentence):
        list(rows)


@pytest.mark.parametrize("form", ["uint16", "int32"])
def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(form):
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(form)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG" if form == "uint16" else "TIFF")
    found = decode(buffer.getvalue(), "picture", Square(8, 1, "exact"), "replace it")
    assert np.abs(found[..., 0] - values / 257).max() <= 1


# What a first user misses.


def test_a_board_without_results_of_ones_own_says_so(cli):
    done = cli("board")
    assert done.returncode == 0
    assert "There is no folder 'results' here" in done.stderr


def test_the_terminal_shows_the_boards_of_what_was_just_run(tmp_path, cli):
    record = read_record(sorted((ROOT / "leaderboard" / "results" / "digits-vae" / "uno").glob("*.json"))[0])
    write_record(tmp_path / "results", record)
    done = cli("board")
    assert done.returncode == 0
    assert "digits-vae · forgetting" in done.stdout
    assert "digits-mae" not in done.stdout
    assert re.search(r"\d+ more boards, with none of these runs, are on the page", done.stdout)


def test_seeds_of_an_older_file_are_not_left_out_in_silence(tmp_path, cli):
    older = [make_record("mine", seed, UNTOUCHED) for seed in range(3)]
    newer = make_record("mine", 0, GOOD, created="2026-02-01T00:00:00Z")
    method = newer.method.model_copy(update={"source_sha256": "9" * 64})
    newer = newer.model_copy(update={"method": method, "run_id": "9" * 64})
    for record in [*anchors(), *older, newer]:
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
    done = cli("check", plugin(tmp_path / "honest.py", text), "--task", "toy", "--plugin", TOY)
    assert done.returncode == 0, done.stdout
    assert "It keeps the contract" in done.stdout


def test_eighty_columns_break_no_word(tmp_path, cli):
    for record in [*anchors(), make_record("gradient-surgery"), make_record("selective-amnesia")]:
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
