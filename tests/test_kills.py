"""A runner that is killed at random moments, and several runners on one folder: real runners with light workers.

The same with real workers and the command line, at fewer moments, is in ``test_runner.py``.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

import light_suite
import light_worker
from unlearnbench.benchmark.records.store import load_records, record_files
from unlearnbench.benchmark.running.claims import Claim, sweep

KILLS = 50
SEED = 20

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def forks():
    """Starts processes that have PyTorch loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["light_suite"])
    return context


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    light_suite.prepare(folder)
    return folder


def outcome(folder: Path) -> dict:
    loaded = load_records([folder])
    assert loaded.problems == []
    return {str(path.relative_to(folder)): None for path in record_files(folder)} | {
        record.filename: record.model_dump(exclude={"created"}) for record in loaded.records
    }


def start(forks, results, prepared, forked=True):
    process = forks.Process(target=light_suite.run, args=(results, prepared, results.parent / "ledger", forked))
    process.start()
    return process


def noted(results: Path, word: str) -> list[str]:
    ledger = results.parent / "ledger"
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [line.split()[1] for line in lines if line.startswith(word)]


def workers(prepared: Path) -> list[int]:
    """The light workers that are alive, and not the servers that they were forked from."""
    return [pid for pid, server in started(prepared) if not server]


def started(prepared: Path) -> list[tuple[int, bool]]:
    """The processes that runners started and that are alive, each with whether it is a server; all inherit a variable."""
    wanted, found = f"{light_worker.PREPARED}={prepared}".encode(), {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(process.name)] = parent, b"running.server" in (process / "cmdline").read_bytes()
        except OSError:
            continue
    return [(pid, forks and parent not in found) for pid, (parent, forks) in found.items()]


def kill(process, prepared: Path, chance: random.Random) -> str:
    """Ends a runner in one of the ways in which runners end."""
    how = chance.choice(("kill", "kill", "terminate", "interrupt", "everything"))
    if how == "everything":
        # As when a machine or a cluster's job is ended: the workers may go first.
        for pid in workers(prepared):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        how = "kill"
    os.kill(process.pid, {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}[how])
    process.join(60)
    assert process.exitcode is not None, "a runner that was told to end goes on"
    return how


@slow
def test_fifty_kills_at_random_moments_change_nothing(forks, prepared, tmp_path):
    """The moments are spread over suites; each ends with the records of an undisturbed one, and nothing else.

    In every other suite workers are new interpreters, as on a GPU.
    """
    expected, chance, kills, suites, interrupted = outcome(prepared), random.Random(SEED), 0, 0, set()
    longest = 1.0
    while kills < KILLS:
        suites += 1
        results = tmp_path / str(suites) / "results"
        results.mkdir(parents=True)
        begun = time.monotonic()
        while True:
            process = start(forks, results, prepared, forked=suites % 2 == 1)
            # The first suite is not disturbed: it tells how long one takes here.
            process.join(None if suites == 1 or kills >= KILLS else chance.uniform(0, longest / 2))
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            interrupted.add(kill(process, prepared, chance))
            kills += 1
            assert all(expected[name] == found for name, found in outcome(results).items())
        longest = time.monotonic() - begun if suites == 1 else longest
        assert outcome(results) == expected
        # None lost, none double, none half-written; no claims and no half-written files left behind.
        assert {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()} == set(expected)
        assert noted(results, "overlap") == []
    assert suites > 1
    assert interrupted == {"kill", "terminate", "interrupt"}
    deadline = time.monotonic() + 30
    while started(prepared):
        assert time.monotonic() < deadline, "a worker or a server outlived its runner"
        time.sleep(0.1)


@slow
def test_two_runners_on_one_folder_share_the_work(forks, prepared, tmp_path):
    results = tmp_path / "results"
    pair = [start(forks, results, prepared) for _ in range(2)]
    for process in pair:
        process.join(120)
    assert [process.exitcode for process in pair] == [0, 0]
    assert outcome(results) == outcome(prepared)
    assert sorted(noted(results, "start")) == sorted(outcome(prepared)), "a run was started twice or never"
    assert noted(results, "overlap") == []


@slow
def test_a_runner_takes_over_what_a_killed_one_had_claimed(forks, prepared, tmp_path):
    results = tmp_path / "results"
    pair = [start(forks, results, prepared) for _ in range(2)]
    deadline = time.monotonic() + 60
    while len(noted(results, "end")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(pair[0].pid, signal.SIGKILL)
    pair[1].join(120)
    assert pair[1].exitcode == 0
    assert outcome(results) == outcome(prepared)


@slow
def test_a_worker_that_is_killed_just_before_its_runner_is_no_failed_run(forks, prepared, tmp_path):
    """A machine or a cluster's job that is ended: the runner must not take its own end for the method's."""
    results = tmp_path / "results"
    process = start(forks, results, prepared)
    deadline = time.monotonic() + 60
    while not (alive := workers(prepared)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    time.sleep(0.3)
    # On a busy machine it may have given up by itself.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    expected = outcome(prepared)
    assert all(expected[name] == found for name, found in outcome(results).items())


def test_a_claim_is_held_once_and_cleans_up(tmp_path):
    path = tmp_path / "toy" / "x.json"
    claim = Claim.take(path)
    half = path.with_name(".x.json.abc.part")
    half.write_bytes(b"{")
    assert Claim.take(path) is None
    sweep(path)
    assert half.exists(), "somebody is at work on it"
    claim.release()
    assert [file.name for file in path.parent.iterdir()] == [half.name]
    again = Claim.take(path)
    assert not half.exists()
    again.release()
    assert list(path.parent.iterdir()) == []


def test_a_claim_outlives_its_runner_as_long_as_its_worker_lives(tmp_path):
    path = tmp_path / "x.json"
    claim = Claim.take(path)
    worker = os.dup(claim.fileno())
    os.close(claim.fileno())
    assert Claim.take(path) is None
    os.close(worker)
    again = Claim.take(path)
    assert again is not None
    again.release()
