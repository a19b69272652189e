"""Reads records of earlier schema versions as records of this one."""

from __future__ import annotations

import json
import re
from typing import Any

_SECOND_NAMES = {
    "cleanfid.fid.frechet_distance": "frechet-distance",
    "unlearnbench.benchmark.frechet.FrechetReference": "frechet-distance",
    "cleanfid.fid.kernel_distance": "kernel-distance",
    "unlearnbench.benchmark.metrics.proportion": "proportion",
    "unlearnbench.benchmark.metrics.prdc": "prdc",
    "unlearnbench.benchmark.metrics.Manifold": "manifold",
    "unlearnbench.tasks.class_forgetting.evaluation": "noise-difference",
    "unlearnbench.tasks.one_shot.vae.evidence_loss": "evidence-bound",
    "unlearnbench.tasks.common.lpips": "lpips",
}
"""What the functions that records of version 1 name are called since."""
_SECOND_NAMES_BY_METRIC = (
    ("fid_", "frechet-distance"),
    ("kid_", "kernel-distance"),
    ("coverage", "prdc"),
    ("steps_to_threshold", "first-step"),
    ("hole_error_", "hole-error"),
    ("oracle_distance_", "hole-difference"),
    ("feature_cosine_", "cosine-similarity"),
    ("hole_cosine_", "cosine-similarity"),
    ("suppression", "suppression"),
    ("retain_change", "error-change"),
)
"""The same where version 1 named a whole module, or only that there were too few samples: by the metric's first letters."""
_FIRST = re.compile(rb'"schema_version"\s*:\s*1\b')
_HEAD = 200
"""Bytes that hold a record's version, which is written first."""


def migrated(text: str | bytes) -> str | bytes:
    """Returns a record's JSON as this release's schema has it; what is no record of an earlier one is left as it is."""
    head = text[:_HEAD] if isinstance(text, bytes) else text[:_HEAD].encode()
    if not _FIRST.search(head):
        return text
    try:
        value = json.loads(text)
        _to_second(value)
        return json.dumps(value)
    except (ValueError, TypeError, KeyError, AttributeError):
        # Not whole, or not of the first schema either: the reader's own message says what is wrong with it.
        return text


def _to_second(record: dict[str, Any]) -> None:
    """Version 2 names computations by stable names and numbers instead of a module's path and a package's version."""
    record["schema_version"] = 2
    for metric in record["metrics"]:
        identity = metric["identity"]
        identity["name"] = _second_name(identity.pop("implementation"), metric["name"])
        identity["version"] = 1


def _second_name(implementation: str, metric: str) -> str:
    if implementation in _SECOND_NAMES:
        return _SECOND_NAMES[implementation]
    own = implementation == "too few samples" or implementation.startswith("unlearnbench.tasks.")
    for start, name in _SECOND_NAMES_BY_METRIC if own else ():
        if metric.startswith(start):
            return name
    return re.sub(r"[^a-z0-9.-]+", "-", implementation.lower()).strip("-.")[:64]
