"""One run of a method under watch, for the contract. Belongs into a process of its own: what is watched stays watched."""

from __future__ import annotations

import inspect
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ..errors import BenchmarkError, first_line, placed_line
from ..measuring.device import CPU
from ..method import Method
from ..needs import Need
from ..problem import Problem
from ..running.identity import Configured, check_files, check_oracle
from ..running.shared_code import SharedCode
from ..running.torch_setup import configure_torch
from ..running.weights import Layout
from ..seeds import derive_seed
from ..task import Task
from . import fingerprint, source_scan, toy
from .audit import Ear
from .loading import CLOSED, Loader
from .observation import Seen, Trial
from .watch import Watch


class _Before(NamedTuple):
    """What there was before the method."""

    model: nn.Module
    state: dict[str, Tensor]
    layout: dict[str, str]
    network: Layout
    pools: dict[str, Any]
    data: dict[str, str]
    base: str
    oracle: str | None
    generator: torch.Generator
    seed: int
    process: dict[str, Any]
    threads: dict[int, str]
    modules: set[str]


class TrialRun:
    """Makes a trial; ``seen`` holds what it showed.

    Raises:
        BenchmarkError: The method cannot be found, loaded or configured, or does not fit the task.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.seen = Seen()
        configure_torch(1)
        os.chdir(trial.folder)
        tempfile.tempdir = str(trial.folder)
        self._ear = Ear(trial.folder)
        self._shared = SharedCode(torch.random, torch.optim, nn.functional)
        loaded = Loader(trial, self._ear).load()
        method, task = loaded.method, loaded.task
        self._describe(method, loaded.beside_task)
        self._ear.heard += loaded.heard
        self.seen.reached_for += [f"imports {name}" for name in loaded.imports]
        torch.manual_seed(derive_seed("global", trial.seed))
        problem = self._problem(method, task)
        problem.warm_up()
        problem.meter.reset()
        self._shared.look()
        before = self._before(problem)
        watch = Watch(problem, trial.kill_at, task)
        self._unlearn(method, problem)
        watch.end()
        self._look_around(problem, before)
        self._look_at_the_model(problem, before)
        self._take_over(watch, method, problem)

    def _describe(self, method: Method, beside_task: bool) -> None:
        cls, seen = type(method), self.seen
        seen.name, seen.role, seen.settings = method.name, method.role, method.model_dump(mode="json")
        seen.settings_fault = _settings_fault(method)
        seen.undocumented = [name for name, field in cls.model_fields.items() if not field.description]
        steps = seen.settings.get("steps")
        seen.wanted_steps = steps if isinstance(steps, int) else None
        for base in cls.__mro__:
            if issubclass(base, Method) and base is not Method:
                only = base.__name__ if beside_task and base.__module__ == cls.__module__ else None
                seen.source += source_scan.findings(
                    Path(inspect.getfile(base)), base.__module__.rpartition(".")[0], only
                )

    def _problem(self, method: Method, task: Task | None) -> Problem:
        if task is not None:
            Configured(task, method).check()
            check_files(task)
            return task.problem(method, self._trial.seed, CPU)
        check_oracle(method)
        return toy.toy_problem(method, self._trial.seed)

    def _before(self, problem: Problem) -> _Before:
        toys = {f"the {purpose} images": toy.images_of(purpose) for purpose in ("training", "evaluation")}
        pools = {**{f"the {name} set": pool for name, pool in problem._pools.items()}, **toys}
        return _Before(
            model=problem.model,
            state=fingerprint.state_of(problem.model),
            layout=fingerprint.layout_of(problem.model),
            network=Layout.of(problem.model),
            pools=pools,
            data=fingerprint.digests_of(pools),
            base=_digest(_base()),
            oracle=_oracle_digest(problem),
            generator=problem._generator,
            seed=problem._generator.initial_seed(),
            process=fingerprint.process_state(),
            threads=fingerprint.running_threads(),
            modules=set(sys.modules),
        )

    def _unlearn(self, method: Method, problem: Problem) -> None:
        start = time.perf_counter()
        self._ear.listening = "unlearn"
        try:
            method.unlearn(problem)
        # A method is somebody else's code: whatever it raises is what the check shows.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            self.seen.error = (
                str(error)
                if isinstance(error, BenchmarkError)
                else placed_line(error, Path(inspect.getfile(type(method))))
            )
        self._ear.listening = "off"
        self.seen.seconds = time.perf_counter() - start

    def _look_around(self, problem: Problem, before: _Before) -> None:
        seen = self.seen
        seen.replaced = self._shared.changed()
        seen.process = fingerprint.changed(before.process, fingerprint.process_state())
        if problem._generator is not before.generator or before.generator.initial_seed() != before.seed:
            seen.process.append("the problem's own seed")
        seen.touched = fingerprint.changed(before.data, fingerprint.digests_of(before.pools))
        if _digest(_base()) != before.base:
            seen.shared_models.append("the task's base model")
        if problem._original is not None and _digest(problem._original) != fingerprint.digest_of(before.state):
            seen.shared_models.append("problem.original")
        seen.reached_for += [f"imports {name}" for name in fingerprint.new_modules(before.modules, CLOSED)]
        threads = fingerprint.running_threads()
        seen.threads = [name for ident, name in threads.items() if ident not in before.threads]

    def _look_at_the_model(self, problem: Problem, before: _Before) -> None:
        """Looks at what would be judged: the weights of the network that was handed out."""
        seen, model = self.seen, before.model
        attached = before.network.attached(model.state_dict())
        replaced = [] if problem.model is model else ["problem.model"]
        seen.left_behind = [*replaced, *dict.fromkeys(name.rpartition(".")[0] for name in attached)]
        after, layout = fingerprint.state_of(model), fingerprint.layout_of(model)
        for name in attached:
            del after[name], layout[name]
        seen.digest = fingerprint.digest_of(after)
        seen.layout_fault = fingerprint.first_difference(before.layout, layout)
        seen.changed = not all(k in before.state and torch.equal(before.state[k], v) for k, v in after.items())
        bad = [name for name, value in after.items() if value.is_floating_point() and not torch.isfinite(value).all()]
        seen.not_finite = bad[0] if bad else None
        seen.is_oracle = fingerprint.digest_of(after) == before.oracle

    def _take_over(self, watch: Watch, method: Method, problem: Problem) -> None:
        seen = self.seen
        seen.steps, seen.laps, seen.ticks = problem.meter.steps, watch.laps, watch.ticks
        seen.stray_optimizer_steps = watch.stray_optimizer_steps
        seen.moved_outside, seen.trained_outside = watch.moved_outside, watch.trained_outside
        seen.reached_for += sorted(watch.reached_for)
        seen.undeclared = sorted(need.value for need in watch.undeclared)
        # Tasks need not ask for each need that they meet; the toy problem does, but for labels that a batch carries and
        # for images that `predict` returns.
        unused = method.needs - watch.used - {Need.LABELS, Need.IMAGES} if self._trial.task is None else frozenset()
        seen.unused = sorted(need.value for need in unused)
        seen.heard = list(dict.fromkeys(self._ear.heard))


def _base() -> nn.Module:
    return toy.trained(*range(toy.CLASSES))


def _digest(model: nn.Module) -> str:
    return fingerprint.digest_of(fingerprint.state_of(model))


def _oracle_digest(problem: Problem) -> str | None:
    try:
        return None if problem._oracle is None else _digest(problem._oracle())
    except BenchmarkError:
        # A task need not have an oracle for each seed.
        return None


def _settings_fault(method: Method) -> str | None:
    """Why the settings do not survive being written down as JSON and read again, or None."""
    try:
        again = type(method)(**json.loads(json.dumps(method.model_dump(mode="json"))))
    except (ValidationError, ValueError, TypeError) as error:
        return first_line(error)
    return None if again == method else "what is read back is not what was written"
