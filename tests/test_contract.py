"""The contract: honest methods keep it, and each cheat is caught by the check that is there for it."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

import cheating_methods
import trained_toy
import unlearnbench
from helpers import BUILT_IN, ROOT
from unlearnbench.benchmark.checking import fingerprint, source_scan, toy
from unlearnbench.benchmark.checking.bench import Bench, check, start_server, subject
from unlearnbench.benchmark.checking.checks import CHECKS, Evidence, Result, judge
from unlearnbench.benchmark.checking.report import CheckReport
from unlearnbench.benchmark.commands.terminal import print_report
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.problem import TensorPool
from unlearnbench.benchmark.running.identity import make_method
from unlearnbench.benchmark.running.shared_code import SharedCode
from unlearnbench.tasks.data.pools import BytePool

CHEATS = {
    cls.name: cls
    for cls in vars(cheating_methods).values()
    if inspect.isclass(cls) and issubclass(cls, Method) and hasattr(cls, "name")
}
pytestmark = pytest.mark.usefixtures("warm")

FORKED = [name for name, cls in CHEATS.items() if getattr(cls, "forked", True)]
"""Those that one run is enough to catch."""
HONEST = [name for name in BUILT_IN if not name.startswith("cheat-")]


def written(cls, folder):
    """A file that holds one method, the honest one that it extends, and the imports that they need."""
    classes = [base for base in reversed(cls.__mro__) if base.__module__ == cheating_methods.__name__]
    body = "\n\n".join(inspect.getsource(base) for base in classes)
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    imports = []
    for node in ast.parse(Path(cheating_methods.__file__).read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in used]
            imports += [ast.unparse(node)] if node.names else []
    path = folder / "cheat.py"
    path.write_text("\n".join(imports) + "\n\n" + body)
    return path


def outcomes(results):
    return {result.check: (result.outcome, result.reason) for result in results}


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """Makes one watched run of a method, and returns the outcomes of all checks that one run can decide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        with start_server([trained_toy.__name__]) as server:
            patch.undo()

            def found(name):
                folder = tmp_path_factory.mktemp(name)
                plugins = [written(CHEATS[name], folder)] if name in CHEATS else []
                bench = Bench(subject(name, plugins=plugins), folder, 60, lambda done, total: None, server)
                # It asks the garbage collector for the model, which does not see what its server has loaded.
                seen, leftovers = bench.run("only", fork=name != "x-base-model")
                assert seen.mistake is None
                return {
                    name: outcome
                    for name, outcome in outcomes(judge(Evidence(seen, seen, seen, seen, True, leftovers))).items()
                    if name not in ("deterministic", "seeded", "resume")
                }

            yield found


def caught(outcomes):
    return {name for name, (outcome, _) in outcomes.items() if outcome in ("fail", "note")}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORKED)
