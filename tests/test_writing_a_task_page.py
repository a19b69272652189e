"""The page on writing a task, run word for word by somebody with pictures of three shapes."""

import json
import re
import shlex
import subprocess
import sys

import pytest

import unlearnbench
from helpers import ROOT
from unlearnbench.benchmark.checking import source_scan
from unlearnbench.benchmark.checking.task_checks import TASK_CHECKS
from unlearnbench.tasks.data.dataset import DataSet

PAGE = (ROOT / "docs" / "writing-a-task.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.S)
PICTURES, SHAPES = (text for language, text in BLOCKS if language == "python")
(SUITE,) = (text for language, text in BLOCKS if language == "toml")
COMMANDS = [shlex.split(line) for language, text in BLOCKS if language == "bash" for line in text.splitlines()]
LINES = 50


@pytest.fixture
def shell(cli, tmp_path):
    """Runs a line of the page in a folder that holds the page's script and suite."""
    (tmp_path / "pictures.py").write_text(PICTURES)
    (tmp_path / "rehearsal.toml").write_text(SUITE)
    variables = {}

    def run(words):
        if words[0] == "export":
            variables.update([words[1].split("=", 1)])
        elif words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True)
        else:
            done = cli(*words[1:], env=variables, timeout=1200)
            assert done.returncode == 0, (words, done.stdout, done.stderr)
            return done.stdout
        return ""

    return run


def test_new_writes_the_pages_file_for_the_pages_pictures(shell, tmp_path):
    for words in COMMANDS[:2]:
        shell(words)
    assert COMMANDS[2][:3] == ["unlearnbench", "new", "task"]
    said = shell(COMMANDS[2])
    assert (tmp_path / "shapes.py").read_text() == SHAPES
    assert len(SHAPES.splitlines()) <= LINES
    assert (
        'check(Path(__file__).with_name("shapes.py"), settings={"rehearsal": True})'
        in (tmp_path / "test_shapes.py").read_text()
    )
    assert [shlex.split(line) for line in said.splitlines()[1:]] == COMMANDS[3:5]


def test_the_page_names_every_check_and_every_field_of_a_data_set():
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = re.findall("`(.*?)`", " ".join(rows))
    fields = list(DataSet.__dataclass_fields__)
    assert set(named[: len(fields)]) == set(fields)
    assert named[len(fields) :] == [check.name for check in TASK_CHECKS]


def test_what_tasks_are_made_of_is_public_and_closed_to_methods(tmp_path):
    assert unlearnbench._FOR_TASKS.keys() == source_scan.FOR_TASKS
    imported = re.search("from unlearnbench import (.*)", SHAPES).group(1).split(", ")
    assert set(imported) == source_scan.FOR_TASKS
    assert all(hasattr(unlearnbench, name) for name in imported)
    (tmp_path / "x.py").write_text("from unlearnbench import DataSet, Method\n")
    assert source_scan.findings(tmp_path / "x.py") == ["imports unlearnbench.DataSet: what tasks are made of (line 1)"]


@pytest.mark.slow
def test_from_an_empty_folder_to_a_board(shell, tmp_path):
    for words in COMMANDS:
        shell(words)
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").rglob("*.json")]
    assert {record["method"]["name"] for record in records} == {"original", "oracle", "sfron"}
    assert {record["task"]["config"]["rehearsal"] for record in records} == {True}
    accuracies = [metric for metric in records[0]["metrics"] if metric["name"] == "judge_accuracy"]
    assert {metric["n"] for metric in accuracies} == {60}
    board = (tmp_path / "site" / "index.html").read_text()
    assert "shapes" in board
