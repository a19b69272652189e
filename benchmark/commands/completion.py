"""What a shell completes: names, known without loading what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from glob import escape, glob
from pathlib import Path

from .. import registry
from .catalogue import KINDS
from .scaffold import KINDS as WRITTEN


def _starting(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def _or_file(names: Callable[[], Iterable[str]], ending: str) -> Callable[[str], list[str]]:
    """The same for what can be a file, too; the way to one leads through folders."""

    def complete(incomplete: str) -> list[str]:
        found = sorted(glob(f"{escape(incomplete)}*"))  # noqa: PTH207
        ways = [f"{path}/" for path in found if Path(path).is_dir()]
        return [*_starting(names)(incomplete), *ways, *(path for path in found if path.endswith(ending))]

    return complete


def _suites() -> list[str]:
    from ..running.requests import suite_names

    return suite_names()


tasks = _starting(registry.tasks.names)
methods = _starting(registry.methods.names)
to_check = _or_file(lambda: [*registry.methods.names(), *registry.tasks.names()], ".py")
suites = _or_file(_suites, ".toml")
kinds = _starting(lambda: KINDS)
written = _starting(lambda: WRITTEN)
devices = _starting(lambda: ("auto", "cpu", "cuda"))
