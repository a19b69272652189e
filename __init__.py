"""unlearnbench: a benchmark suite and a leaderboard for machine unlearning in generative image models.

The verbs of the command line in Python::

    import unlearnbench as ub

    records = ub.run("digits-ddpm", "sfron", seeds=[0, 1, 2])
    page = ub.board(["results"], out="site").page
    ub.compare(["sfron", "salun"], tasks=["digits-ddpm"]).plot().save("sfron-salun.svg")

Importing this package is cheap: PyTorch is loaded when a verb needs it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from .benchmark import torchvision_guard

torchvision_guard.install()

if TYPE_CHECKING:
    __version__: str
    from .benchmark.commands.verbs import (
        check,
        doctor,
        evaluate,
        method_names,
        new,
        prepare,
        run,
        run_requests,
        suite,
        task_names,
    )
    from .benchmark.errors import BenchmarkError
    from .benchmark.method import Method, Paper
    from .benchmark.needs import Need
    from .benchmark.problem import Batch, Problem
    from .benchmark.records.record import Record
    from .benchmark.task import Task
    from .leaderboard.verbs import board, compare, metrics, records, regress, submit, tune, validate, verify
    from .tasks.class_forgetting.sampler import Sampler
    from .tasks.class_forgetting.small import SmallClassForgetting
    from .tasks.data.dataset import DataSet
    from .tasks.training.recipe import TrainingRecipe

_CLASSES = {
    "Batch": ".benchmark.problem",
    "BenchmarkError": ".benchmark.errors",
    "Method": ".benchmark.method",
    "Need": ".benchmark.needs",
    "Paper": ".benchmark.method",
    "Problem": ".benchmark.problem",
    "Record": ".benchmark.records.record",
    "Task": ".benchmark.task",
}
_FOR_TASKS = {
    "DataSet": ".tasks.data.dataset",
    "Sampler": ".tasks.class_forgetting.sampler",
    "SmallClassForgetting": ".tasks.class_forgetting.small",
    "TrainingRecipe": ".tasks.training.recipe",
}
"""What a task of one's own is made of; methods see none of it."""
_VERBS = {
    ".benchmark.commands.verbs": (
        "check",
        "doctor",
        "evaluate",
        "method_names",
        "new",
        "prepare",
        "run",
        "run_requests",
        "suite",
        "task_names",
    ),
    ".leaderboard.verbs": (
        "board",
        "compare",
        "metrics",
        "records",
        "regress",
        "submit",
        "tune",
        "validate",
        "verify",
    ),
}
_EXPORTS = _CLASSES | _FOR_TASKS | {name: module for module, names in _VERBS.items() for name in names}

__all__ = [
    "Batch",
    "BenchmarkError",
    "DataSet",
    "Method",
    "Need",
    "Paper",
    "Problem",
    "Record",
    "Sampler",
    "SmallClassForgetting",
    "Task",
    "TrainingRecipe",
    "board",
    "check",
    "compare",
    "doctor",
    "evaluate",
    "method_names",
    "metrics",
    "new",
    "prepare",
    "records",
    "regress",
    "run",
    "run_requests",
    "submit",
    "suite",
    "task_names",
    "tune",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that the command line answers without importing PyTorch."""
    if name == "__version__":
        return importlib.metadata.version("unlearnbench")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name], __name__), name)
