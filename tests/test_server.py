"""The server that runs are forked from: what a run finds is what a new interpreter would, and nothing ever hangs."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import forked_probe
import light_suite
from helpers import TOY
from unlearnbench.benchmark.running.claims import Claim
from unlearnbench.benchmark.running.forks import LIBRARIES, LOST, ForkServer, ServerGone, worker_environment
from unlearnbench.benchmark.running.limits import kill_group, make_limits
from unlearnbench.benchmark.running.local import LocalExecutor

HERE = Path(__file__).parent
PROBE = forked_probe.__name__
LOOK = """
import os, sys, threading
files = {os.readlink(f"/proc/self/fd/{n}"): n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")}
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with ForkServer(worker_environment(1)) as server:
        yield server


def start(server, code, **options):
    with tempfile.TemporaryFile("w+") as log:
        process = server.start(PROBE, log, **options)
    process.stdin.write(json.dumps(code) + "\n")
    process.stdin.flush()
    return process


def ask(server, code, **options):
    """What some code tells in a fork."""
    with start(server, code, **options) as process:
        told = process.stdout.read()
        assert process.wait(60) == 0
    return json.loads(told)


def gone(pid):
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV),
        ("import os; os._exit(7)", 7),
    ],
)
def test_exit_codes_and_signals_are_told_apart(server, code, expected):
    with start(server, code) as process:
        assert process.wait(60) == process.poll() == expected


def test_what_a_run_does_to_its_process_the_next_does_not_see(server):
    first = """
import builtins, collections, os, random, signal, sys
collections.OrderedDict = builtins.len = None
os.environ["LEFT"] = "behind"
os.chdir("/")
sys.modules["unlearnbench_plugin_x"] = sys.path[:] = sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
    with start(server, first) as process:
        process.wait(60)
    second = """
import builtins, collections, os, signal, sys
tell([collections.OrderedDict is not None, builtins.len is not None, os.environ.get("LEFT"), os.getcwd(),
      "unlearnbench_plugin_x" in sys.modules, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL])
"""
    assert ask(server, second) == [True, True, None, str(Path.cwd()), False, True]


def test_no_two_runs_draw_the_same_numbers_unless_they_seed_them(server):
    code = "import random, numpy; tell([random.random(), numpy.random.rand()])"
    draws = [ask(server, code, load=["numpy"]) for _ in range(2)]
    assert draws[0][0] != draws[1][0]
    assert draws[0][1] != draws[1][1]


def test_a_run_leads_a_session_and_holds_its_own_files_alone(server, tmp_path):
    with (tmp_path / "claim").open("w") as claim, start(server, "input()") as other:
        code = f"""{LOOK}
tell([os.getsid(0) == os.getpid(), os.getppid() == {server.pid}, threading.active_count(),
      sorted(name.split(":")[0] for name, number in files.items())])
"""
        leads, of_server, threads, files = ask(server, code, keep=[claim.fileno()])
        kill_group(other.pid)
    assert (leads, of_server, threads) == (True, True, 1)
    assert len(files) == 4, files
    assert str(tmp_path / "claim") in files
    assert [name for name in files if name == "socket"] == []


def test_many_runs_do_not_grow_the_server(server):
    def size():
        held = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        return held, len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    def children():
        return Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()

    for _ in range(5):
        ask(server, "tell(0)")
    before = size()
    for _ in range(60):
        ask(server, "tell(0)")
    ask(server, "tell(0)")
    pages, files = size()
    assert files <= before[1] + 1
    assert pages <= before[0] + 64
    assert len(children()) <= 1


def test_a_run_whose_server_dies_is_told_from_one_that_ends(server):
    with start(server, "import time; time.sleep(60)") as process:
        os.kill(server.pid, signal.SIGKILL)
        assert process.wait(60) == process.poll() == LOST
        kill_group(process.pid)
    with pytest.raises(ServerGone):
        start(server, "")


def test_a_server_that_has_a_thread_does_not_fork(server, tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text("import threading\nthreading.Thread(target=threading.Event().wait).start()\n")
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{tmp_path}")
    with ForkServer(worker_environment(1), ["threaded"]) as server, pytest.raises(ServerGone, match="2 threads"):
        start(server, "")


def test_a_module_that_cannot_be_loaded_is_left_to_the_run(server):
    assert ask(server, "tell('fine')", load=["no_such_module_at_all"]) == "fine"


@pytest.mark.parametrize("at", ["once", "work"])
def test_a_server_ends_with_its_client_whatever_ends_that(at):
    code = f"""
import os, tempfile, time
from unlearnbench.benchmark.running.forks import ForkServer, worker_environment
server = ForkServer(worker_environment(1), ["torch"] if {at == "once"} else [])
if {at == "work"}:
    process = server.start("unlearnbench.benchmark.running.planner", tempfile.TemporaryFile("w+"))
