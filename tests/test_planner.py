"""Plans made in a process of its own: the command loads neither PyTorch nor plugins, and hears of every mistake."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import TOY
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running.plan import Placement
from unlearnbench.benchmark.running.planner import check_names, plan_apart, plan_here, start_server
from unlearnbench.benchmark.running.requests import Request

REQUESTS = [
    Request("toy", "toy-good", [0, 1], {"lr": 0.02}),
    Request("toy", "toy-wants-encoder", [0], {}),
    Request("digits-vae", "gradient-surgery", [0], {}),
]


@pytest.fixture(scope="module")
def server():
    with start_server(REQUESTS, Placement(Path("results"), "cpu")) as server:
        yield server


def test_plans_from_another_process_are_those_that_this_one_makes(server, tmp_path):
    where = Placement(tmp_path, "cpu", 1, (TOY,))
    apart = plan_apart(server, REQUESTS, where)
    assert apart == plan_here(REQUESTS, where)
    assert [item.title for item in apart.plans] == [
        "toy toy-good seed 0",
        "toy toy-good seed 1",
        "digits-vae gradient-surgery seed 0",
    ]
    assert [refusal.method for refusal in apart.refused] == ["toy-wants-encoder"]


def test_a_mistake_in_a_setting_is_the_sentence_that_it_is_here(server, tmp_path):
    requests, where = [Request("toy", "toy-good", [0], {"lrr": 1})], Placement(tmp_path, "cpu", 1, (TOY,))
    said = []
    for planning in (plan_here, lambda *order: plan_apart(server, *order)):
        with pytest.raises(BenchmarkError) as caught:
            planning(requests, where)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "did you mean lr?" in said[0]


def plugin(folder, code):
    path = folder / "mine.py"
    path.write_text(code)
    return path


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os._exit(7)", "the process ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "the process ended by signal 11 (SIGSEGV)"),
        ("raise RuntimeError('broken\\ntwice')", "cannot be loaded: RuntimeError: broken twice"),
        ("", "defines no Method and no Task"),
    ],
)
def test_a_plugin_that_breaks_the_process_breaks_no_command(server, tmp_path, code, says):
    where = Placement(tmp_path, "cpu", 1, (plugin(tmp_path, code),))
    with pytest.raises(BenchmarkError) as caught:
        plan_apart(server, [Request("toy", "toy-good", [0], {})], where)
    assert says in str(caught.value)


def test_what_a_plugin_prints_is_heard_and_is_no_plan(server, tmp_path, capsys):
    where = Placement(tmp_path, "cpu", 1, (plugin(tmp_path, TOY.read_text() + "\nprint('hello')\n"),))
    planned = plan_apart(server, [Request("toy", "toy-good", [0], {})], where)
    assert [item.title for item in planned.plans] == ["toy toy-good seed 0"]
    assert capsys.readouterr().err.splitlines() == ["hello"]


def test_a_plugins_family_is_known_where_its_records_are_shown(server, tmp_path, monkeypatch):
    family = registry.families.find("one-shot")
    mine = dataclasses.replace(family, name="mine")
    code = f"""{TOY.read_text()}
import dataclasses
from unlearnbench.benchmark import registry
class MyTask(ToyTask):
    name = "my-task"
    family = dataclasses.replace(registry.families.find("one-shot"), name="mine")
"""
    monkeypatch.setattr(registry.families, "_known", dict(registry.families._all()))
    where = Placement(tmp_path, "cpu", 1, (plugin(tmp_path, code),))
    planned = plan_apart(server, [Request("my-task", "toy-good", [0], {})], where)
    assert planned.families == [mine]
    assert registry.families.find("mine") == mine


def test_without_a_server_or_with_a_dead_one_this_process_plans(tmp_path):
    where = Placement(tmp_path, "cpu", 1, (TOY,))
    expected = plan_here(REQUESTS, where)
    assert plan_apart(None, REQUESTS, where) == expected
    with start_server(REQUESTS, where) as dead:
        os.kill(dead.pid, signal.SIGKILL)
        assert plan_apart(dead, REQUESTS, where) == expected


def test_names_are_checked_as_far_as_they_are_known_without_loading_anything(tmp_path):
    known = Request("digits-vae", "gradient-surgery", [0], {})
    check_names([known], [])
    with pytest.raises(BenchmarkError, match="no task named 'digits-va'; did you mean digits-vae"):
        check_names([known._replace(task="digits-va")], [])
    with pytest.raises(BenchmarkError, match="no method named 'gradient-surgary'; did you mean gradient-surgery"):
        check_names([known._replace(method="gradient-surgary")], [])
    with pytest.raises(BenchmarkError, match="There is no plugin file"):
        check_names([known], [tmp_path / "mine.py"])
    check_names([known._replace(task="of-the-plugin")], [TOY])


@pytest.mark.slow
def test_a_command_that_makes_runs_loads_neither_pytorch_nor_its_plugins(tmp_path):
    code = f"""
import sys
import unlearnbench
(record,) = unlearnbench.run("toy", "toy-good", plugins=[{str(TOY)!r}], results={str(tmp_path)!r}, device="cpu")
assert record.status == "ok"
print(*sorted(name for name in sys.modules if name in ("torch", "numpy") or name.startswith("unlearnbench_plugin_")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
