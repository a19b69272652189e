"""Runs on a real Slurm cluster, of one node on this machine: ``tests/slurm_node.sh start`` brings it up."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import unlearnbench
from helpers import TOY
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.benchmark.running import slurm as slurm_jobs
from unlearnbench.benchmark.running.limits import make_limits
from unlearnbench.benchmark.running.plan import Placement, plan
from unlearnbench.benchmark.running.requests import Request
from unlearnbench.benchmark.running.slurm import job_name, queue, run_command

slow = pytest.mark.slow


@pytest.fixture
def slurm():
    """Skips where there is no cluster, and leaves none of its jobs behind."""
    pytest.importorskip("submitit", reason="submitit is not installed")
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed; on Debian: apt-get install slurm-wlm munge, tests/slurm_node.sh start")
    answer = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False, timeout=60
    )
    if not {"idle", "mixed", "allocated", "completing"} & set(answer.stdout.split()):
        pytest.skip(f"Slurm has no node that works: {(answer.stdout + answer.stderr).strip()}")
    before = set(queue())
    yield
    for job in set(queue()) - before:
        subprocess.run(["scancel", job], check=False)


def start(results, method, *arguments):
    # A shell that starts the tests in the background has them ignore Ctrl-C, and a child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = ["run", "toy", method, "--plugin", TOY, "--device", "cpu", "--results", results, "--executor", "slurm"]
    return subprocess.Popen(
        [sys.executable, "-m", "unlearnbench", *words, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )


def jobs(results, seeds, method="toy-sleeps", state="RUNNING"):
    """The numbers of the jobs of some seeds, as soon as all are in a state."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = {}
        for number, (name, now) in queue().items():
            match = re.match(rf"{method}-seed(\d+)-", name)
            if match and now == state:
                found[int(match[1])] = number
        if set(seeds) <= set(found):
            return [found[seed] for seed in seeds]
        time.sleep(0.2)
    raise AssertionError(f"no jobs {seeds} that are {state}: {queue()}")


def submissions(results):
    return len(list((results / ".slurm").glob("[0-9]*_submission.sh")))


def seeds_done(results):
    loaded = load_records([results])
    assert loaded.problems == []
    assert all(record.status == "ok" for record in loaded.records)
    return sorted(record.seed for record in loaded.records)


@slow
def test_jobs_leave_the_records_that_processes_here_leave(slurm, tmp_path):
    options = {"plugins": [TOY], "device": "cpu", "seeds": (0, 1)}
    seen = []
    there = unlearnbench.run(
        "toy",
        "toy-good",
        results=tmp_path / "there",
        executor="slurm",
        slurm={"mem": "1500M"},
        on_event=lambda event: seen.append(event.phase),
        **options,
    )
    here = unlearnbench.run("toy", "toy-good", results=tmp_path / "here", **options)
    for one, other in zip(there, here, strict=True):
        left_out = {"created", "cost", "provenance"}
        assert one.model_dump(exclude=left_out) == other.model_dump(exclude=left_out)
    assert any("running" in phase for phase in seen)
    assert submissions(tmp_path / "there") == 2
    seen.clear()
    unlearnbench.run("toy", "toy-good", results=tmp_path / "there", executor="slurm", **options)
    assert submissions(tmp_path / "there") == 2, "a finished run was submitted again"


@slow
def test_a_requeued_job_is_seen_through_and_a_cancelled_one_is_made_by_the_next_command(slurm, tmp_path):
    arguments = ("--seeds", "0,1", "--set", "seconds=4")
    process = start(tmp_path, "toy-sleeps", *arguments)
    requeued, cancelled = jobs(tmp_path, [0, 1])
    subprocess.run(["scontrol", "requeue", requeued], check=True)
    subprocess.run(["scancel", cancelled], check=True)
    jobs(tmp_path, [0], state="PENDING")
    # Slurm itself would wait two minutes.
    subprocess.run(["scontrol", "update", f"JobId={requeued}", "StartTime=now"], check=True)
    _, message = process.communicate(timeout=240)
    assert process.returncode == 2
    assert f"The Slurm job {cancelled} of toy toy-sleeps seed 1 ended as CANCELLED and left no record" in message
    assert "Traceback" not in message
    assert seeds_done(tmp_path) == [0]
    again = start(tmp_path, "toy-sleeps", *arguments)
    _, message = again.communicate(timeout=240)
    assert again.returncode == 0, message
    assert (message.count("kept"), message.count("done")) == (1, 1)
    assert seeds_done(tmp_path) == [0, 1]


@slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_jobs_outlive_their_runner_and_the_next_command_takes_them_over(slurm, tmp_path, how):
    arguments = ("--seeds", "0", "--set", "seconds=8")
    process = start(tmp_path, "toy-sleeps", *arguments)
    (job,) = jobs(tmp_path, [0])
    process.send_signal(how)
    _, message = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert f"to end them, too: scancel {job}" in message
    again = start(tmp_path, "toy-sleeps", *arguments)
    _, message = again.communicate(timeout=240)
    assert again.returncode == 0, message
    assert seeds_done(tmp_path) == [0]
    assert submissions(tmp_path) == 1


