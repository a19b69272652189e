"""Where a run is and how long it will take: what the worker says, what is made of it, and what is drawn."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

import unlearnbench
from helpers import GOOD, TASK, TOY, make_record
from unlearnbench.benchmark.commands.pace import Course, Usual, span, usual
from unlearnbench.benchmark.commands.terminal import RunProgress
from unlearnbench.benchmark.measuring.counts import Meter
from unlearnbench.benchmark.records.record import Phase
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.benchmark.running.identity import RunSpec
from unlearnbench.benchmark.running.plan import Event, Plan
from unlearnbench.benchmark.running.steps import SharedCount, Step
from unlearnbench.benchmark.running.tuned import Tuned


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def planned(results, method="sfron", seed=0, **changes) -> Plan:
    record = make_record(method, seed, GOOD, **changes)
    spec = RunSpec(
        task="digits-ddpm", method=method, seed=seed, device="cpu", threads=1, plugins=[], results=Path(results)
    )
    return Plan(spec, record.task, record.method, record.run_id, record.device, seconds=1800.0)


def timed(method="sfron", seed=0, seconds=None, steps=50, **changes):
    record = make_record(method, seed, GOOD, **changes)
    took = {"load": 2.0, "warmup": 1.0, "unlearn": 50.0, "evaluate": 30.0, **(seconds or {})}
    phases = [Phase(name=name, timed=name == "unlearn", clock="host", seconds=[value]) for name, value in took.items()]
    return record.model_copy(update={"cost": record.cost.model_copy(update={"phases": phases, "steps": steps})})


@pytest.mark.parametrize(
    ("loops", "taken", "planned_steps"),
    [([50], [50], 50), ([50], [20], 50), ([3, 7], [3, 7], 10), ([5, 7], [2, 7], None)],
)
def test_the_meter_knows_how_many_steps_there_will_be_or_that_it_does_not(loops, taken, planned_steps):
    meter = Meter()
    for count, done in zip(loops, taken, strict=True):
        meter.expect(count)
        for _ in range(done):
            with meter.step():
                pass
    assert (meter.planned, meter.steps) == (planned_steps, sum(taken))


def test_a_loop_inside_another_leaves_the_number_of_steps_unknown():
    meter = Meter()
    meter.expect(2)
    with meter.step():
        meter.expect(3)
        with meter.step():
            pass
    assert meter.planned is None


def test_the_shared_count_tells_what_is_new_once_and_no_sum_that_is_exceeded():
    count, meter = SharedCount(), Meter()
    assert count.news() is None
    meter.expect(3)
    with meter.step():
        count.write(meter)
    assert count.news() == Step(1, 3)
    assert count.news() is None
    for _ in range(3):
        with meter.step():
            count.write(meter)
    assert count.news() == Step(4, None)


def test_what_is_written_on_the_clock_takes_microseconds():
    count, meter = SharedCount(), Meter()
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            count.write(meter)
        best = min(best, (time.perf_counter() - start) / 1000)
    assert best < 10e-6


SLOW = """
import time
from unlearnbench import Method, Need

class Slow(Method):
    name = "slow"
    needs = frozenset({Need.RETAIN})

    def unlearn(self, problem):
        for _ in problem.steps(20):
            time.sleep(0.05)
