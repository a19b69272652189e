"""What the site says of methods and tasks: ``python -m unlearnbench.docs.make.facts`` writes ``leaderboard/site/facts.json``.

The leaderboard imports neither methods nor tasks, and needs no PyTorch: what their classes say of themselves is kept as data.
"""

from __future__ import annotations

import json
import re
import sys
from inspect import cleandoc
from typing import Any

from ...benchmark import origin, registry
from ...benchmark.method import Method
from ...benchmark.running.identity import make_task
from ...benchmark.task import Task

_SENTENCES = 2


def facts() -> dict[str, Any]:
    """Returns what the built-in methods and tasks say of themselves, and which of them do not fit each other."""
    methods = {name: cls for name in registry.methods.names() if origin.is_builtin(cls := registry.methods.get(name))}
    tasks = {name: task for name in registry.tasks.names() if origin.is_builtin(task := registry.tasks.get(name))}
    return {
        "methods": {name: _method(cls) for name, cls in methods.items()},
        "tasks": {name: _task(name, task, methods) for name, task in tasks.items()},
    }


def _method(cls: type[Method]) -> dict[str, Any]:
    return {
        "does": _first_sentences(cls, _SENTENCES),
        "update": cls.update_rule,
        "paper": f"{cls.paper.title}, {cls.paper.venue}" if cls.paper else "",
        "rebuilt": cls.rebuilt,
        "settings": {name: field.default for name, field in cls.model_fields.items()},
        "settings_source": cls.settings_source,
        "deviations": list(cls.deviations),
        "pitfalls": cls.pitfalls,
    }


def _task(name: str, cls: type[Task], methods: dict[str, type[Method]]) -> dict[str, Any]:
    task = make_task(name, {})
    lacking = {
        method: " and ".join(sorted(need.value for need in found.needs - task.offers))
        for method, found in methods.items()
        if task.refusal(found) is not None
    }
    return {"asks": _first_sentences(cls, 1), "tier": cls.tier, "lacks": lacking}


def _first_sentences(cls: type, most: int) -> str:
    """The beginning of what a class says of itself; a full stop ends a sentence where a capital letter follows."""
    text = " ".join(cleandoc(cls.__doc__ or "").split())
    return " ".join(re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text)[:most]).replace("`", "")


def facts_text() -> str:
    """Returns the file."""
    return json.dumps(facts(), indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"


if __name__ == "__main__":
    sys.stdout.write(facts_text())
