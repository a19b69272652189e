"""The search for settings: at most five trials a method, on classes that the board does not forget, without any oracle."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from ...benchmark.records.files import write_atomically
from ...benchmark.running.identity import make_method, make_task
from ...tasks.retraining.retrained import OneClassTask

MOST_TRIALS = 5
_DOCS = Path(__file__).parents[1]

Trial = dict[str, Any]
"""A trial's ``settings`` beside its numbers."""
SomeTask = TypeVar("SomeTask", bound=OneClassTask)


class Search(ABC, Generic[SomeTask]):
    """Runs trials on one task, keeps every one of them, and says which wins. Search one method at a time."""

    task: str
    forget_classes: tuple[int, ...]
    file: str
    """The name of the file in ``docs/`` with all trials."""

    @abstractmethod
    def numbers(self, task: SomeTask, model: nn.Module) -> dict[str, float]:
        """Returns what is measured on an edited model."""

    @abstractmethod
    def best(self, trials: list[Trial], original: Trial) -> Trial:
        """Returns the winning trial."""

    def look(self, method_name: str, settings: dict[str, Any]) -> dict[str, float]:
        """Runs one trial and returns its numbers, means over the forget classes."""
        found: dict[str, list[float]] = {}
        for label in self.forget_classes:
            task: Any = make_task(self.task, {"forget_class": label})
            method = make_method(method_name, settings)
            problem = task.problem(method, 0, torch.device("cpu"))
            method.unlearn(problem)
            for name, value in self.numbers(task, problem.model.eval()).items():
                found.setdefault(name, []).append(value)
        return {name: round(sum(values) / len(values), 4) for name, values in found.items()}

    def trials(self) -> dict[str, list[Trial]]:
        """Returns all trials so far, by method."""
        path = _DOCS / self.file
        found: dict[str, list[Trial]] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def main(self, method: str, *trials: str) -> None:
        """Runs trials of one method, given as JSON, and adds them to those on file."""
        torch.set_num_threads(1)
        spent = len(self.trials().get(method, []))
        if spent + len(trials) > MOST_TRIALS:
            raise SystemExit(f"{spent} and {len(trials)} trials are more than the {MOST_TRIALS} that every method has.")
        rows = []
        for trial in trials or ("{}",):
            rows.append({"settings": json.loads(trial), **self.look(method, json.loads(trial))})
            sys.stdout.write(f"{method} {json.dumps(rows[-1])}\n")
            sys.stdout.flush()
        everything = self.trials()
        everything[method] = everything.get(method, []) + rows
        write_atomically(_DOCS / self.file, (json.dumps(dict(sorted(everything.items())), indent=1) + "\n").encode())
