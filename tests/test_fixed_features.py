"""Features of pictures that never change: kept on disk, to the same bits, and never trusted further than they are checked."""

import dataclasses
import errno
import multiprocessing
import os
import pickle

import numpy as np
import pytest
import torch

from unlearnbench.benchmark.records import files, places
from unlearnbench.tasks.judges import fixed
from unlearnbench.tasks.judges.fixed import CHECKED, FEWEST, fixed_features
from unlearnbench.tasks.judges.judge import Extractor, features

MATRIX = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))


class Counting:
    """A network that knows how many pictures it was shown."""

    def __init__(self, matrix=MATRIX):
        self.seen = 0
        self.matrix = matrix

    def to(self, device):
        return self

    def features(self, images):
        self.seen += len(images)
        return images.flatten(1) @ self.matrix


def extractor(**changes):
    return dataclasses.replace(Extractor(Counting(), "a" * 64), **changes)


def pictures(n=300, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 4, 4), dtype=torch.uint8, generator=generator)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv(places.CACHE, str(tmp_path / "cache"))
    return fixed.features_folder()


def kept(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("images", [pictures(), pictures().float() / 127.5 - 1], ids=["bytes", "numbers"])
def test_the_second_time_they_come_from_the_disk_to_the_bit(folder, images):
    expected = features(extractor(), images)
    first, second = extractor(), extractor()
    for judge in (first, second):
        found = fixed_features(judge, images)
        assert found.dtype == np.float64
        assert np.array_equal(found, expected)
    assert (first.network.seen, second.network.seen) == (300, CHECKED)
    assert len(kept(folder)) == 1


def test_double_precision_stays_double(folder):
    judge = extractor(network=Counting(MATRIX.double()))
    images = pictures().double() / 127.5 - 1
    expected = features(judge, images)
    for _ in range(2):
        assert np.array_equal(fixed_features(judge, images), expected)


def test_half_precision_is_kept_as_it_is():
    judge = extractor(network=Counting(MATRIX.bfloat16()))
    images = (pictures() / 127.5 - 1).bfloat16()
    expected = features(judge, images)
    for _ in range(2):
        assert np.array_equal(fixed_features(judge, images), expected)


def test_few_pictures_are_not_worth_a_file(folder):
    images = pictures(FEWEST - 1)
    assert np.array_equal(fixed_features(extractor(), images), features(extractor(), images))
    assert kept(folder) == []


def other_pixel():
    images = pictures()
    images[-1, 0, 3, 3] += 1
    return images


@pytest.mark.parametrize(
    ("judge", "images"),
    [
        (extractor(sha256="b" * 64), pictures()),
        (extractor(preparation="halved"), pictures()),
        (extractor(), other_pixel()),
        (extractor(), pictures().flip(0)),
        (extractor(), pictures().view(300, 1, 2, 8)),
        (extractor(), pictures().float()),
    ],
    ids=["weights", "preparation", "a pixel", "order", "shape", "type"],
)
def test_what_they_depend_on_finds_a_file_of_its_own(folder, judge, images):
    fixed_features(extractor(), pictures())
    assert np.array_equal(fixed_features(judge, images), features(judge, images))
    assert len(kept(folder)) == 2


def test_another_version_thread_count_or_library_finds_nothing(folder, monkeypatch):
    fixed_features(extractor(), pictures())
    monkeypatch.setattr(fixed, "VERSION", fixed.VERSION + 1)
    fixed_features(extractor(), pictures())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    fixed_features(extractor(), pictures())
    monkeypatch.setattr(torch, "__version__", "9.9")
    fixed_features(extractor(), pictures())
    assert len(kept(folder)) == 4


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:-7] + bytes([data[-7] ^ 1]) + data[-6:],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: pickle.dumps(Evil()),
    ],
    ids=["empty", "cut off", "longer", "a bit", "a bit of the digest", "a pickle"],
)
def test_a_damaged_file_is_made_again(folder, damage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = fixed_features(extractor(), pictures())
    (path,) = kept(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    judge = extractor()
    assert np.array_equal(fixed_features(judge, pictures()), expected)
    assert judge.network.seen == 300
    assert path.read_bytes() == whole
    assert not (tmp_path / "ran").exists()


def test_a_file_under_anothers_name_is_not_taken_for_it(folder):
    fixed_features(extractor(), pictures())
    (first,) = kept(folder)
    expected = fixed_features(extractor(), pictures(seed=2))
    (second,) = set(kept(folder)) - {first}
    second.write_bytes(first.read_bytes())
    assert np.array_equal(fixed_features(extractor(), pictures(seed=2)), expected)


@pytest.mark.parametrize("change", [lambda x: x * 1.1, lambda x: x.flip(0), lambda x: x[:, :4], lambda x: x[:20]])
def test_features_of_somebodys_own_are_found_out_and_replaced(folder, change):
    """A file that is whole and signed, as a method could write it."""
    expected = fixed_features(extractor(), pictures())
    (path,) = kept(folder)
    fixed._write(path, path.name, change(torch.from_numpy(expected).float()))
    assert np.array_equal(fixed_features(extractor(), pictures()), expected)
    judge = extractor()
    assert np.array_equal(fixed_features(judge, pictures()), expected)
    assert judge.network.seen == CHECKED


def test_a_network_of_the_same_weights_that_sees_otherwise_is_found_out(folder):
    fixed_features(extractor(), pictures())
    other = extractor(network=Counting(MATRIX.flip(0)))
    assert np.array_equal(fixed_features(other, pictures()), features(other, pictures()))


def test_the_check_takes_no_random_numbers_of_the_runs(folder):
    fixed_features(extractor(), pictures())
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    fixed_features(extractor(), pictures())
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_where_nothing_can_be_written_everything_is_computed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(places.CACHE, str(tmp_path / "file"))
    for _ in range(2):
        judge = extractor()
        assert np.array_equal(fixed_features(judge, pictures()), features(extractor(), pictures()))
        assert judge.network.seen == 300


def test_on_a_full_disk_everything_is_computed_and_nothing_left(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.Path, "replace", full)
    assert np.array_equal(fixed_features(extractor(), pictures()), features(extractor(), pictures()))
    assert kept(folder) == []


def test_a_folder_in_its_place_is_no_file(folder):
    expected = fixed_features(extractor(), pictures())
    (path,) = kept(folder)
    path.unlink()
    path.mkdir()
    assert np.array_equal(fixed_features(extractor(), pictures()), expected)


def _in_a_process(barrier, answers):
    barrier.wait()
    answers.put(fixed_features(extractor(), pictures()))


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_several_processes_at_once_agree_and_leave_one_whole_file(folder):
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.SimpleQueue()
    processes = [context.Process(target=_in_a_process, args=(barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    expected = features(extractor(), pictures())
    assert all(np.array_equal(one, expected) for one in found)
    (path,) = kept(folder)
    judge = extractor()
    assert np.array_equal(fixed_features(judge, pictures()), expected)
    assert judge.network.seen == CHECKED
    assert path.name == fixed._key(judge, pictures())
