"""Any number of images in bounded memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from unlearnbench.benchmark.metrics import measures, streaming
from unlearnbench.benchmark.metrics.streaming import FeatureSummary, Reservoir

GROWTH = 300 * 10**6


class Projection:
    """A cheap extractor: a fixed random projection of the pixels."""

    dimensions = 12

    def __init__(self):
        self.matrix = torch.randn(3 * 8 * 8, self.dimensions, generator=torch.Generator().manual_seed(0)) / 200

    def __call__(self, images):
        return (images.flatten(1).float() @ self.matrix).numpy()


def pictures(n, seed, contrast=255):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(contrast, (n, 3, 8, 8), dtype=torch.uint8, generator=generator)


def summarized(project, images, **options):
    summary = FeatureSummary(project.dimensions, **options)
    for part in images.split(64):
        summary.add(project(part))
    return summary


def test_a_streamed_set_has_the_metrics_of_a_stored_one():
    project = Projection()
    a, b = pictures(600, 0), pictures(500, 1, contrast=200)
    streamed = [summarized(project, images, reservoir=1000) for images in (a, b)]
    stored = [project(images).astype(float) for images in (a, b)]
    assert streaming.fid(*streamed).value == pytest.approx(measures.fid(*stored).value, rel=1e-6)
    for found, expected in zip(streaming.prdc(*streamed), measures.prdc(*stored), strict=True):
        assert found.value == expected.value
    assert streaming.fid(*streamed).n == 600


@pytest.mark.parametrize(("n", "m"), [(600, 500), (83, 83), (90, 200)])
def test_the_kernel_distance_is_that_of_what_is_kept(n, m):
    summaries = [summarized(Projection(), pictures(count, seed)) for seed, count in enumerate((n, m))]
    found = streaming.kid(*summaries)
    expected = measures.kid(*(summary.sample.features.astype(float) for summary in summaries))
    assert found.n == expected.n == min(n, m)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.interval == pytest.approx(expected.interval, rel=1e-6)


def test_the_reservoir_does_not_depend_on_how_the_stream_is_cut():
    values = np.arange(5000, dtype=np.float32)[:, None]
    kept = []
    for size in (1, 37, 5000):
        reservoir = Reservoir(1, 100, seed=3)
        for start in range(0, len(values), size):
            reservoir.add(values[start : start + size])
        kept.append(reservoir.features)
        assert reservoir.n == 5000
    assert np.array_equal(kept[0], kept[1])
    assert np.array_equal(kept[0], kept[2])
    assert len(np.unique(kept[0])) == 100
    assert not np.array_equal(kept[0], np.sort(kept[0], axis=0))


def test_every_sample_of_a_stream_is_as_likely_to_be_kept():
    counts = np.zeros(60)
    for seed in range(600):
        reservoir = Reservoir(1, 20, seed)
        reservoir.add(np.arange(60, dtype=np.float32)[:, None])
        counts[reservoir.features[:, 0].astype(int)] += 1
    # 600 draws with a chance of a third each: 200 expected, standard deviation 11.5.
    assert np.abs(counts - 200).max() < 4.5 * 11.5
    assert abs(counts[:20].mean() - 200) < 10


def test_a_short_stream_is_kept_whole():
    summary = FeatureSummary(2)
    summary.add(np.ones((7, 2), dtype=np.float32))
    assert summary.n == 7
    assert summary.sample.features.shape == (7, 2)


PROGRAM = """
import json, sys
import torch
from unlearnbench.benchmark.metrics import streaming
from unlearnbench.benchmark.metrics.frechet import frechet_from_moments
from unlearnbench.benchmark.measuring.peaks import process_peak_bytes

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)

def drawn(n):
    for start in range(0, n, 250):
        yield torch.randint(256, (250, 3, 32, 32), dtype=torch.uint8, generator=generator)

n = int(sys.argv[1])
torch.manual_seed(0)
convolution = torch.nn.Conv2d(3, 32, 4, stride=4)

def summarized(count):
    summary = streaming.FeatureSummary(2048, reservoir=500)
    for images in drawn(count):
        with torch.inference_mode():
            summary.add(convolution(images.float() / 255).relu().flatten(1).numpy())
    return summary

summaries = [summarized(count) for count in (n, 2500)]
value = frechet_from_moments(*(summary.moments.total() for summary in summaries))
covered = streaming.prdc(*summaries).coverage.value
print(json.dumps({"n": summaries[0].n, "peak": process_peak_bytes(), "fid": value, "coverage": covered}))
"""


@pytest.mark.slow
def test_ten_times_the_samples_take_no_more_memory():
    """5,000 and 50,000 samples of 32x32 with 2,048 features; features alone would take 800 MB of the latter."""
    found = []
    for n in (5_000, 50_000):
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(n)], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    assert [one["n"] for one in found] == [5_000, 50_000]
    assert all(np.isfinite(one["fid"]) for one in found)
    assert found[1]["peak"] - found[0]["peak"] < GROWTH, found
