"""Which GPU a run gets, and what a run may take: no GPU needed."""

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import torch

import light_suite
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.measuring.device import equal_gpus
from unlearnbench.benchmark.running import executors, limits, local
from unlearnbench.benchmark.running.claims import Claim
from unlearnbench.benchmark.running.executors import make_executor
from unlearnbench.benchmark.running.forks import worker_environment
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.benchmark.running.limits import Limits, Watchdog, make_limits, session_bytes
from unlearnbench.benchmark.running.local import GpuPool
from unlearnbench.benchmark.running.plan import Placement
from unlearnbench.benchmark.running.planner import Planned
from unlearnbench.benchmark.running.torch_setup import host_threads


@pytest.fixture
def machine(monkeypatch):
    """Makes PyTorch see some GPUs."""

    def build(models, visible=None):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(models))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(name=models[index]))
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return build


@pytest.mark.parametrize(
    ("models", "visible", "expected"),
    [
        ([], None, []),
        (["H200"], None, ["0"]),
        (["H200"] * 3, None, ["0", "1", "2"]),
        (["H200"] * 2, "3, 5", ["3", "5"]),
        (["H200"] * 2, "GPU-aa,GPU-bb", ["GPU-aa", "GPU-bb"]),
        (["H200", "T4", "H200"], None, ["0", "2"]),
    ],
)
def test_only_gpus_of_one_model_are_used_by_the_names_they_have_here(machine, models, visible, expected):
    machine(models, visible)
    assert equal_gpus() == expected


def test_each_run_gets_a_gpu_of_its_own_and_gives_it_back():
    pool = GpuPool(["0", "1", "2"])
    with pool.one() as first, pool.one() as second:
        with pool.one() as third:
            assert {first, second, third} == {"0", "1", "2"}
        with pool.one() as again:
            assert again == third
    with GpuPool([]).one() as none:
        assert none is None


