"""Watches a problem while a method has it: who reads what, and whether weights move outside of counted steps."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from ..errors import BenchmarkError
from ..needs import Need
from ..problem import Problem
from ..task import Task
from .source_scan import HARNESS_ONLY

_PACKAGE = __package__.partition(".")[0]
_TRUSTED = (f"{_PACKAGE}.benchmark.", f"{_PACKAGE}.tasks.")


class Watch:
    """What was seen of one method's use of a problem.

    Args:
        problem: Watched from now on.
        kill_at: The tick, a step's start or end or a pass through the model, at which the process kills itself.
        task: What the problem is of; None for the toy.
    """

    def __init__(self, problem: Problem, kill_at: int | None, task: Task | None = None) -> None:
        self.reached_for: set[str] = set()
        self.undeclared: set[Need] = set()
        self.used: set[Need] = set()
        self.laps = 0
        self.ticks = 0
        self.stray_optimizer_steps = 0
        self.moved_outside = False
        self.trained_outside = False
        self._over = False
        self._kill_at = kill_at
        self._problem = problem
        # Between a problem's class and its task's, which may be a plugin's, nothing is private.
        self._homes = {type(problem).__module__, *(base.__module__ for base in type(task).__mro__)}
        # What is judged, whatever the method puts in its place.
        self._network = problem.model
        self._names = [name for name, _ in problem.model.named_parameters()]
        self._weights, self._backward = self._now(), 0
        problem.meter.on_step = self._lap
        problem.model.register_forward_hook(self._forward)
        register_optimizer_step_post_hook(self._optimized)
        problem.__class__ = _watched_class(type(problem), self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        """A copied model's passes are ticks of the same watch."""
        return self

    def end(self) -> None:
        """Looks once more at the weights, after the method, and at nothing from here on."""
        self._compare()
        self._over = True
        if self._kill_at == 0:
            _kill()

    def saw(self, what: str, frame: FrameType) -> None:
        """Told of a use of what is not the method's, and of who made it."""
        if self._over:
            return
        caller = str(frame.f_globals.get("__name__"))
        if not caller.startswith(_TRUSTED) and caller not in self._homes:
            self.reached_for.add(what)

    def _tick(self) -> None:
        self.ticks += not self._over
        if self.ticks == self._kill_at:
            _kill()

    def _lap(self) -> None:
        if self.laps % 2 == 0:
            self._compare()
        else:
            self._weights, self._backward = self._now(), self._problem.meter.backward_passes
        self.laps += 1
        self._tick()

    def _forward(self, *_: Any) -> None:
        self._tick()

    def _optimized(self, *_: Any) -> None:
        self.stray_optimizer_steps += self.laps % 2 == 0 and not self._over

    def _compare(self) -> None:
        """Looks for weights that are not what the last step left; before its first step a method may do as it likes."""
        if not self.laps:
            return
        now = self._now()
        if len(now) != len(self._weights) or not all(map(torch.equal, now, self._weights)):
            self.moved_outside = True
            self.trained_outside |= self._problem.meter.backward_passes > self._backward

    def _now(self) -> list[Tensor]:
        """Those of the weights that were handed out that are still there."""
        found = dict(self._network.named_parameters())
        return [found[name].detach().clone() for name in self._names if name in found]


def _watched_class(cls: type[Problem], watch: Watch) -> type[Problem]:
    """A subclass that tells of every use of what is private or the harness's, but by the harness."""

    def read(self: Problem, name: str) -> Any:
        if (name.startswith("_") and (not name.startswith("__") or name == "__dict__")) or name in HARNESS_ONLY:
            watch.saw(f"reads problem.{name}", sys._getframe(1))
        return object.__getattribute__(self, name)

    def write(self: Problem, name: str, value: Any) -> None:
        if name != "model":
            watch.saw(f"sets problem.{name}", sys._getframe(1))
        object.__setattr__(self, name, value)

    def require(self: Problem, need: Need) -> None:
        watch.used.add(need)
        try:
            cls.require(self, need)
        except BenchmarkError:
            watch.undeclared.add(need)
            raise

    members = {"__getattribute__": read, "__setattr__": write, "require": require, "__module__": cls.__module__}
    return type(cls.__name__, (cls,), members)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