def test_each_cheat_is_caught_by_the_checks_that_are_there_for_it_and_by_no_other(one_run, name):
    assert caught(one_run(name)) == CHEATS[name].caught_by, one_run(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x-continues", "x-chance"])
def test_what_takes_five_runs_to_tell_is_caught_by_them(tmp_path, name):
    results = check(subject(name, plugins=[written(CHEATS[name], tmp_path)])).results
    assert caught(outcomes(results)) == CHEATS[name].caught_by, results


def test_every_check_has_a_cheat_that_it_catches():
    assert {name for cls in CHEATS.values() for name in cls.caught_by} >= {c.name for c in CHECKS} - {
        "documented",
        "seeded",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_every_registered_method_keeps_the_contract(one_run, name):
    assert caught(one_run(name)) == set(), one_run(name)


@pytest.mark.slow
def test_a_method_that_does_not_end_is_stopped(tmp_path):
    what = subject("x-endless", plugins=[written(CHEATS["x-endless"], tmp_path)])
    assert check(what, time_limit=4).failures == ["runs: it ended early: took longer than 4 s"]


@pytest.mark.slow
def test_a_whole_check_makes_five_runs_on_a_real_task_if_one_is_chosen():
    done = []
    report = check(subject("ascent", task="digits-vae"), progress=lambda count, total: done.append((count, total)))
    assert report.failures == []
    assert {result.outcome for result in report.results} == {"pass"}
    assert sorted(done) == [(count, 5) for count in range(1, 6)]
    assert (report.method, report.task, report.settings["steps"]) == ("ascent", "digits-vae", 6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("problem._pools", "reads '_pools' of the problem"),
        ("anything._granted", "reads '_granted' of the problem"),
        ("getattr(p, '_oracle')", "names '_oracle' of the problem"),
        ("problem.meter", "reads 'meter' of the problem"),
        ("problem.__dict__", "reads '__dict__' of the problem"),
        ("from unlearnbench.tasks.retraining import retrained", "imports unlearnbench.tasks.retraining.retrained"),
        ("from unlearnbench import tasks", "imports unlearnbench.tasks"),
        ("from ..leaderboard import ranking", "imports unlearnbench.leaderboard.ranking"),
        ("import unlearnbench.benchmark.measuring.clock as clock", "imports unlearnbench.benchmark.measuring.clock"),
        ("from unlearnbench.benchmark.running import worker", "imports unlearnbench.benchmark.running.worker"),
        ("exec('x')", "calls exec"),
    ],
)
def test_the_source_shows(tmp_path, text, found):
    (tmp_path / "x.py").write_text(f"\n{text}\n")
    (phrase,) = source_scan.findings(tmp_path / "x.py", "unlearnbench.methods")
    assert phrase.startswith(found)
    assert phrase.endswith("(line 2)")


@pytest.mark.parametrize(
    "text",
    [
        "self._optimizer",
        "torch._foreach_add_(a, b)",
        "from unlearnbench import Method, Need",
        "from unlearnbench.benchmark.primitives import descend",
        "from ..benchmark.problem import Problem",
        "from .salun import SalUn",
        "import unlearnbench",
        "model.eval()",
    ],
)
def test_the_source_of_an_honest_method_shows_nothing(tmp_path, text):
    (tmp_path / "x.py").write_text(text)
    assert source_scan.findings(tmp_path / "x.py", "unlearnbench.methods") == []


def test_the_toy_problem_hands_out_only_what_was_declared():
    problem = toy.toy_problem(make_method("ascent", {}))
    (batch,) = problem.batches("forget", 1)
    refused = [
        lambda: problem.null_label,
        lambda: problem.target(batch),
        problem.encoder,
        problem.label_tables,
        lambda: problem.predict(batch, labels=batch.labels),
        lambda: problem.generate(batch.labels, problem.model),
        lambda: next(problem.batches("retain", 1)),
        problem.oracle,
    ]
    assert len(refused) == len(Need)
    for ask in refused:
        with pytest.raises(BenchmarkError, match="without declaring it"):
            ask()


def test_the_toy_model_knows_the_class_that_its_oracle_does_not():
    problem = toy.toy_problem(make_method("oracle", {}))
    losses = {
        name: problem.loss(next(problem.epoch("forget")), model).detach().mean()
        for name, model in (("base", None), ("oracle", problem.oracle()))
    }
    assert losses["oracle"] > 2 * losses["base"]


def test_shared_code_names_what_is_not_what_it_was(monkeypatch):
    shared = SharedCode()
    assert shared.changed() == []
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    monkeypatch.setattr(toy.ToyProblem, "loss", lambda *arguments: None)
    assert shared.changed() == ["time.monotonic", "unlearnbench.benchmark.checking.toy.ToyProblem.loss"]
    with pytest.raises(BenchmarkError, match="The method replaced time.monotonic, unlearnbench"):
        shared.require_unchanged()


@pytest.mark.slow
def test_a_real_run_of_a_method_that_patches_is_a_failed_record(tmp_path):
    name = "x-clock"
    plugin = written(CHEATS[name], tmp_path)
    (record,) = unlearnbench.run("digits-vae", name, plugins=[plugin], device="cpu", results=tmp_path / "results")
    assert record.status == "failed"
    assert record.reason == "The method replaced time.perf_counter, which the harness and the judges share."


def test_a_report_reads_as_a_table_and_as_json(capsys):
    results = [Result("finite", "why it is there", "pass", ""), Result("layout", "why", "fail", "'w' [x] was (2,)")]
    report = CheckReport("mine", "toy", {"steps": 6}, 12.3, results)
    assert report.failures == ["layout: 'w' [x] was (2,)"]
    assert json.loads(report.to_json())["results"][1]["reason"] == "'w' [x] was (2,)"
    print_report(Console(width=120), report)
    shown = capsys.readouterr().out
    assert "why it is there" in shown
    assert "'w' [x] was (2,)" in shown
    assert "'mine' on 'toy', 12 s. 1 of 2 checks failed." in shown


# The command line.


def test_new_writes_a_method_of_forty_lines_its_test_and_nothing_else(cli, tmp_path):
    done = cli("new", "method", "my-idea")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "unlearnbench check my_idea.py"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_idea.py", "test_my_idea.py"]
    assert len((tmp_path / "my_idea.py").read_text().splitlines()) <= 40
    assert source_scan.findings(tmp_path / "my_idea.py") == []


@pytest.mark.slow
def test_what_new_writes_works_at_once_from_any_folder(cli, tmp_path):
    assert cli("new", "method", "2nd.idea", "--out", "sub folder").returncode == 0
    test = tmp_path / "sub folder" / "test_2nd_idea.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", test],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_commands_of_the_page_on_writing_a_method_work(cli):
    page = (ROOT / "docs" / "writing-a-method.md").read_text()
    commands = [line.split() for line in page.splitlines() if line.startswith("    unlearnbench ")]
    assert [command[1] for command in commands] == ["new", "check", "run"]
    for _, *arguments in commands:
        arguments += ["--set", "steps=1"] if arguments[0] == "run" else []
        done = cli(*arguments, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_on_writing_a_method_names_every_check():
    page = (ROOT / "docs" / "writing-a-method.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert re.findall("`(.*?)`", " ".join(rows)) == [clause.name for clause in CHECKS]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("new", "metod", "x"), "There is no thing to write named 'metod'; did you mean method?"),
        (("new", "method", "My Idea"), "The method name 'My Idea' is not valid"),
        (("new", "method", "salun"), "The method name 'salun' is taken"),
        (("new", "method", "random"), "would hide the Python module 'random'"),
        (("new", "method", "there"), "The file there.py is there already"),
        (("check", "nowhere.py"), "There is no file nowhere.py to check"),
        (("check", "salum"), "did you mean salun"),
        (("check", "salun", "--task", "digit-vae"), "did you mean digits-vae"),
        (("check", "there.py"), "defines none"),
        (("check", "salun", "--set", "stepps=3"), "did you mean steps?"),
        (("check", "cun", "--task", "digits-vae"), "needs an encoder, which the task"),
    ],
)
def test_a_users_mistake_is_one_sentence(cli, tmp_path, arguments, says):
    (tmp_path / "there.py").write_text("x = 1\n")
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_check_prints_what_failed_and_exits_with_one(cli, tmp_path):
    path = written(CHEATS["x-nothing"], tmp_path)
    done = cli("check", path)
    assert done.returncode == 1
    assert "the weights are what they were" in done.stdout
    assert "another seed gives the same weights" in done.stdout
    assert "'x-nothing' on 'toy'" in done.stdout
    assert "1 of 23 checks failed" in done.stdout


@pytest.mark.parametrize("kind", [TensorPool, BytePool])
def test_a_changed_picture_is_seen_however_a_pool_holds_it(kind):
    pool = kind(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3))
    before = fingerprint.digests_of({"the forget set": pool})
    assert fingerprint.changed(before, fingerprint.digests_of({"the forget set": pool})) == []
    pool.images[1, 0, 0, 0] = 7
    assert fingerprint.changed(before, fingerprint.digests_of({"the forget set": pool})) == ["the forget set"]
