"""The contract of a task: honest tasks keep it, and each fault is caught by the check that is there for it."""

import inspect
import json
import re

import pytest
from rich.console import Console

import unlearnbench
from helpers import ROOT
from unlearnbench.benchmark.checking import need_calls, toy
from unlearnbench.benchmark.checking.report import CheckReport, Result
from unlearnbench.benchmark.checking.task_checks import TASK_CHECKS, TaskEvidence, judge_task
from unlearnbench.benchmark.checking.task_faults import asking
from unlearnbench.benchmark.checking.task_inspection import Look
from unlearnbench.benchmark.checking.task_observation import Number, SeenTask
from unlearnbench.benchmark.commands.terminal import print_report
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.running.identity import make_task

FAULTY = (ROOT / "tests" / "faulty_tasks.py").read_text()
NAMES = re.findall(r'^    name = "(.*)"$', FAULTY, flags=re.M)
EMBEDDED = sorted(path.name for path in (ROOT / "tasks" / "assets").iterdir() if path.name.startswith("digits"))


@pytest.fixture(scope="module")
def tasks(toy):
    import faulty_tasks

    return {
        cls.name: cls for cls in vars(faulty_tasks).values() if inspect.isclass(cls) and hasattr(cls, "caught_by")
    } | {"honest": faulty_tasks.Honest}


def outcomes(task):
    seen, again = Look(task, whole=True).seen, Look(task, whole=False).seen
    return {result.check: (result.outcome, result.reason) for result in judge_task(TaskEvidence(seen, again))}


def caught(found):
    return {name: reason for name, (outcome, reason) in found.items() if outcome in ("fail", "note")}


def test_an_honest_task_keeps_the_contract(tasks):
    found = outcomes(tasks["honest"]())
    assert caught(found) == {}
    assert {outcome for outcome, _ in found.values()} == {"pass"}


@pytest.mark.parametrize("name", NAMES)
def test_each_fault_is_caught_by_the_check_that_is_there_for_it_and_by_no_other(tasks, name):
    found = caught(outcomes(tasks[name]()))
    assert found.keys() == tasks[name].caught_by, found


def test_every_check_has_a_fault_that_it_catches(tasks):
    assert {name for cls in tasks.values() for name in getattr(cls, "caught_by", ())} == {c.name for c in TASK_CHECKS}


def test_what_could_not_be_seen_is_skipped(tasks):
    found = outcomes(tasks["broken"]())
    assert found["repeatable"] == ("fail", "ValueError: no judge today")
    assert {name for name, (outcome, _) in found.items() if outcome == "skip"} == {
        "noise",
        "numbers",
        "judging",
        "tells",
    }


def test_another_process_that_sees_something_else_is_told():
    number = Number(key="a", value=1.0, low=0.9, high=1.1)
    numbers = {"original": [number], "original again": [number], "original, seed 1": [], "oracle": []}
    draws = {"seed 0": "a", "seed 0 again": "a", "seed 1": "b"}
    first = SeenTask(sha256="1", draws=draws, numbers=numbers)
    other = SeenTask(
        sha256="2", draws={"seed 0": "c"}, numbers={"original": [number.model_copy(update={"value": 1.001})]}
    )
    found = {result.check: result for result in judge_task(TaskEvidence(first, other))}
    assert found["identity"].reason.startswith("another process gives it another hash")
    assert found["deterministic"].reason.endswith("other batches in another process")
    assert found["repeatable"].reason == "the same model, judged in another process, has other numbers: a"
    assert found["tells"].outcome == "skip"


def test_the_calls_of_each_need_work_on_the_toy_where_they_were_declared_and_nowhere_else():
    assert need_calls.CALLS.keys() == set(Need)
    everything, nothing = (toy.toy_problem(asking(needs)) for needs in (frozenset(Need), frozenset()))
    for need, call in need_calls.CALLS.items():
        assert call(everything, next(everything.batches("forget", 1))) is None, need
        with pytest.raises(BenchmarkError, match="without declaring it"):
            call(nothing, next(nothing.batches("forget", 1)))


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDED)
def test_every_embedded_task_keeps_the_contract(name):
    assert caught(outcomes(make_task(name, {}))) == {}


@pytest.mark.slow
def test_a_whole_check_inspects_a_task_in_two_processes():
    done = []
    report = unlearnbench.check("digits-mae", progress=lambda count, total: done.append((count, total)))
    assert report.failures == []
    assert (report.method, report.task) == (None, "digits-mae")
    assert report.settings["forget_class"] == 0
    assert done == [(1, 2), (2, 2)]


def test_a_report_on_a_task_reads_as_a_table_and_as_json(capsys):
    report = CheckReport(
        None, "mine", {"forget_class": 1}, 12.3, [Result("loss", "why", "fail", "the loss is not finite")]
    )
    assert json.loads(report.to_json())["method"] is None
    print_report(Console(width=120), report)
    assert "'mine', 12 s. 1 of 1 checks failed." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "digit-vae"), "There is no method or task named 'digit-vae'; did you mean digits-vae"),
        (("check", "digits-vae", "--set", "forget_clas=3"), "did you mean forget_class?"),
        (("check", "cifar10-ddpm", "--set", "forget_class=2"), "The task 'cifar10-ddpm' lacks"),
        (("check", "two.py"), "should define one task to check and defines one, two; for one of several"),
    ],
)
def test_a_users_mistake_is_one_sentence(cli, tmp_path, arguments, says):
    lines = ["from unlearnbench.tasks.digits_vae import DigitsVAE"]
    lines += [f"class {name.title()}(DigitsVAE):\n    name = '{name}'" for name in ("one", "two")]
    (tmp_path / "two.py").write_text("\n".join(lines))
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
