"""Plans runs in a process of its own: the command that waits for the plans loads neither PyTorch nor plugins for them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import ConfigDict, TypeAdapter

from .. import origin, registry
from ..errors import BenchmarkError
from ..family import Family
from ..plugin_files import check_file
from .forks import LOST, WORKER, Fork, ForkServer, ServerGone, can_fork, worker_environment
from .limits import Limits, Watchdog, end_with_runner, ending, kill_group
from .plan import Placement, Plan, Refused, plan
from .requests import Request


class Planned(NamedTuple):
    """What is to be run, and what came to light on the way."""

    plans: list[Plan]
    refused: list[Refused]
    gpus: list[str]
    """The GPUs to share runs out to; empty on a CPU."""
    families: list[Family]
    """Those of plugins."""


class _Order(NamedTuple):
    requests: list[Request]
    where: Placement


_ORDER = TypeAdapter(_Order, config=ConfigDict(ser_json_inf_nan="constants"))
_PLANNED = TypeAdapter(Planned)


def check_names(requests: Iterable[Request], plugins: Sequence[Path]) -> None:
    """Raises if there is no plugin file, task or method of a name; of what plugins define nothing is known yet.

    It asks for no PyTorch, so that a typing mistake is answered at once.

    Raises:
        BenchmarkError: There is not.
    """
    for path in plugins:
        check_file(path)
    if not plugins:
        for request in requests:
            _check_name(request)


@contextmanager
def start_server(requests: Iterable[Request], threads: int) -> Iterator[ForkServer | None]:
    """Yields the server that plans and runs are forked from, or None where none can be; it starts to import at once."""
    if not can_fork():
        yield None
        return
    tasks = registry.tasks.built_in_modules(request.task for request in requests)
    methods = registry.methods.built_in_modules(request.method for request in requests if request.weights is None)
    with ForkServer(worker_environment(threads), [__name__, *tasks, *methods, WORKER]) as server:
        yield server


def plan_apart(server: ForkServer | None, requests: list[Request], where: Placement) -> Planned:
    """Returns the plans that a fork of a server makes, or this process, if there is no server.

    Raises:
        BenchmarkError: See ``plan.plan``; or a plugin ended the process.
    """
    if server is not None:
        try:
            with tempfile.TemporaryFile("w+", errors="replace") as log:
                return _ask(server, _ORDER.dump_json(_Order(requests, where)).decode(), log)
        except ServerGone:
            # It could not even import what plans need: here that is an error that tells.
            pass
    return plan_here(requests, where)


def plan_here(requests: list[Request], where: Placement) -> Planned:
    """Returns plans that this process makes, and PyTorch is loaded for.

    Raises:
        BenchmarkError: See ``plan.plan``.
    """
    registry.add_plugins(where.plugins)
    for request in requests:
        _check_name(request)
    plans, refused = plan(requests, where)
    gpus: list[str] = []
    if not where.any_device and any(item.spec.device == "cuda" for item in plans):
        from ..measuring.device import equal_gpus

        gpus = equal_gpus()
    tasks = {registry.tasks.get(item.task.name) for item in plans}
    families = {task.family.name: task.family for task in tasks if not origin.is_builtin(task)}
    return Planned(plans, refused, gpus, list(families.values()))


def _check_name(request: Request) -> None:
    registry.tasks.check(request.task)
    if request.weights is None:
        registry.methods.check(request.method)


def _ask(server: ForkServer, order: str, log: IO[str]) -> Planned:
    with server.start(__name__, log) as process:
        watchdog = Watchdog(process, Limits())
        watchdog.start()
        try:
            answer = _exchange(process, order)
            code = process.wait()
        finally:
            watchdog.dismiss()
            kill_group(process.pid)
    if code == LOST:
        raise ServerGone("it died over the plans")
    log.seek(0)
    sys.stderr.write(log.read())
    if answer.startswith('{"error"'):
        raise BenchmarkError(json.loads(answer)["error"])
    if code != 0:
        raise BenchmarkError(
            f"The runs could not be planned: the process {ending(code)}; if it said why, it stands above."
        )
    planned = _PLANNED.validate_json(answer)
    for family in planned.families:
        registry.families.add(family, "a plugin's task")
    return planned


def _exchange(process: Fork, order: str) -> str:
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(order + "\n")
        process.stdin.flush()
    return process.stdout.read()


def main() -> int:
    """Reads the order from standard input and writes the plans, or a user's mistake, to standard output."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = _ORDER.validate_json(sys.stdin.readline())
    end_with_runner()
    try:
        said = _PLANNED.dump_json(plan_here(order.requests, order.where)).decode()
    except BenchmarkError as error:
        said = json.dumps({"error": str(error)})
    answer.write(said)
    answer.close()
    return 0
