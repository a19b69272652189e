"""What measures a GPU is rehearsed whole on a CPU, and its page is made of what it measured."""

import json

import pytest
import torch

from unlearnbench.docs.make import gpu
from unlearnbench.docs.make.gpu import MINIATURE, Bench, measure, page


@pytest.mark.slow
def test_every_measurement_is_made_once_and_stands_on_the_page(tmp_path, monkeypatch):
    path = tmp_path / "gpu.json"
    bench = Bench(torch.device("cpu"), MINIATURE)
    measure(bench, path, minutes=10)
    ((chip, found),) = json.loads(path.read_text()).items()
    assert list(found) == [name for name, _ in bench.measurements()]
    assert not any("failed" in numbers for numbers in found.values()), found
    assert all(value is None or value >= 0 for numbers in found.values() for value in numbers.values())
    text = page(path)
    assert f"## {chip}" in text
    assert all(f"| {name} |" in text for name in found)
    monkeypatch.setattr(Bench, "_products", lambda self: pytest.fail("measured again"))
    measure(bench, path, minutes=10)


def test_a_step_that_noise_hides_is_not_printed(tmp_path, monkeypatch):
    seconds = iter([2.0, 1.9])
    monkeypatch.setattr(Bench, "_seconds", lambda self, call, times, warm=True: next(seconds))
    bench = Bench(torch.device("cpu"), MINIATURE)
    sfron = next(call for name, call in bench.measurements() if name.startswith("sfron"))
    monkeypatch.setattr(bench, "measurements", lambda: iter([("hidden", sfron)]))
    measure(bench, tmp_path / "gpu.json", minutes=1)
    assert "| hidden | too short to be told from noise |" in page(tmp_path / "gpu.json")


def test_what_fails_on_a_chip_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    def fails():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")

    bench = Bench(torch.device("cpu"), MINIATURE)
    monkeypatch.setattr(bench, "measurements", lambda: iter([("large", fails), ("small", lambda: {"images/s": 2.0})]))
    measure(bench, tmp_path / "gpu.json", minutes=1)
    text = page(tmp_path / "gpu.json")
    assert "| large | failed: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB |" in text
    assert "| small | images/s 2 |" in text


def test_the_page_is_made_of_the_file():
    assert gpu.RESULTS.with_suffix(".md").read_text() == page()
