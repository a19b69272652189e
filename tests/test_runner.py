"""The runner with real worker processes: every end is a record, and nothing that was finished is lost or done again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unlearnbench
from helpers import TOY
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running import planner
from unlearnbench.benchmark.running.forks import ForkServer, worker_environment
from unlearnbench.benchmark.running.plan import Placement, plan
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.leaderboard.ranking import rank_all

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]

OPTIONS = {"plugins": [TOY], "device": "cpu", "workers": 2}


@pytest.fixture
def cold(warm, monkeypatch):
    """For what a command leaves behind: its server has to end with it, too."""
    monkeypatch.setattr(planner, "ForkServer", ForkServer)


def run(method, results, seeds=(0,), **options):
    return unlearnbench.run("toy", method, seeds=seeds, results=results, **{**OPTIONS, **options})


def quality(results):
    """What two runs of the same seed must agree on to the last digit."""
    records = load_records([Path(results)]).records
    return {record.filename: (record.status, record.metrics, record.gallery) for record in records}


def board(results):
    """The ranking without times, which are noise."""
    ranking = rank_all(load_records([Path(results)]).records)
    return [(b.task, b.device, [(r.name, r.rank, r.score, r.interval) for r in b.rows]) for b in ranking]


def test_a_run_leaves_a_whole_record(tmp_path):
    (record,) = run("toy-good", tmp_path)
    assert record.status == "ok"
    assert (tmp_path / record.filename).is_file()
    assert [phase.name for phase in record.cost.phases] == ["load", "warmup", "unlearn", "evaluate"]
    assert [phase.timed for phase in record.cost.phases] == [False, False, True, False]
    assert record.cost.steps == len(record.cost.step_seconds) == 20
    assert record.cost.forward_passes == record.cost.backward_passes == 40
    assert record.cost.forward_samples == record.cost.backward_samples == 640
    assert 0 < record.cost.cpu_seconds < 60
    assert 4 <= len(record.cost.reference_step_seconds) <= 14
    assert min(record.cost.reference_step_seconds) > 0
    assert record.cost.forget_samples == record.cost.retain_samples == 320
    assert record.cost.peak_process_bytes > 0
    assert record.device.threads == 1
    assert record.method.distribution == "file"


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("toy-raises", "failed", "ValueError: no luck at all"),
        ("toy-diverges", "diverged", "the weight 'weight' is not finite after 0 steps"),
        ("toy-greedy", "out-of-memory", "RuntimeError"),
        ("toy-dies", "failed", "ended by signal 11 (SIGSEGV)"),
        ("toy-peeks", "failed", "without declaring"),
    ],
)
def test_every_bad_end_is_a_record_with_its_reason(tmp_path, method, status, reason):
    (record,) = run(method, tmp_path)
    assert record.status == status
    assert reason in record.reason
    assert record.metrics == []
    assert "\n" not in record.reason


def test_what_a_method_leaves_behind_is_ended_with_it(cold, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_TEST", str(tmp_path))
    (record,) = run("toy-forks", tmp_path)
    assert record.status == "ok"
    check_no_worker_outlives_its_runner(tmp_path)


def test_a_run_that_takes_too_long_is_a_timeout(tmp_path):
    (record,) = run("toy-sleeps", tmp_path, time_limit=8)
    assert (record.status, record.reason) == ("timeout", "took longer than 8 s")


def test_a_run_that_the_kernel_kills_is_out_of_memory(tmp_path):
    (record,) = run("toy-dies", tmp_path, settings={"number": int(signal.SIGKILL)})
    assert record.status == "out-of-memory"


def test_a_run_that_takes_too_much_memory_is_ended_with_all_that_it_started(cold, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_TEST", str(tmp_path))
    (record,) = run("toy-hoards", tmp_path, memory_limit=1.2)
    assert record.status == "out-of-memory"
    assert "GB of memory, more than its limit of 1.2 GB" in record.reason
    assert workers_alive(tmp_path) == []


def test_finished_runs_are_not_done_again_failed_ones_on_demand(tmp_path):
    seen = []
    listen = {"on_event": lambda event: seen.append(event.phase)}
    run("toy-good", tmp_path)
    run("toy-good", tmp_path, **listen)
    assert seen == ["kept"]
    run("toy-raises", tmp_path)
    seen.clear()
    run("toy-raises", tmp_path, **listen)
    assert seen == ["kept"]
    seen.clear()
    run("toy-raises", tmp_path, retry_failed=True, **listen)
    assert (seen[0], seen[-1]) == ("start", "end")


def test_settings_and_seeds_make_different_runs(tmp_path):
    registry.add_plugin(TOY)
    requests = [Request("toy", "toy-good", [0, 1], {}), Request("toy", "toy-good", [0], {"lr": 0.01})]
    planned, _ = plan(requests, Placement(tmp_path, "cpu", 1, (TOY,)))
    assert len({item.run_id for item in planned}) == len({item.filename for item in planned}) == 3


def test_the_same_seed_gives_the_same_metrics_to_the_last_digit(tmp_path):
    run("toy-good", tmp_path / "a")
    run("toy-good", tmp_path / "b")
    assert quality(tmp_path / "a") == quality(tmp_path / "b")


def test_pairs_that_do_not_fit_are_refused_with_a_sentence(tmp_path):
    with pytest.raises(BenchmarkError, match="needs an encoder, which the task 'toy' does not have"):
        run("toy-wants-encoder", tmp_path)
    with pytest.raises(BenchmarkError, match="only built-in reference rows may see"):
        run("toy-wants-oracle", tmp_path)
    records, refused = unlearnbench.run_requests(
        [Request("toy", "toy-wants-encoder", [0], {}), Request("toy", "toy-good", [0], {})],
        results=tmp_path,
        **OPTIONS,
    )
    assert [record.method.name for record in records] == ["toy-good"]
    assert [refusal.method for refusal in refused] == ["toy-wants-encoder"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lrr": 0.1}, "did you mean lr?"),
        ({"lr": "fast"}, "The setting 'lr' of the method 'toy-good' cannot be 'fast'"),
        ({"lacking": True}, "run `unlearnbench prepare toy --set lacking=true --plugin "),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path, settings, says):
    with pytest.raises(BenchmarkError) as caught:
        run("toy-good", tmp_path, settings=settings)
    assert says in str(caught.value)


def test_a_read_only_folder_is_one_sentence(tmp_path):
    folder = tmp_path / "file-in-the-way"
    folder.write_text("")
    with pytest.raises(BenchmarkError, match="could not be written: File exists"):
        run("toy-good", folder)


def test_a_folder_on_a_read_only_disk_is_one_sentence(tmp_path):
    """A real one, since root may write wherever a disk lets it."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=24k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a read-only file system cannot be mounted here")
    try:
        with pytest.raises(BenchmarkError, match="could not be written: Read-only file system; choose"):
            run("toy-good", tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    """A real one: a file system of a few kilobytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(BenchmarkError, match="No space left on device; free some space"):
            run("toy-good", disk, seeds=range(6), workers=1)
        loaded = load_records([disk])
        assert loaded.problems == []
        assert 1 <= len(loaded.records) < 6
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_broken_plugin_that_nobody_named_stops_nothing(tmp_path, monkeypatch):
    package = tmp_path / "packages" / "lost-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: lost\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[unlearnbench.methods]\nlost = no_such_module:Lost\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    requests = [Request("toy", "lost", [0], {}, by_name=False), Request("toy", "toy-good", [0], {})]
    records, refused = unlearnbench.run_requests(requests, results=tmp_path, **OPTIONS)
    assert [record.method.name for record in records] == ["toy-good"]
    assert "cannot be loaded" in refused[0].reason
    with pytest.raises(BenchmarkError, match="The method 'lost' cannot be loaded"):
        unlearnbench.run_requests([Request("toy", "lost", [0], {})], results=tmp_path, **OPTIONS)


SUITE = """
description = "toy"
[[runs]]
tasks = ["toy"]
methods = ["original", "oracle", "finetune"]
seeds = [0, 1]
[runs.settings]
finetune = { steps = 3 }
"""


@pytest.fixture(scope="module")
def undisturbed(warm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "toy.toml").write_text(SUITE)
    unlearnbench.suite(str(folder / "toy.toml"), results=folder / "results", **OPTIONS)
    return folder


def again(folder, results):
    unlearnbench.suite(str(folder / "toy.toml"), results=results, **OPTIONS)


def copied(undisturbed, tmp_path):
    results = tmp_path / "results"
    subprocess.run(["cp", "-r", undisturbed / "results", results], check=True)
    return results


def test_deleting_any_one_record_or_truncating_one_ends_with_the_same_board(undisturbed, tmp_path):
    expected = quality(undisturbed / "results"), board(undisturbed / "results")
    assert len(expected[0]) == 6
    results = copied(undisturbed, tmp_path)
    files = sorted(results.rglob("*.json"))
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-50])
    files[2].write_bytes(b"")
    again(undisturbed, results)
    assert (quality(results), board(results)) == expected


def start_suite(undisturbed, results):
    # A shell that starts the tests in the background has them ignore Ctrl-C, and a child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "unlearnbench",
            "suite",
            undisturbed / "toy.toml",
            "--plugin",
            TOY,
            "--results",
            results,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **worker_environment(1), "UNLEARNBENCH_TEST": str(results)},
    )


def wait_for_records(results, count):
    deadline = time.monotonic() + 300
    while len(list(results.rglob("*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_alive(results):
    """Workers of this suite that still run, and servers that they were forked from; they inherit its environment."""
    alive = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if b"unlearnbench.benchmark.running" in command and f"UNLEARNBENCH_TEST={results}".encode() in environment:
            alive.append(process.name)
    return alive


def check_no_worker_outlives_its_runner(results):
    deadline = time.monotonic() + 30
    while workers_alive(results):
        assert time.monotonic() < deadline, "a worker outlived its runner"
        time.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_suite_that_is_stopped_in_the_middle_ends_like_an_undisturbed_one(undisturbed, tmp_path, how):
    expected = quality(undisturbed / "results"), board(undisturbed / "results")
    results = tmp_path / "results"
    process = start_suite(undisturbed, results)
    wait_for_records(results, 2)
    process.send_signal(how)
    _, message = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "What is finished is kept" in message
        assert "Traceback" not in message
    check_no_worker_outlives_its_runner(results)
    kept = load_records([results])
    assert kept.problems == []
    assert 2 <= len(kept.records) < 6
    assert all(record.status == "ok" for record in kept.records)
    again(undisturbed, results)
    assert (quality(results), board(results)) == expected
    assert not list(results.rglob("*.part"))


def test_a_suite_killed_at_random_moments_ends_like_an_undisturbed_one(undisturbed, tmp_path):
    """Real workers and the command line; ``test_kills.py`` has ten times as many moments with light workers."""
    expected, chance = (quality(undisturbed / "results"), board(undisturbed / "results")), random.Random(0)
    results = copied(undisturbed, tmp_path)
    for path in sorted(results.rglob("*.json"))[::3]:
        path.unlink()
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = start_suite(undisturbed, results)
        time.sleep(chance.uniform(1, 9))
        process.send_signal(how)
        process.communicate(timeout=60)
        check_no_worker_outlives_its_runner(results)
        kept = quality(results)
        assert kept == {name: expected[0][name] for name in kept}
    again(undisturbed, results)
    assert (quality(results), board(results)) == expected
    assert {path.suffix for path in results.rglob("*") if path.is_file()} == {".json"}


def test_two_commands_on_one_folder_share_the_work(undisturbed, tmp_path):
    results = copied(undisturbed, tmp_path)
    for path in sorted(results.rglob("*.json"))[::3]:
        path.unlink()
    pair = [start_suite(undisturbed, results) for _ in range(2)]
    messages = [process.communicate(timeout=240)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    said = "".join(messages)
    assert (said.count("done"), said.count("kept")) == (2, 10)
    assert quality(results) == quality(undisturbed / "results")
