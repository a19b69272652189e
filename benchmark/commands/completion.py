"""What a shell completes: names, known without loading what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import registry
from .catalogue import KINDS
from .scaffold import KINDS as WRITTEN


def _starting(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def _suites() -> list[str]:
    from ..running.requests import suite_names

    return suite_names()


tasks = _starting(registry.tasks.names)
methods = _starting(registry.methods.names)
both = _starting(lambda: [*registry.methods.names(), *registry.tasks.names()])
suites = _starting(_suites)
kinds = _starting(lambda: KINDS)
written = _starting(lambda: WRITTEN)
devices = _starting(lambda: ("auto", "cpu", "cuda"))