@slow
def test_what_slurm_refuses_is_one_sentence(slurm, tmp_path):
    options = {"plugins": [TOY], "device": "cpu", "results": tmp_path, "executor": "slurm"}
    with pytest.raises(BenchmarkError, match="Slurm did not take the job of toy toy-good seed 0: .*partition"):
        unlearnbench.run("toy", "toy-good", slurm={"partition": "nowhere"}, **options)
    with pytest.raises(BenchmarkError, match="no Slurm option named 'partitoin'; did you mean partition"):
        unlearnbench.run("toy", "toy-good", slurm={"partitoin": "main"}, **options)


def test_without_slurm_or_submitit_it_is_one_sentence(tmp_path, monkeypatch):
    options = {"plugins": [TOY], "device": "cpu", "results": tmp_path}
    with pytest.raises(BenchmarkError, match="There is no executor 'cloud'; choose local or slurm"):
        unlearnbench.run("toy", "toy-good", executor="cloud", **options)
    with pytest.raises(BenchmarkError, match="needs --executor slurm"):
        unlearnbench.run("toy", "toy-good", slurm={"partition": "main"}, **options)
    monkeypatch.setenv("PATH", "")
    pytest.importorskip("submitit", reason="submitit is not installed")
    with pytest.raises(BenchmarkError, match="There is no `srun` here: start this on a machine of a Slurm cluster"):
        unlearnbench.run("toy", "toy-good", executor="slurm", **options)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BenchmarkError, match="install it with `pip install 'unlearnbench\\[slurm\\]'`"):
        unlearnbench.run("toy", "toy-good", executor="slurm", **options)


def elsewhere(results, **settings):
    registry.add_plugin(TOY)
    where = Placement(results, "auto", 1, (TOY,), any_device=True)
    (item,) = plan([Request("toy", "toy-good", [3], settings)], where)[0]
    return item


def test_a_job_is_the_whole_command(tmp_path):
    item = elsewhere(tmp_path, steps=7)
    words = run_command(item, tmp_path, make_limits(60, 2, here=False), retry_failed=True)
    assert words[1:6] == ["-m", "unlearnbench", "run", "toy", "toy-good"]
    said = " ".join(words[6:])
    assert said == (
        f"--seeds 3 --workers 1 --results {tmp_path} --device auto --threads 1 --time-limit 60 --memory-limit 2.0 "
        f"--set steps=7 --plugin {TOY} --retry-failed"
    )


def test_a_job_asks_for_the_time_that_its_run_may_take(tmp_path, monkeypatch):
    """Ten minutes more than that: the user's limit, or else the task's, which the job then finds by itself."""
    asked = []

    class Submitter:
        def __init__(self, folder, **options):
            pass

        @staticmethod
        def _valid_parameters():
            return {"time", "partition"}

        def update_parameters(self, **options):
            asked.append(options["time"])

        def submit(self, function):
            asked.append(function.command)
            return SimpleNamespace(job_id=7)

    monkeypatch.setattr(slurm_jobs, "_submitit", Submitter)
    monkeypatch.setattr(slurm_jobs, "queue", dict)
    item = elsewhere(tmp_path)._replace(seconds=7200.0)
    for seconds, options in ((None, {}), (60, {}), (None, {"time": 5})):
        executor = slurm_jobs.SlurmExecutor(
            tmp_path, options, make_limits(seconds, here=False), workers=1, retry_failed=False
        )
        executor._sbatch(item, "name")
    assert asked[::2] == [130, 11, 5]
    assert ["--time-limit" in words for words in asked[1::2]] == [False, True, False]


def test_a_job_has_a_name_of_its_own_for_each_run_and_folder(tmp_path):
    one, other = elsewhere(tmp_path), elsewhere(tmp_path, steps=7)
    names = {job_name(one, tmp_path), job_name(other, tmp_path), job_name(one, tmp_path / "b")}
    assert len(names) == 3
    assert all(name.startswith("toy-good-seed3-") for name in names)


def test_a_run_of_any_device_finds_its_record_whatever_made_it(tmp_path):
    from unlearnbench.benchmark.records.record import Device, Record, record_filename
    from unlearnbench.benchmark.records.store import write_record

    item = elsewhere(tmp_path)
    other = elsewhere(tmp_path, steps=7)
    assert item.find(tmp_path) is None
    record = Record(
        run_id="a" * 64,
        created="2026-01-01T00:00:00Z",
        task=item.task,
        method=item.method,
        seed=3,
        status="ok",
        device=Device(kind="cuda", name="A node's GPU", threads=1),
        cost=None,
        metrics=[],
        provenance=make_provenance(),
    )
    write_record(tmp_path, record)
    assert item.find(tmp_path) == record
    assert other.find(tmp_path) is None
    assert item._replace(spec=item.spec.model_copy(update={"device": "cpu"})).find(tmp_path) is None
    assert record.filename == record_filename("toy", "toy-good", 3, "a" * 64)


def make_provenance():
    from helpers import PROVENANCE

    return PROVENANCE