"""


def test_a_run_tells_its_steps_a_few_times_a_second_and_only_while_it_unlearns(tmp_path, warm):
    (tmp_path / "slow.py").write_text(SLOW)
    events = []
    (record,) = unlearnbench.run(
        "toy",
        "slow",
        plugins=[TOY, tmp_path / "slow.py"],
        results=tmp_path / "results",
        device="cpu",
        on_event=events.append,
    )
    assert record.status == "ok"
    assert [event.phase for event in events if event.step is None] == ["start", "load", "unlearn", "evaluate", "end"]
    steps = [event.step for event in events if event.step is not None]
    assert 2 <= len(steps) <= 8
    assert all(step.of == 20 for step in steps)
    assert [step.number for step in steps] == sorted({step.number for step in steps})
    first, last = (next(i for i, e in enumerate(events) if e.phase == name) for name in ("unlearn", "evaluate"))
    assert all(first < index < last for index, event in enumerate(events) if event.step is not None)
    assert len(record.cost.step_seconds) == 20


def test_earlier_records_tell_what_a_run_takes(tmp_path):
    own, shipped = tmp_path / "results", tmp_path / "shipped"
    item = planned(own)
    assert usual(item, [own, shipped]) == Usual()
    write_record(shipped, timed("salun", seconds={"evaluate": 40.0}))
    assert usual(item, [own, shipped]) == Usual(before=3.0, evaluate=40.0)
    write_record(own, timed(passed={"lr": 0.5}, steps=10))
    found = usual(item, [own, shipped])
    assert (found.unlearn, found.steps, found.evaluate, found.step) == (None, None, 30.0, 5.0)
    write_record(own, timed(seed=1))
    found = usual(item, [own, shipped])
    assert (found.unlearn, found.steps) == (50.0, 50)


def test_a_record_of_another_size_of_the_task_tells_nothing_and_of_another_request_all(tmp_path):
    config = {"forget_class": 3, "samples": 100}
    for name, changed in (("other", {"samples": 9}), ("request", {"forget_class": 5})):
        write_record(tmp_path / name, timed("salun", task=TASK.model_copy(update={"config": config | changed})))
    item = planned(tmp_path, task=TASK.model_copy(update={"config": config}))
    assert usual(item, [tmp_path / "other"]) == Usual()
    assert usual(item, [tmp_path / "request"]).evaluate == 30.0


def test_a_file_that_is_no_record_and_a_folder_that_is_not_there_tell_nothing(tmp_path):
    broken = tmp_path / "digits-ddpm" / "sfron" / "seed0-x.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    assert usual(planned(tmp_path), [tmp_path, tmp_path / "nowhere"]) == Usual()


def follow(course, clock, *events):
    item = planned("results")
    for now, phase, step in events:
        clock.now = now
        course.follow(Event(item, phase, step=step))


def test_a_course_goes_by_what_is_usual_and_then_by_its_own_pace():
    clock = Clock()
    course = Course(Usual(before=3.0, unlearn=50.0, evaluate=30.0, steps=50, step=1.0), clock)
    follow(course, clock, (0, "start", None), (1, "load", None))
    assert (course.text, course.left) == ("load", 83.0)
    follow(course, clock, (4, "unlearn", None))
    assert (course.text, course.left) == ("unlearn", 80.0)
    follow(course, clock, (5, "unlearn", Step(1, 50)), (25, "unlearn", Step(11, 50)))
    # Two seconds a step, twice the usual: so will the evaluation take twice as long.
    assert (course.text, course.left) == ("unlearn 11/50", 39 * 2 + 60)
    assert course.share == pytest.approx(25 / (25 + 138))
    follow(course, clock, (104, "evaluate", None))
    clock.now = 114
    assert (course.text, course.left) == ("evaluate", 50.0)
    clock.now = 104 + 1000
    assert course.left is None
    assert course.share is None


def test_a_first_run_of_a_task_shows_its_steps_and_promises_nothing():
    clock = Clock()
    course = Course(Usual(), clock)
    follow(course, clock, (0, "start", None), (1, "unlearn", None), (2, "unlearn", Step(5, 20)))
    assert (course.text, course.left, course.share) == ("unlearn 5/20", None, 0.25)
    follow(course, clock, (3, "unlearn", Step(6, None)))
    assert (course.text, course.share) == ("unlearn 6", None)
    follow(course, clock, (4, "job 12 pending", None))
    assert (course.is_here, course.left) == (False, None)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0, "0:00"), (65, "1:05"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_spans(seconds, text):
    assert span(seconds) == text


def progress(terminal, clock, width=80):
    console = Console(file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=width)
    return RunProgress(console, clock), console.file


def test_without_a_terminal_there_is_at_most_a_plain_line_a_phase(tmp_path):
    clock = Clock()
    shown, file = progress(False, clock)
    item = planned(tmp_path)
    write_record(tmp_path, timed(seed=1))
    with shown:
        shown.plan(1)
        shown.event(Event(item, "start"))
        shown.event(Event(item, "load"))
        shown.event(Event(item, "unlearn"))
        for number in range(1, 50):
            clock.now += 1
            shown.event(Event(item, "unlearn", step=Step(number, 50)))
        shown.event(Event(item, "evaluate"))
        shown.event(Event(item, "end", timed()))
    assert file.getvalue().splitlines() == [
        "digits-ddpm sfron seed 0: load, about 1:23 left",
        "digits-ddpm sfron seed 0: unlearn, about 1:20 left",
        "digits-ddpm sfron seed 0: evaluate, about 0:30 left",
        "done digits-ddpm sfron seed 0 (unlearning took 10.0 s)",
    ]


def test_settings_of_a_search_with_another_version_of_the_file_are_told_once(tmp_path):
    shown, file = progress(False, Clock())
    item = planned(tmp_path)
    tuned = Tuned(settings={}, trials=8, source_sha256="1" * 64)
    item = item._replace(
        spec=item.spec.model_copy(update={"tuned": tuned, "plugins": [Path("mine.py")]}),
        method=item.method.model_copy(update={"distribution": "file"}),
    )
    with shown:
        shown.plan(2)
        for phase in ("start", "load"):
            shown.event(Event(item, phase))
    said = " ".join(file.getvalue().split())
    assert said.count("the file of 'sfron' has changed since") == 1
    assert "search again with `unlearnbench tune digits-ddpm sfron --plugin mine.py`" in said


def test_a_terminal_shows_each_run_that_goes_on_and_all_of_them_within_80_columns(tmp_path):
    clock = Clock()
    shown, file = progress(True, clock)
    write_record(tmp_path, timed(seed=7))
    shown.plan(3)
    for seed in (0, 1):
        item = planned(tmp_path, seed=seed)
        shown.event(Event(item, "start"))
        shown.event(Event(item, "unlearn"))
        shown.event(Event(item, "unlearn", step=Step(10, 50)))
    clock.now = 10.0
    shown.event(Event(item, "unlearn", step=Step(20, 50)))
    drawn = Console(file=io.StringIO(), width=80)
    drawn.print(shown._bars._bars.get_renderable())
    lines = drawn.file.getvalue().rstrip().splitlines()
    assert len(lines) == 3
    assert "0 of 3 runs" in lines[0]
    assert lines[1].endswith("1:10 left unlearn 10/50 digits-ddpm sfron seed 0")
    assert lines[2].endswith("1:00 left unlearn 20/50 digits-ddpm sfron seed 1")
    assert max(map(len, lines)) <= 80
    shown.event(Event(item, "end", timed()))
    drawn = Console(file=io.StringIO(), width=80)
    drawn.print(shown._bars._bars.get_renderable())
    assert "1 of 3 runs" in drawn.file.getvalue()
    assert "seed 1" not in drawn.file.getvalue()
    assert "done" in file.getvalue()


def test_of_many_jobs_elsewhere_none_is_drawn(tmp_path):
    shown, _ = progress(True, Clock())
    shown.plan(300)
    for seed in range(30):
        shown.event(Event(planned(tmp_path, seed=seed), f"job {seed} pending"))
    drawn = Console(file=io.StringIO(), width=80)
    drawn.print(shown._bars._bars.get_renderable())
    (line,) = drawn.file.getvalue().rstrip().splitlines()
    assert "0 of 300 runs, 30 more going on" in line
