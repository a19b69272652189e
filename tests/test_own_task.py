"""A task of a user's own file takes the same path as a built-in, and every command that a message proposes is complete."""

import hashlib
import re
import shlex

import pytest

from helpers import TOY
from unlearnbench.benchmark import origin, registry
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running.identity import make_task, task_info

METHOD = '''
from unlearnbench import Method, Need, Problem
from unlearnbench.benchmark.primitives import descend
from torch.optim import Adam


class Mine(Method):
    """Climbs the forget loss."""

    name = "mine"
    needs = frozenset({Need.RETAIN})
    steps: int = 5
    """Steps."""

    def unlearn(self, problem: Problem) -> None:
        optimizer = Adam(problem.parameters(), lr=0.05)
        for step in problem.steps(self.steps):
            descend(optimizer, problem.loss(step.retain).mean() - problem.loss(step.forget).mean())
'''
ONE = ["--plugin", "toy.py"]
TWO = ["--plugin", "toy.py", "--plugin", "mine.py"]
LACKING = ["--set", "lacking=true"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The user's folder, with a task and a method in one file, and another method in a file of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "toy.py").write_bytes(TOY.read_bytes())
    (tmp_path / "mine.py").write_text(METHOD)
    return tmp_path


def proposed(text):
    """The commands in backticks of a message, as words behind the program's name."""
    commands = [shlex.split(command) for command in re.findall("`(unlearnbench [^`]*)`", " ".join(text.split()))]
    return [words[1:] for words in commands]


def rerun(record):
    """The words of a record's command, with the user's files in the place of those that it leaves open."""
    files = {"METHOD_FILE": "mine.py", "TASK_FILE": "toy.py", "FILE": "toy.py"}
    return [files.get(word, word) for word in shlex.split(record.rerun_command())[1:]]


@pytest.mark.slow
def test_a_task_and_a_method_in_two_files_from_prepare_to_the_guard(cli, here):
    run = ["run", "toy", "mine", *LACKING, *TWO, "--device", "cpu"]
    # Prepared by the command that the message proposes.
    (prepare,) = proposed(cli(*run).stderr)
    assert prepare == ["prepare", "toy", *LACKING, *ONE]
    assert "'toy' is ready" in cli(*prepare).stdout
    again = cli(*prepare).stdout
    assert "lacks nothing" in again
    assert "unlearnbench prepare toy --out FOLDER --set lacking=true --plugin toy.py" in again

    # Made again by the record's command.
    assert cli(*run).returncode == 0
    (record,) = load_records([here / "results"]).records
    assert record.task.distribution == "file"
    assert record.task.source_sha256 == hashlib.sha256((here / "toy.py").read_bytes()).hexdigest()
    assert rerun(record) == ["run", "toy", "mine", "--settings", "paper", "--seeds", "0", *LACKING, *TWO]
    assert "kept" in cli(*rerun(record)).stderr

    # Scored after the commands that the board proposes.
    board = ["board", "--results", "results", "--no-committed"]
    # Each of the two tracks says so.
    commands = [list(command) for command in dict.fromkeys(map(tuple, proposed(cli(*board).stdout)))]
    for command in commands:
        assert command[3:] == [*LACKING, "--plugin", "FILE"]
        assert cli(*command[:-1], "toy.py", "--device", "cpu").returncode == 0
    assert [command[2] for command in commands] == ["original", "oracle"]
    assert "No scores" not in cli(*board).stdout

    # Verified with its files, and with nothing less.
    path = f"results/{record.filename}"
    says = "The task 'toy' and the method 'mine' are not part of the suite; give the files of both with --plugin FILE."
    assert says in cli("verify", path).stderr
    assert "The task 'toy' is not part of the suite; give its file" in cli("verify", path, *TWO[2:]).stderr
    assert "The record agrees." in cli("verify", path, *TWO).stdout

    # Not for the suite's board.
    packed = cli("submit", "mine", *TWO)
    assert packed.returncode == 2
    assert "There is no run of 'mine' on a task of the suite in results; make some with" in packed.stderr
    assert proposed(packed.stderr) == [["run", "digits-vae", "mine", "--seeds", "0,1,2", *TWO[2:]]]
    assert "The task 'toy' is not part of the suite" in cli("submit", "mine", "--task", "toy", *TWO).stderr

    # Guarded; an edited task passes for no other.
    regress = ["regress", "--baseline", "results/toy/mine", "--current"]
    assert "steps, passes and samples are the same" in cli(*regress, "results/toy/mine").stdout
    with (here / "toy.py").open("a") as file:
        file.write("# Another protocol, say.\n")
    assert "done" in cli(*run, "--results", "now").stderr
    compared = cli(*regress, "now", "--json")
    assert compared.returncode == 3
    assert "the task's hash differs: another file that defines it" in compared.stdout
    assert "another version of the task 'toy'; give that file with --plugin" in cli("verify", path, *TWO).stderr


@pytest.mark.slow
def test_a_task_and_a_method_in_one_file(cli, here):
    (prepare,) = proposed(cli("run", "toy", "toy-good", *LACKING, *ONE).stderr)
    assert prepare == ["prepare", "toy", *LACKING, *ONE]
    assert cli("run", "toy", "toy-good", "--seeds", "1", *ONE, "--device", "cpu").returncode == 0
    (record,) = load_records([here / "results"]).records
    assert rerun(record) == ["run", "toy", "toy-good", "--settings", "paper", "--seeds", "1", *ONE]
    assert "kept" in cli(*rerun(record)).stderr
    assert "The record agrees." in cli("verify", f"results/{record.filename}", *ONE).stdout
    assert "ok    task toy: ready to run" in cli("doctor", *ONE).stdout


def test_a_built_in_tasks_hash_does_not_depend_on_its_source_and_a_plugins_does(tmp_path):
    registry.add_plugin(TOY)
    toy, digits = make_task("toy", {}), make_task("digits-vae", {})
    assert toy.source_sha256() == hashlib.sha256(TOY.read_bytes()).hexdigest()
    assert origin.source_sha256(type(digits), registry.Task) == task_info(digits).source_sha256
    for task, counts in ((toy, True), (digits, False)):
        before = task.sha256()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(task), "source_sha256", lambda self: "0" * 64)
            assert (task.sha256() != before) is counts


def test_a_plugin_that_extends_a_task_of_the_suite_is_hashed_without_the_suites_files(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(
        "from unlearnbench.tasks.digits_vae import DigitsVAE\n\n\n"
        'class Small(DigitsVAE):\n    """Smaller."""\n\n    name = "small-vae"\n    hidden = 16\n'
    )
    registry.add_plugin(path)
    task = make_task("small-vae", {"forget_class": 4})
    assert task.source_sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    (sentence,) = task.missing()
    assert sentence.endswith(f"run `unlearnbench prepare small-vae --set forget_class=4 --plugin {path}`.")
