"""Servers that outlive the commands that tests call, so that PyTorch is loaded once for many of them.

A command starts a server, forks its runs from it and ends it. Here the next command in the same environment gets the same
server, which forks as before: what a run finds in its process is the same. Tests of the server itself do without.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from unlearnbench.benchmark.checking import bench
from unlearnbench.benchmark.running import planner
from unlearnbench.benchmark.running.forks import ForkServer


class Lasting(ForkServer):
    """Goes on when a command is done with it."""

    def __exit__(self, kind, error, trace) -> None:
        pass

    def is_alive(self) -> bool:
        return self._server.poll() is None


class Servers:
    """One for each environment."""

    def __init__(self) -> None:
        self._found: dict[tuple, Lasting] = {}

    def __call__(self, environment: Mapping[str, str], modules: Sequence[str] = ()) -> Lasting:
        relevant = {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}
        key = (str(Path.cwd()), *sorted(relevant.items()))
        if key not in self._found or not self._found[key].is_alive():
            self._found[key] = Lasting(environment, modules)
        return self._found[key]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Gives them to what commands are called inside, in this process."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (planner, bench):
                patch.setattr(module, "ForkServer", self)
            yield

    def close(self) -> None:
        for server in self._found.values():
            server.close()
