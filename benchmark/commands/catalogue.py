"""What is registered, as plain data for ``unlearnbench list``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import origin, registry
from ..errors import BenchmarkError, unknown_name
from ..method import Method
from ..task import Task

KINDS = ("tasks", "methods", "suites")


def catalogue(kind: str, plugins: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Returns one entry for each task, method or suite; a broken plugin's entry says what is wrong with it.

    Raises:
        BenchmarkError: The kind is unknown, or a plugin file cannot be loaded.
    """
    if kind not in KINDS:
        raise unknown_name("list", kind, KINDS)
    registry.add_plugins(plugins)
    if kind == "suites":
        from ..running.requests import load_suite, suite_names

        return [{"name": name, "summary": load_suite(name).description} for name in suite_names()]
    source: registry.Registry[Any] = registry.tasks if kind == "tasks" else registry.methods
    rows = []
    for name in source.names():
        try:
            rows.append(_describe(source.get(name)))
        except BenchmarkError as error:
            rows.append({"name": name, "summary": f"broken: {error}"})
    return rows


def summary(plugin: type[Method | Task]) -> str:
    """Returns the first paragraph of a class's documentation as one line."""
    return " ".join((plugin.__doc__ or "").strip().partition("\n\n")[0].split())


def _describe(plugin: type[Method | Task]) -> dict[str, Any]:
    settings = {
        name: {"default": field.get_default(call_default_factory=True), "description": field.description or ""}
        for name, field in plugin.model_fields.items()
    }
    row: dict[str, Any] = {
        "name": plugin.name,
        "summary": summary(plugin),
        "settings": settings,
        "source": origin.source(plugin).distribution,
    }
    if issubclass(plugin, Method):
        row |= {
            "role": plugin.role,
            "needs": sorted(need.value for need in plugin.needs),
            "paper": plugin.paper._asdict() if plugin.paper else None,
            "settings_source": plugin.settings_source,
            "deviations": list(plugin.deviations),
        }
    else:
        row |= {"family": plugin.family.name, "tier": plugin.tier, "version": plugin.version}
        row |= {"offers": sorted(need.value for need in plugin.offers)}
    return row
