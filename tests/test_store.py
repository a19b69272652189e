"""Records on disk: whole or absent, whatever happens."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from helpers import make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records import record as record_module
from unlearnbench.benchmark.records import store
from unlearnbench.benchmark.records.files import check_writable, write_atomically
from unlearnbench.benchmark.records.store import find_record, load_records, next_moment, write_record
from unlearnbench.leaderboard.rows import latest


def test_a_written_record_is_found_again(tmp_path):
    record = make_record("sfron")
    path = write_record(tmp_path, record)
    assert path.is_file()
    assert find_record(tmp_path, record.filename) == record
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_truncated_record_counts_as_absent_and_is_reported(tmp_path):
    whole = write_record(tmp_path, make_record("sfron"))
    broken = write_record(tmp_path, make_record("salun"))
    broken.write_bytes(broken.read_bytes()[:-100])
    assert find_record(tmp_path, make_record("salun").filename) is None
    loaded = load_records([tmp_path])
    assert [record.method.name for record in loaded.records] == ["sfron"]
    assert len(loaded.problems) == 1
    assert str(broken) in loaded.problems[0]
    assert whole.is_file()


def test_a_later_folder_wins(tmp_path):
    write_record(tmp_path / "a", make_record("sfron", seconds=1.0))
    write_record(tmp_path / "b", make_record("sfron", seconds=2.0))
    records = load_records([tmp_path / "a", tmp_path / "b"]).records
    assert [record.cost.unlearn_seconds for record in records] == [2.0]


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(BenchmarkError, match="There is no results folder"):
        load_records([tmp_path / "nothing"])


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomically(path, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BenchmarkError, match="No space left on device; free some space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_file_size_limit_is_one_sentence(tmp_path):
    """The kernel refuses the write, as it does on a full disk."""
    code = (
        "import resource, signal, pathlib\n"
        "from unlearnbench.benchmark.records.store import write_atomically\n"
        "from unlearnbench.benchmark.errors import BenchmarkError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_atomically(pathlib.Path('big'), b'x' * 5000)\n"
        "except BenchmarkError as error:\n    print('refused:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused: big could not be written: File too large")
    assert list(tmp_path.iterdir()) == []


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "x"
    write_atomically(path, b"a" * 100_000)
    stop = threading.Event()
    seen = set()

    def read():
        while not stop.is_set():
            data = path.read_bytes()
            seen.add((len(data), data[:1], data[-1:]))

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(60):
        write_atomically(path, b"ab"[index % 2 : index % 2 + 1] * 100_000)
    stop.set()
    reader.join()
    assert seen <= {(100_000, b"a", b"a"), (100_000, b"b", b"b")}


@pytest.mark.parametrize(
    ("there", "now", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z", "2026-01-01T00:00:01Z"),
        ("2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_records_keep_their_order_when_the_clock_is_set_back(tmp_path, monkeypatch, there, now, expected):
    write_record(tmp_path, make_record("sfron", created=there))
    write_record(tmp_path, make_record("salun", created="2030-01-01T00:00:00Z"))
    monkeypatch.setattr(store, "utc_now", lambda: now)
    monkeypatch.setattr(record_module, "utc_now", lambda: now)
    assert next_moment(tmp_path, "digits-ddpm", "sfron") == expected


def test_the_newest_source_stays_the_newest_when_the_clock_is_set_back(tmp_path, monkeypatch):
    old = make_record("sfron", 0, run_id="a" * 64, created="2026-06-01T00:00:00Z")
    write_record(tmp_path, old)
    monkeypatch.setattr(store, "utc_now", lambda: "2026-01-01T00:00:00Z")
    changed = old.method.model_copy(update={"source_sha256": "3" * 64})
    later = next_moment(tmp_path, "digits-ddpm", "sfron")
    new = make_record("sfron", 0, run_id="b" * 64, created=later).model_copy(update={"method": changed})
    assert latest([new, old]) == [new]


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(BenchmarkError, match="results could not be written: File exists; choose"):
        check_writable(tmp_path / "results")


def test_the_check_of_a_folder_leaves_nothing(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