print(server.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def make(executor, results, index=0):
    item = light_suite.plans(results)[index]
    events = []
    claim = Claim.take(results / item.filename)
    record = executor.submit(item, claim, lambda event: events.append(event.phase)).result(240)
    claim.release()
    return record, events


@pytest.mark.slow
def test_a_run_whose_server_is_dead_is_made_in_a_new_interpreter(tmp_path):
    with ForkServer(worker_environment(1)) as server:
        executor = LocalExecutor(tmp_path, workers=1, limits=make_limits(), server=server)
        os.kill(server.pid, signal.SIGKILL)
        record, _ = make(executor, tmp_path)
        executor.close()
    assert record.status == "ok"


@pytest.mark.slow
def test_a_run_that_takes_its_server_along_is_made_again(tmp_path, monkeypatch):
    """As when the kernel picks the server to end where memory runs out."""
    monkeypatch.setenv("UNLEARNBENCH_TEST", str(tmp_path / "marker"))
    (tmp_path / "fells.py").write_text(
        "import os, pathlib\n"
        "from unlearnbench.benchmark.method import Method\n"
        "class Fells(Method):\n"
        "    '''Kills the server, which is the parent of the process that waits for it, once.'''\n"
        "    name = 'fells'\n"
        "    def unlearn(self, problem):\n"
        "        marker = pathlib.Path(os.environ['UNLEARNBENCH_TEST'])\n"
        "        if not marker.exists():\n"
        "            marker.touch()\n"
        "            stat = pathlib.Path(f'/proc/{os.getppid()}/stat').read_text()\n"
        "            os.kill(int(stat.rpartition(')')[2].split()[1]), 9)\n"
        "            import time; time.sleep(600)\n"
    )
    import unlearnbench

    events = []
    (record,) = unlearnbench.run(
        "toy", "fells", plugins=[TOY, tmp_path / "fells.py"], results=tmp_path / "results", device="cpu",
        on_event=lambda event: events.append(event.phase),
    )  # fmt: skip
    assert (tmp_path / "marker").exists()
    assert record.status == "ok"
    assert events == ["start", "load", "unlearn", "load", "unlearn", "evaluate", "end"]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_run_has_the_numbers_of_a_new_interpreter(tmp_path, threads):
    from unlearnbench.benchmark.running.plan import Placement, plan
    from unlearnbench.benchmark.running.requests import Request

    request = Request("digits-vae", "gradient-surgery", [0], {"steps": 3})
    made = {}
    with ForkServer(worker_environment(threads)) as server:
        for name, forks in (("forked", server), ("fresh", None)):
            results = tmp_path / name
            (item,), _ = plan([request], Placement(results, "cpu", threads))
            executor = LocalExecutor(results, workers=1, limits=make_limits(), server=forks)
            claim = Claim.take(results / item.filename)
            made[name] = executor.submit(item, claim, lambda event: None).result(600)
            assert (executor._server is not None) == (forks is not None), "it was not forked"
            executor.close()
    forked, fresh = made["forked"], made["fresh"]
    assert forked.status == "ok"
    assert (forked.metrics, forked.gallery) == (fresh.metrics, fresh.gallery)
    passes = [f"{way}_{what}" for way in ("forward", "backward") for what in ("passes", "samples")]
    counts = ("steps", *passes, "forget_samples", "retain_samples")
    assert [getattr(forked.cost, name) for name in counts] == [getattr(fresh.cost, name) for name in counts]
    # What a run holds is counted the same way; only pages of libraries that it never touches are missing.
    assert 0.5 < forked.cost.peak_process_bytes / fresh.cost.peak_process_bytes < 1.5


@pytest.mark.slow
def test_a_run_finds_the_libraries_that_its_task_names_loaded_and_the_server_knows_no_plugin():
    code = """
import importlib, os, sys
from pathlib import Path
import torch
from unlearnbench.benchmark.running import identity, worker
from unlearnbench.benchmark.running.plan import Placement, plan
from unlearnbench.benchmark.running.requests import Request
for task, method in (("digits-vae", "uno"), ("digits-mae", "li2024"), ("digits-dit", "erasediff")):
    ((item,), _) = plan([Request(task, method, [0], {})], Placement(Path(), "cpu"))
    for name in item.modules:
        importlib.import_module(name)
    before = set(sys.modules)
    made, prepared = identity.make_method(method, {}), identity.make_task(task, {})
    prepared.problem(made, 0, torch.device("cpu")).warm_up()
    prepared.load_judges()
    late = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(*sorted(late & {"diffusers", "sympy", "timm", "torchvision", "transformers", "scipy"}))
    print(*["threads"] * (len(os.listdir("/proc/self/task")) - 1))
"""
    environment = worker_environment(1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == []


def test_a_plugin_names_no_module_that_a_server_loads(tmp_path):
    item = next(item for item in light_suite.plans(tmp_path) if item.method.name == "toy-good")
    assert set(item.modules) == {*LIBRARIES, "unlearnbench.benchmark.task", "unlearnbench.benchmark.method"}
