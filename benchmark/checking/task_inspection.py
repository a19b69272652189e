"""Looks at a task for the contract, on the CPU and on few samples: ``python -m …task_inspection FILE``.

The file holds an ``Inspection``; what was seen goes into the file that it names.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from .. import registry
from ..errors import BenchmarkError, first_line
from ..measuring.device import CPU
from ..needs import Need
from ..records.files import write_atomically
from ..records.record import Metric
from ..running.identity import check_files, make_method, make_task
from ..running.torch_setup import configure_torch
from ..seeds import derive_seed
from ..task import Task
from . import fingerprint
from .task_faults import IN_PROBLEMS, Subject, in_numbers, key_of
from .task_observation import Inspection, Number, SeenTask

BATCHES = 2
"""That tell two problems apart."""


def inspect(order: Inspection) -> SeenTask:
    """Returns what a task showed.

    Raises:
        BenchmarkError: It cannot be found, loaded or configured, or is not prepared.
    """
    configure_torch(1)
    task = _load(order)
    check_files(task)
    return Look(task, order.whole).seen


class Look:
    """Looks at a task; ``seen`` holds what it showed.

    Args:
        task: The task.
        whole: Whether to look at everything, or only at what must be the same in every process.
    """

    def __init__(self, task: Task, whole: bool) -> None:
        self._task = task
        self._subject = Subject(task)
        self.seen = SeenTask(name=task.name, settings=task.model_dump(mode="json"))
        torch.manual_seed(derive_seed("global", 0))
        self._try("identity", self._identify)
        self._try("deterministic", lambda: self._draw(whole))
        if whole:
            fields = type(task).model_fields
            self.seen.undocumented = [name for name, field in fields.items() if not field.description]
            for name, faults in IN_PROBLEMS.items():
                self._try(name, lambda name=name, faults=faults: self._note(name, list(faults(self._subject))))  # type: ignore[misc]
        self._try("repeatable", lambda: self._evaluate(whole))

    def _try(self, name: str, look: Callable[[], None]) -> None:
        """A task is somebody's code: whatever it raises is what the check shows."""
        try:
            look()
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            self.seen.raised[name] = str(error) if isinstance(error, BenchmarkError) else first_line(error)

    def _note(self, name: str, faults: list[str]) -> None:
        if faults:
            self.seen.faults[name] = faults

    def _identify(self) -> None:
        self.seen.sha256 = self._task.sha256()

    def _draw(self, whole: bool) -> None:
        seeds = {"seed 0": 0, "seed 0 again": 0, "seed 1": 1} if whole else {"seed 0": 0}
        for which, seed in seeds.items():
            problem = self._subject.problem(seed=seed)
            drawn = {"noise": problem.random_like(torch.zeros(4))}
            for pool in ("forget", *(["retain"] if Need.RETAIN in self._task.offers else [])):
                for number, batch in enumerate(problem.batches(pool, BATCHES)):  # type: ignore[arg-type]
                    tensors = {"images": batch.images, "labels": batch.labels, **batch.draw}
                    drawn |= {f"{pool}.{number}.{name}": tensor for name, tensor in tensors.items()}
            self.seen.draws[which] = fingerprint.digest_of(drawn)

    def _evaluate(self, whole: bool) -> None:
        task, seen = self._task.brief(), self.seen
        original, oracle = (make_method(name, {}) for name in ("original", "oracle"))
        model = task.problem(original, 0, CPU).model.eval()
        before = fingerprint.digest_of(fingerprint.state_of(model))
        metrics = task.evaluate(model, 0, CPU).metrics
        seen.numbers["original"] = _numbers(metrics)
        if not whole:
            return
        seen.numbers["original again"] = _numbers(task.evaluate(model, 0, CPU).metrics)
        seen.numbers["original, seed 1"] = _numbers(task.evaluate(model, 1, CPU).metrics)
        self._note("numbers", list(in_numbers(metrics, task.family)))
        if fingerprint.digest_of(fingerprint.state_of(model)) != before:
            seen.faults["judging"] = ["the evaluation changes the weights of the model that it judges"]
        seen.oracle = Need.ORACLE in task.offers
        if seen.oracle:
            theirs = task.problem(oracle, 0, CPU).oracle().eval()
            seen.numbers["oracle"] = _numbers(task.evaluate(theirs, 0, CPU).metrics)
            scored = {part.name for track in task.family.tracks if track.oracle for part in track.scored}
            seen.scored = [key_of(metric) for metric in metrics if metric.name in scored]


def _numbers(metrics: list[Metric]) -> list[Number]:
    return [Number(key=key_of(one), value=one.value, low=one.ci_low, high=one.ci_high) for one in metrics]


def _load(order: Inspection) -> Task:
    registry.add_plugins(order.plugins)
    return make_task(order.name or _only_task(order.file), order.settings)


def _only_task(file: Path | None) -> str:
    assert file is not None
    names = registry.tasks.add_file(file)
    if len(names) != 1:
        raise BenchmarkError(
            f"The file {file} should define one task to check and defines {', '.join(names)}; "
            f"for one of several: unlearnbench check NAME --plugin {file.name}."
        )
    return names[0]


def main() -> None:
    """Reads the order, looks, and writes what was seen."""
    order = Inspection.model_validate_json(Path(sys.argv[1]).read_bytes())
    try:
        seen = inspect(order)
    except BenchmarkError as error:
        seen = SeenTask(mistake=str(error))
    write_atomically(order.report, seen.model_dump_json().encode())


if __name__ == "__main__":
    main()
