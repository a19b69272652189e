"""Reads a method's source, without running it, for what a method has no business with.

It says what the text shows. A name that is put together at run time gets past it; ``watch.py`` watches the run.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from pathlib import Path

from ..problem import Problem

_PACKAGE = __package__.partition(".")[0]
OPEN = frozenset({"errors", "gradients", "method", "needs", "primitives", "problem", "search_space", "targets"})
"""The modules of ``benchmark/`` that methods are made of; the rest is the harness."""
FOR_TASKS = frozenset({"DataSet", "Sampler", "SmallClassForgetting", "TrainingRecipe"})
"""What the package itself offers to authors of tasks."""
_CLOSED = {
    **{f"{_PACKAGE}.{name}": "what tasks are made of" for name in FOR_TASKS},
    f"{_PACKAGE}.tasks": "the tasks with their judges",
    f"{_PACKAGE}.leaderboard": "the leaderboard",
    "ctypes": "memory behind Python's back",
    "gc": "every object of the process",
}
HARNESS_ONLY = frozenset({"meter", "retire", "training_step", "warm_up"})
"""Public names of a problem that are the harness's."""
_FRAMES = frozenset(
    {"_getframe", "currentframe", "_current_frames", "f_back", "f_locals", "__closure__", "__globals__"}
)
PRIVATE = frozenset(
    {name for name in vars(Problem) if name.startswith("_") and not name.startswith("__")}
    | {name for name in Problem.__init__.__code__.co_names if name.startswith("_") and not name.startswith("__")}
)
"""The names of a problem that are nobody's but its own."""


def findings(path: Path, package: str = "", only: str | None = None) -> list[str]:
    """Returns one phrase with its line for each thing in a file that a method should not do.

    Args:
        path: A Python file.
        package: What its relative imports start from.
        only: The class that counts with all that it uses, in a file that defines a task, too; by default all counts.
    """
    body = ast.parse(path.read_bytes()).body
    nodes = (node for part in (body if only is None else _used_by(only, body)) for node in ast.walk(part))
    found = {(node.lineno, what) for node in nodes for what in _of(node, package) if hasattr(node, "lineno")}
    return [f"{what} (line {line})" for line, what in sorted(found)]


def _used_by(name: str, body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that a class uses, at any remove, and those that are run when the file is loaded."""
    named: dict[str, ast.stmt] = {}
    used: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            named[statement.name] = statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                alone = copy.copy(statement)
                alone.names = [alias]
                named[alias.asname or alias.name.partition(".")[0]] = alone
        else:
            used.append(statement)
    wanted = [name]
    for part in used:
        wanted += [node.id for node in ast.walk(part) if isinstance(node, ast.Name)]
    while wanted:
        found = named.pop(wanted.pop(), None)
        if found is not None:
            used.append(found)
            wanted += [node.id for node in ast.walk(found) if isinstance(node, ast.Name)]
    return used


def _of(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (f"imports {name}: {what}" for name in _imported(node, package) if (what := _closed(name)))
    elif isinstance(node, ast.Attribute):
        of_problem = isinstance(node.value, ast.Name) and node.value.id == "problem"
        own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        hidden = node.attr.startswith("_") and not node.attr.startswith("__")
        if (of_problem and (hidden or node.attr in {*HARNESS_ONLY, "__dict__"})) or (node.attr in PRIVATE and not own):
            yield f"reads '{node.attr}' of the problem"
        if node.attr in _FRAMES:
            yield f"reads other functions' variables through '{node.attr}'"
    elif isinstance(node, ast.Constant) and node.value in PRIVATE:
        yield f"names '{node.value}' of the problem"
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("eval", "exec", "__import__")
    ):
        yield f"calls {node.func.id}, which hides what it does"


def _closed(module: str) -> str | None:
    """Returns what a module is if methods have no business with it."""
    below = f"{_PACKAGE}.benchmark."
    if module.startswith(below) and module.removeprefix(below).partition(".")[0] not in OPEN:
        return "the harness"
    return next((what for closed, what in _CLOSED.items() if f"{module}.".startswith(f"{closed}.")), None)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """The modules, or things inside of one, that a statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parts = package.split(".")
    base = [*(parts[: len(parts) - node.level + 1] if node.level else []), *([node.module] if node.module else [])]
    yield from (".".join([*base, alias.name]) for alias in node.names)