def test_more_runs_than_gpus_are_spread_evenly():
    pool, held, seen = GpuPool(["0", "1"]), threading.Barrier(6), []

    def one_run():
        with pool.one() as gpu:
            seen.append(gpu)
            held.wait(10)

    threads = [threading.Thread(target=one_run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == ["0"] * 3 + ["1"] * 3


def test_a_worker_sees_its_gpu_alone(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert worker_environment(1, "1")["CUDA_VISIBLE_DEVICES"] == "1"
    assert worker_environment(1)["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize(("device", "workers", "expected"), [("cuda", None, 3), ("cuda", 2, 2), ("cpu", None, 4)])
def test_as_many_runs_at_a_time_as_gpus_or_cores(monkeypatch, tmp_path, device, workers, expected):
    monkeypatch.setattr(executors.os, "sched_getaffinity", lambda pid: set(range(8)))
    plans = [SimpleNamespace(spec=SimpleNamespace(device=device))]
    planned = Planned(plans, [], ["0", "1", "2"] if device == "cuda" else [], [])
    where = Placement(tmp_path, device, 2)
    server = SimpleNamespace()
    executor = make_executor("local", planned, where, make_limits(), server, workers=workers)
    assert executor.capacity == expected
    # A GPU's driver does not survive a fork.
    assert executor._server is (server if device == "cpu" else None)
    # Eight cores: what a run on a GPU has to itself; on a CPU it has what was asked for.
    item = SimpleNamespace(spec=SimpleNamespace(device=device, threads=2))
    assert executor._threads(item) == (2 if device == "cpu" else 8 // expected)


def test_an_evaluation_on_a_gpu_uses_the_threads_that_its_process_was_given(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert host_threads(torch.device("cuda"), 1) == 16
    assert host_threads(torch.device("cuda"), 24) == 24
    assert host_threads(torch.device("cpu"), 1) == 1


def test_a_worker_that_dies_before_it_reads_its_run_is_a_failed_run(tmp_path, monkeypatch):
    class LateWatchdog(Watchdog):
        def start(self):
            """Comes back when the worker is dead, so that the run is handed to nobody."""
            os.waitid(os.P_PID, self._leader.pid, os.WEXITED | os.WNOWAIT)
            super().start()

    monkeypatch.setattr(local, "Watchdog", LateWatchdog)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "dies_at_once.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    item = light_suite.plans(tmp_path)[0]
    executor = local.LocalExecutor(tmp_path, workers=1, limits=make_limits(), program="dies_at_once")
    record = executor.submit(item, Claim.take(tmp_path / item.filename), lambda event: None).result(60)
    executor.close()
    assert (record.status, record.reason) == ("failed", "ended by signal 15 (SIGTERM)")


def test_a_run_may_take_what_its_task_says_unless_the_user_says_otherwise(tmp_path, monkeypatch):
    given = []

    class Told(Watchdog):
        def __init__(self, leader, limits):
            given.append(limits)
            super().__init__(leader, limits)

    monkeypatch.setattr(local, "Watchdog", Told)
    for asked in (None, 60):
        results = tmp_path / str(asked)
        item = light_suite.plans(results)[0]
        executor = local.LocalExecutor(results, workers=1, limits=make_limits(asked, 2), program="light_worker")
        executor.submit(item._replace(seconds=5000.0), Claim.take(results / item.filename), lambda event: None).result(
            60
        )
        executor.close()
    assert given == [Limits(5000.0, 2e9), Limits(60, 2e9)]


@pytest.mark.parametrize(
    ("task", "settings", "hours"),
    [
        ("digits-ddpm", {}, 0.5),
        ("digits-dit", {}, 0.5),
        ("digits-mae", {}, 0.5),
        ("digits-vae", {}, 0.5),
        ("mnist-vae", {}, 0.5),
        ("cifar10-ddpm", {}, 0.5),
        ("cifar10-ddpm", {"preset": "small"}, 4),
        ("cifar10-ddpm", {"protocol": "paper"}, 48),
        ("tinyimagenet-mae", {}, 2),
        ("miniplaces-mae", {}, 2),
        ("imagenet-mae", {}, 2),
        ("imagenet-vqgan", {}, 4),
        ("places365-palette", {}, 4),
        ("places365-palette", {"protocol": "paper"}, 160),
        ("imagenet-dit", {}, 8),
        ("imagenet-dit", {"protocol": "paper"}, 40),
    ],
)
def test_tasks_say_what_their_runs_may_take(task, settings, hours):
    assert make_task(task, settings).run_seconds == hours * 3600


def sleeper(code="import time; time.sleep(60)"):
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def test_a_guard_ends_what_takes_too_long_whatever_the_wall_clock_says(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with sleeper() as process:
        watchdog = Watchdog(process, Limits(0.3))
        watchdog.start()
        assert process.wait(10) == -9
        watchdog.dismiss()
    assert watchdog.verdict == ("timeout", "took longer than 0.3 s")


def test_a_guard_counts_what_a_process_started():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'held = b\"x\" * 300_000_000; input()'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdin=subprocess.PIPE) as process:
        watchdog = Watchdog(process, Limits(60, 250e6))
        watchdog.start()
        assert process.wait(30) == -9
        watchdog.dismiss()
        assert session_bytes(process.pid) == 0
    status, reason = watchdog.verdict
    assert status == "out-of-memory"
    assert "more than its limit of 0.25 GB" in reason


def test_a_guard_that_is_dismissed_says_nothing():
    with sleeper() as process:
        watchdog = Watchdog(process, Limits(60, 1e15))
        watchdog.start()
        watchdog.dismiss()
        assert process.poll() is None
        process.kill()
    assert watchdog.verdict is None


def test_limits_are_what_the_user_says_or_most_of_this_machine(monkeypatch, tmp_path):
    assert make_limits(5, 2) == Limits(5, 2e9)
    assert make_limits().seconds is None
    assert 1e8 < make_limits().memory_bytes < 1e15
    assert make_limits(here=False).memory_bytes is None
    monkeypatch.setattr(limits, "_PROC", tmp_path)
    assert make_limits().memory_bytes is None
    with pytest.raises(BenchmarkError, match="no /proc to read a run's memory from"):
        make_limits(gigabytes=1)
