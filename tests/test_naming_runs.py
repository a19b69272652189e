"""What names a run, however it is given: seeds, settings, and plugins' files with what they import."""

import os
import subprocess
import sys

import numpy as np
import pytest

import unlearnbench as ub
from helpers import TOY, write_plugin
from unlearnbench.benchmark import origin, registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_method, method_info
from unlearnbench.benchmark.running.requests import Request, plain

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


def within_a_second(file):
    """Gives a file one time for ever: compiled code of what it held before passes for its own if the length is the same."""
    os.utime(file, (1_000_000_000, 1_000_000_000))


def test_a_file_that_was_edited_is_loaded_anew(tmp_path):
    file = write_plugin(tmp_path / "p.py", name="edited", steps=1)
    within_a_second(file)
    registry.add_plugins([file])
    before = registry.methods.get("edited")
    registry.add_plugins([file])
    assert registry.methods.get("edited") is before
    write_plugin(file, name="edited", steps=7)
    within_a_second(file)
    registry.add_plugins([file])
    assert registry.methods.get("edited")().steps == 7


def test_a_notebook_that_edits_its_file_gets_a_run_of_the_new_one(tmp_path):
    file = write_plugin(tmp_path / "p.py", name="noted", steps=1)
    options = {"plugins": [file, TOY], "results": tmp_path / "results", "device": "cpu"}
    (first,) = ub.run("toy", "noted", seeds=np.arange(1), **options)
    write_plugin(file, name="noted", steps=2)
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
    file = write_plugin(tmp_path / "p.py", HELPED, name="helped")
    beside = tmp_path / "beside_helped.py"
    beside.write_text("import deeper_helped\ndef nothing(): return deeper_helped.VALUE\n")
    deeper = tmp_path / "deeper_helped.py"
    deeper.write_text("VALUE = 1\n")
    within_a_second(deeper)
    (tmp_path / "json.py").write_text("raise SystemExit('the standard library is meant')\n")
    assert origin.imported_beside(file) == sorted([beside, deeper])
    registry.add_plugins([file])
    before = method_info(make_method("helped", {}))
    deeper.write_text("VALUE = 2\n")
    within_a_second(deeper)
    registry.add_plugins([file])
    after = method_info(make_method("helped", {}))
    assert before.source_sha256 != after.source_sha256
    assert registry.methods.get("helped").unlearn.__globals__["beside_helped"].nothing() == 2


@pytest.mark.slow
@pytest.mark.parametrize("program", [["-m", "unlearnbench"], ["-c", "from unlearnbench.__main__ import main; main()"]])
def test_a_plugin_with_a_file_beside_it_runs_from_wherever_it_is_called(tmp_path, program):
    file = write_plugin(tmp_path / "there" / "p.py", HELPED, name="helper")
    (tmp_path / "there" / "beside_helper.py").write_text("def nothing(): pass\n")
    words = [sys.executable, *program, "run", "toy", "helper", "--plugin", TOY, "--plugin", file, "--device", "cpu"]
    done = subprocess.run(list(map(str, words)), cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_two_folders_with_a_file_of_the_same_name_do_not_collide(tmp_path):
    one, two = write_plugin(tmp_path / "a" / "gentle.py", steps=1), write_plugin(tmp_path / "b" / "gentle.py", steps=2)
    registry.add_plugins([one])
    registry.add_plugins([two])
    assert registry.methods.get("gentle")().steps == 2
    with pytest.raises(BenchmarkError, match="'gentle' of .* is taken"):
        registry.add_plugins([one, two])
