"""Whether records say the truth about the task and the method that they were made with. No stranger's code is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ...benchmark import registry
from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import canonical_sha256
from ...benchmark.records.record import WEIGHTS, MethodInfo, Record, TaskInfo
from ...benchmark.running.identity import make_method, make_task, method_info, task_info
from ...benchmark.running.tuned import SHIPPED, read_settings, settings_path
from .layout import METHODS, method_path


class Sources:
    """Compares records with this release's tasks and methods, and with the files of a submission.

    Args:
        files: The files of the methods that are not part of the suite, by method.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._tasks: dict[str, TaskInfo | None] = {}

    def problems(self, record: Record) -> list[str]:
        """Returns what a record says wrongly of its task and its method, one sentence each."""
        return [*self._task(record.task), *self._method(record.method), *_tuning(record)]

    def _task(self, task: TaskInfo) -> Iterator[str]:
        if task.name == METHODS:
            yield f"is of a task '{METHODS}', a name that the layout keeps for itself."
            return
        try:
            # Of the suite, or of a file that whoever validates has named.
            registry.tasks.check(task.name)
            expected = self._expected(task)
        except BenchmarkError as error:
            yield f"is of a task that this release does not have like that: {error}"
            return
        names = {"version": "version", "family": "family", "config": "configuration", "sha256": "hash"}
        wrong = [
            words for field, words in names.items() if expected and getattr(expected, field) != getattr(task, field)
        ]
        if wrong:
            yield f"is of another {wrong[0]} of the task '{task.name}' than this release's; run it again with this release."

    def _expected(self, task: TaskInfo) -> TaskInfo | None:
        """The task as this release has it, or None where its files are not on this machine. Hashing takes a moment."""
        key = f"{task.name} {canonical_sha256(task.config_passed)}"
        if key not in self._tasks:
            found = None
            # A stranger does not say which folders of this machine are read.
            if not registry.tasks.get(task.name).path_settings & task.config_passed.keys():
                made = make_task(task.name, task.config_passed)
                found = None if made.missing() else task_info(made)
            self._tasks[key] = found
        return self._tasks[key]

    def _method(self, method: MethodInfo) -> Iterator[str]:
        name = method.name
        if registry.methods.is_builtin(name):
            yield from _suites_method(method)
            if name in self._files:
                yield f"is of the suite's own '{name}', and the submission holds another file of that name."
            return
        if method.role != "method":
            yield f"calls itself a {method.role} row, which only methods of the suite can be."
        if method.distribution == WEIGHTS:
            # The weights are known by their hash, and nobody but who has them can judge them again.
            if method.config or method.config_passed:
                yield "is of weights that were made elsewhere, and has settings of a method."
        elif name not in self._files:
            yield f"comes without the method's file, {method_path(name)}."
        elif hashlib.sha256(self._files[name]).hexdigest() != method.source_sha256:
            yield f"was made with another file than {method_path(name)}; run it again with that file."


def _tuning(record: Record) -> Iterator[str]:
    """Whether what is called tuned is what the suite's own search found; of others' methods nobody can tell."""
    method, path = record.method, settings_path(SHIPPED, record.task.name)
    if method.settings_from != "tuned" or not registry.methods.is_builtin(method.name):
        return
    found = read_settings(path).methods.get(method.name) if path.is_file() else None
    if found is None or (found.settings, found.trials) != (method.config_passed, method.trials):
        yield "calls settings tuned which are not those that the suite's search found; run it with `--settings tuned`."


def _suites_method(method: MethodInfo) -> Iterator[str]:
    try:
        expected = method_info(make_method(method.name, method.config_passed))
    except BenchmarkError as error:
        yield f"is of a method with settings that this release refuses: {error}"
        return
    if expected.source_sha256 != method.source_sha256:
        yield f"was made with another '{method.name}' than this release's; a changed method needs a name of its own."
    elif (expected.role, expected.config) != (method.role, method.config):
        yield f"says of '{method.name}' a role or a configuration that the method does not have."
