"""Odd machines and inputs: shared folders, damaged files, cells that hold something else, numbers that are gone."""

import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import unlearnbench as ub
from helpers import GOOD, TOY, anchors, make_record
from parquet_files import encoded, write_parquet
from unlearnbench.benchmark.command_line import parse_seeds
from unlearnbench.benchmark.errors import LONGEST_LINE, BenchmarkError, first_line
from unlearnbench.benchmark.measuring import provenance
from unlearnbench.benchmark.records import files, places
from unlearnbench.benchmark.records.files import write_atomically
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.benchmark.running.claims import Claim
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.leaderboard.ranking import scorable
from unlearnbench.leaderboard.regression.regress import compare
from unlearnbench.leaderboard.regression.verdicts import Verdict
from unlearnbench.tasks.data.dataset import DataSet
from unlearnbench.tasks.data.pictures import Square, decode

# Shared folders, odd machines.


def test_files_have_the_rights_that_the_user_gives_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
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
    for record in [*anchors((0,)), make_record("sfron")]:
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
    found = compare(before, now, references=anchors((0,)))
    assert found.verdict is Verdict.REGRESSION
    assert "coverage was defined in the baseline and is not now (seed 1)" in found.sentence


def test_a_record_that_lacks_what_is_scored_is_no_zero(tmp_path, cli):
    whole = make_record("sfron")
    lacking = whole.model_copy(update={"metrics": [one for one in whole.metrics if one.name != "coverage"]})
    kept, sentences = scorable([*anchors((0,)), lacking])
    assert [record.method.name for record in kept] == ["original", "oracle"]
    assert f"{lacking.filename} lacks coverage" in sentences[0]
    for record in [*anchors((0,)), lacking]:
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
    (folder / "oracle-3-0.safetensors").unlink()
    (folder / "oracle-3-2.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    started = []
    with pytest.raises(
        BenchmarkError, match=r"oracle-3-2.safetensors is not the file that its manifest names, but a pointer"
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
