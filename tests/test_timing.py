"""The clock: the same code path for a device that answers at once and for one that works on while the host goes ahead."""

import queue
import threading
import time

import pytest
import torch

from unlearnbench.benchmark.measuring.clock import (
    FEWEST_REFERENCE_STEPS,
    REFERENCE_SECONDS,
    REFERENCE_STEPS,
    CudaClock,
    HostClock,
    Stopwatch,
    clock_for,
)
from unlearnbench.benchmark.measuring.peaks import MemoryWatch, process_peak_bytes

CPU = torch.device("cpu")

pytestmark = pytest.mark.alone


class AsynchronousDevice:
    """Does work in the background, as a GPU does: launching returns at once, events are stamped when they are reached."""

    name = "cuda-event"

    def __init__(self):
        self._queue = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while True:
            self._queue.get()()
            self._queue.task_done()

    def launch(self, seconds):
        self._queue.put(lambda: time.sleep(seconds))

    def synchronize(self):
        self._queue.join()

    def mark(self):
        stamp = []
        self._queue.put(lambda: stamp.append(time.perf_counter()))
        return stamp

    def seconds(self, start, end):
        return end[0] - start[0]


def test_work_that_the_method_did_not_wait_for_is_counted():
    device = AsynchronousDevice()
    stopwatch = Stopwatch(device, MemoryWatch(CPU))
    device.launch(0.3)  # left over from before: must not count
    with stopwatch.phase("unlearn", timed=True):
        device.launch(0.2)
    with stopwatch.phase("evaluate"):
        pass
    by_clock = {(p.name, p.clock): p.seconds[0] for p in stopwatch.phases}
    assert 0.2 <= by_clock["unlearn", "host"] < 0.3
    assert 0.2 <= by_clock["unlearn", "cuda-event"] < 0.3
    assert by_clock["evaluate", "host"] < 0.1
    assert stopwatch.unlearn_seconds == by_clock["unlearn", "host"]


def test_each_step_is_timed_on_the_device_without_waiting_for_it():
    device = AsynchronousDevice()
    stopwatch = Stopwatch(device, MemoryWatch(CPU))
    with stopwatch.phase("unlearn", timed=True):
        start = time.perf_counter()
        for _ in range(3):
            stopwatch.lap()
            device.launch(0.05)
            stopwatch.lap()
            device.launch(0.1)  # between two steps: not part of either
        assert time.perf_counter() - start < 0.05
    assert len(stopwatch.step_seconds) == 3
    assert all(0.05 <= seconds < 0.1 for seconds in stopwatch.step_seconds)


def test_the_host_clock_times_steps_too():
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))
    with stopwatch.phase("unlearn", timed=True):
        for _ in range(2):
            stopwatch.lap()
            time.sleep(0.02)
            stopwatch.lap()
    assert [phase.clock for phase in stopwatch.phases] == ["host"]
    assert len(stopwatch.step_seconds) == 2
    assert sum(stopwatch.step_seconds) <= stopwatch.unlearn_seconds


def test_untimed_phases_do_not_count():
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))
    with stopwatch.phase("load"):
        time.sleep(0.02)
    assert stopwatch.unlearn_seconds == 0


def test_a_phase_that_raises_is_timed():
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))
    with pytest.raises(ValueError, match="no"), stopwatch.phase("unlearn", timed=True):
        raise ValueError("no")
    assert len(stopwatch.phases) == 1


def test_a_method_that_replaces_the_clock_does_not_reach_the_harness(monkeypatch):
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))
    with stopwatch.phase("unlearn", timed=True):
        monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
        time.sleep(0.02)
    assert stopwatch.unlearn_seconds >= 0.02


def test_the_processors_seconds_are_those_of_all_threads_in_timed_phases_alone():
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))

    def work():
        start = time.thread_time()
        while time.thread_time() - start < 0.1:
            pass

    with stopwatch.phase("load"):
        work()
    assert stopwatch.cpu_seconds == 0
    with stopwatch.phase("unlearn", timed=True):
        other = threading.Thread(target=work)
        other.start()
        work()
        other.join()
        time.sleep(0.5)
    assert 0.2 <= stopwatch.cpu_seconds < 0.4


def test_reference_steps_are_timed_one_by_one_until_the_device_is_done_and_belong_to_no_phase():
    device = AsynchronousDevice()
    stopwatch = Stopwatch(device, MemoryWatch(CPU))
    device.launch(0.1)  # left over from before: must not count
    stopwatch.reference(lambda: device.launch(0.02))
    assert len(stopwatch.reference_step_seconds) == REFERENCE_STEPS
    assert all(0.02 <= seconds < 0.1 for seconds in stopwatch.reference_step_seconds)
    assert (stopwatch.phases, stopwatch.step_seconds, stopwatch.unlearn_seconds) == ([], [], 0)
    stopwatch.reference(lambda: device.launch(0.02))
    assert len(stopwatch.reference_step_seconds) == 2 * REFERENCE_STEPS


def test_a_slow_reference_step_is_timed_twice_alone():
    stopwatch = Stopwatch(HostClock(), MemoryWatch(CPU))
    stopwatch.reference(lambda: time.sleep(REFERENCE_SECONDS + 0.01))
    assert len(stopwatch.reference_step_seconds) == FEWEST_REFERENCE_STEPS


def test_a_reference_step_does_not_count_in_peak_memory():
    stopwatch = Stopwatch(HostClock(), watch := MemoryWatch(CPU))
    with stopwatch.phase("unlearn", timed=True):
        pass
    small = watch.peak_process_bytes
    stopwatch.reference(lambda: torch.ones(60_000_000))  # 240 MB
    with stopwatch.phase("unlearn", timed=True):
        pass
    stopwatch.reference(lambda: torch.ones(60_000_000))
    assert watch.peak_process_bytes - small < 60_000_000


def test_peak_memory_is_that_of_the_phase_alone():
    before = torch.ones(60_000_000)  # 240 MB that are gone when the phase begins
    del before
    watch = MemoryWatch(CPU)
    watch.start()
    watch.stop()
    small = watch.peak_process_bytes
    watch.start()
    large = torch.ones(30_000_000)
    watch.stop()
    assert watch.peak_process_bytes - small > 0.8 * large.numel() * 4
    assert watch.peak_device_bytes is None
    assert watch.energy_joules is None
    assert process_peak_bytes() > 0


def test_clocks_by_device():
    assert isinstance(clock_for(CPU), HostClock)
    assert isinstance(clock_for(torch.device("cuda")), CudaClock)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cuda_events_and_the_host_agree_on_a_gpu():
    device = torch.device("cuda")
    watch = MemoryWatch(device)
    stopwatch = Stopwatch(clock_for(device), watch)
    a = torch.randn(4096, 4096, device=device)
    with stopwatch.phase("unlearn", timed=True):
        for _ in range(50):
            stopwatch.lap()
            b = a @ a
            stopwatch.lap()
    by_clock = {phase.clock: phase.seconds[0] for phase in stopwatch.phases}
    assert by_clock["cuda-event"] == pytest.approx(by_clock["host"], rel=0.05)
    assert sum(stopwatch.step_seconds) == pytest.approx(by_clock["cuda-event"], rel=0.1)
    assert watch.peak_device_bytes >= a.nbytes + b.nbytes
