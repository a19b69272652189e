"""What the harness costs beside a bare PyTorch loop that takes the same steps on the same model.

`make bench` prints the pair. The test below interleaves both many times, since absolute times are noise here.
"""

import gc
import statistics
import time

import pytest
import torch

from unlearnbench.benchmark.memory import MemoryWatch
from unlearnbench.benchmark.primitives import descend
from unlearnbench.benchmark.run import make_method, make_task
from unlearnbench.benchmark.timing import Stopwatch, clock_for
from unlearnbench.tasks.class_forgetting import diffusion

CPU = torch.device("cpu")
STEPS = 8
LIMIT = 0.03


@pytest.fixture(scope="module")
def task():
    return make_task("digits-ddpm", {})


@pytest.fixture(autouse=True)
def _small_heap():
    """A phase starts on a collected heap, before its clock does. A test session's heap is far larger than a worker's, so
    what is in it is set aside: the collection is paid once a run, and these are rounds of a few steps."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def bare(task):
    """Retain fine-tuning as one would write it without the suite."""
    model = task.load_model("base.safetensors").train()
    pool = task.training_pool()
    keep = pool.labels != task.forget_class
    images, labels = pool.images[keep], pool.labels[keep]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    schedule = diffusion.noise_schedule()

    def steps():
        for _ in range(STEPS):
            index = torch.randperm(len(labels), generator=generator)[:128]
            x, y = images[index], labels[index]
            draw = diffusion.draw_corruption(x, generator)
            noisy = schedule.add_noise(x, draw["noise"], draw["timesteps"])
            given = torch.where(draw["dropped"], 10, y)
            predicted = model(noisy, draw["timesteps"], class_labels=given).sample
            loss = (predicted - draw["noise"]).square().flatten(1).mean(1).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return steps


def harnessed(task):
    """The same steps through the problem, the meter and the stopwatch."""
    problem = task.problem(make_method("finetune", {}), 0, CPU)
    stopwatch = Stopwatch(clock_for(CPU), MemoryWatch(CPU))
    problem.meter.on_step = stopwatch.lap
    optimizer = torch.optim.Adam(problem.parameters(), lr=1e-4)

    def steps():
        with stopwatch.phase("unlearn", timed=True):
            for retain in problem.batches("retain", STEPS):
                descend(optimizer, problem.loss(retain).mean(), clip=1.0)

    return steps


@pytest.mark.benchmark(group="harness")
def test_bare_loop(benchmark, task):
    benchmark.pedantic(bare(task), rounds=10, warmup_rounds=1)


@pytest.mark.benchmark(group="harness")
def test_harnessed_loop(benchmark, task):
    benchmark.pedantic(harnessed(task), rounds=10, warmup_rounds=1)


@pytest.mark.slow
def test_the_harness_costs_at_most_three_percent(task):
    """CPU time, not wall time, and the median of interleaved ratios: other processes share these cores."""
    pair = bare(task), harnessed(task)
    for steps in pair:
        steps()
    ratios = []
    for index in range(12):
        spent = {}
        for which in (0, 1) if index % 2 else (1, 0):
            start = time.process_time()
            pair[which]()
            spent[which] = time.process_time() - start
        ratios.append(spent[1] / spent[0])
    assert statistics.median(ratios) <= 1 + LIMIT, ratios
