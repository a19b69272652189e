"""Tells whether code that a method shares with its judges was replaced: the clock, random numbers, this package.

Python has no walls between a plugin and its harness, so this finds what was left changed, and no more than that.
"""

from __future__ import annotations

import inspect
import random
import sys
import time
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import BenchmarkError, shortened

_PACKAGE = __package__.partition(".")[0]
_WATCHED_FOLDERS = (f"{_PACKAGE}.benchmark", f"{_PACKAGE}.tasks")
_DRAWING = ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "bernoulli", "multinomial", "normal")
_SEEDING = ("Generator", "manual_seed", "seed", "initial_seed", "set_rng_state", "get_rng_state")
_COMPARING = ("Tensor", "equal", "isfinite", "allclose")


class _Seen(NamedTuple):
    holder: Any
    name: str
    value: Any
    code: CodeType | None


class SharedCode:
    """Remembers functions, classes and their methods as they are, to say later which of them are not the same.

    Args:
        more: Further modules to watch, whole.
    """

    def __init__(self, *more: ModuleType) -> None:
        self._more = more
        self._seen: dict[str, _Seen] = {}
        self.look()

    def look(self) -> None:
        """Remembers what was loaded since the last time, too; what is known already stays as it was."""
        for where, holder, name, value in self._shared():
            self._seen.setdefault(where, _Seen(holder, name, value, _code(value)))

    def changed(self) -> list[str]:
        """Returns the names of all that is no longer what it was."""
        return sorted(where for where, seen in self._seen.items() if not _same(seen))

    def require_unchanged(self) -> None:
        """Raises if anything was replaced.

        Raises:
            BenchmarkError: The method replaced something; the message names it.
        """
        changed = self.changed()
        if changed:
            raise BenchmarkError(f"The method replaced {shortened(changed)}, which the harness and the judges share.")

    def _shared(self) -> Iterator[tuple[str, Any, str, Any]]:
        for name in (*_DRAWING, *_SEEDING, *_COMPARING):
            yield f"torch.{name}", torch, name, vars(torch).get(name)
        own = [module for name, module in sorted(sys.modules.items()) if name.startswith(_WATCHED_FOLDERS)]
        for module in (time, random, np.random, *self._more, *own):
            for name, value in list(vars(module).items()):
                if callable(value):
                    yield f"{module.__name__}.{name}", module, name, value
                if inspect.isclass(value) and value.__module__ == module.__name__ and module in own:
                    yield from _members(value)


def _members(cls: type[Any]) -> Iterator[tuple[str, Any, str, Any]]:
    kinds: tuple[type[Any], ...] = (property, classmethod, staticmethod)
    for name, value in list(vars(cls).items()):
        if inspect.isfunction(value) or isinstance(value, kinds):
            yield f"{cls.__module__}.{cls.__qualname__}.{name}", cls, name, value


def _same(seen: _Seen) -> bool:
    now = vars(seen.holder).get(seen.name)
    return now is seen.value and _code(now) is seen.code


def _code(value: Any) -> CodeType | None:
    """The code of a function, which can be replaced behind its back."""
    function: Callable[..., Any] | Any = getattr(value, "__func__", getattr(value, "fget", value))
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
