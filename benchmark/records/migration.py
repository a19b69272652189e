"""Reads records of earlier schema versions as records of this one."""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Any

from pydantic_core import from_json

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
_MEASURED_ON_DATA = frozenset({"fid_retain", "kid_retain", "coverage", "fid_at_threshold"})
_AT_THRESHOLD = frozenset({"steps_to_threshold", "fid_at_threshold"})
"""What version 1 said less of where it was not defined, all of it of one-shot forgetting."""
_FIRST = r'"schema_version"\s*:\s*1\b'
_IN_TEXT, _IN_BYTES = re.compile(_FIRST), re.compile(_FIRST.encode())
_NO_NAME = re.compile(r"[^a-z0-9.-]+")
_LONGEST_NAME = 64


def read_earlier(text: str | bytes) -> dict[str, Any] | None:
    """Returns a record of an earlier schema as this release's has it, or None for a text that is none of those.

    What is wrong with a record is left as it is, for whoever validates it to say.
    """
    found = _IN_TEXT.search(text) if isinstance(text, str) else _IN_BYTES.search(text)
    if not found:
        return None
    try:
        record = from_json(text)
    except ValueError:
        return None
    if not isinstance(record, dict) or type(record.get("schema_version")) is not int or record["schema_version"] != 1:
        return None
    _to_second(record)
    return record


def _to_second(record: dict[str, Any]) -> None:
    """Version 2 names computations by stable names and numbers instead of a module's path and a package's version.

    It also says where a task comes from; nothing but the suite had any that records of version 1 were made of.
    """
    record["schema_version"] = 2
    task, provenance = (_object(record.get(part)) for part in ("task", "provenance"))
    task |= {"source_sha256": None, "distribution": f"unlearnbench {provenance.get('suite_version')}"}
    listed = record.get("metrics")
    metrics = [_object(metric) for metric in listed] if isinstance(listed, list) else []
    for metric in metrics:
        identity = _object(metric.get("identity"))
        implementation, name = identity.pop("implementation", None), metric.get("name")
        if isinstance(implementation, str) and isinstance(name, str):
            identity |= {"name": _second_name(implementation, name), "version": 1}
    if task.get("family") == "one-shot":
        _complete(metrics)


def _complete(metrics: list[dict[str, Any]]) -> None:
    """Gives numbers that are not defined the identity that they have since, which is that of defined ones."""
    by_name = {str(metric.get("name")): metric for metric in metrics}
    data = _object(_object(by_name.get("fid")).get("identity")).get("reference_sha256")
    samples = _object(by_name.get("steps_to_threshold")).get("n")
    for metric in metrics:
        name, identity = str(metric.get("name")), _object(metric.get("identity"))
        if metric.get("value") is not None or "protocol" not in identity:
            continue
        if name in _MEASURED_ON_DATA:
            identity["reference_sha256"] = data
        if name in _AT_THRESHOLD:
            _, *preparation = str(identity["protocol"]).split("; ", 1)
            identity["protocol"] = "; ".join([f"first step with a share below 0.02 of {samples} samples", *preparation])


def _object(value: Any) -> dict[str, Any]:
    """A part of a record; what should be one and is not is for the validation to refuse."""
    return value if isinstance(value, dict) else {}


@functools.lru_cache(maxsize=2**12)
def _second_name(implementation: str, metric: str) -> str:
    if implementation in _SECOND_NAMES:
        return _SECOND_NAMES[implementation]
    own = implementation == "too few samples" or implementation.startswith("unlearnbench.tasks.")
    for start, name in _SECOND_NAMES_BY_METRIC if own else ():
        if metric.startswith(start):
            return name
    name = _NO_NAME.sub("-", implementation.lower()).strip("-.")
    if name and len(name) <= _LONGEST_NAME:
        return name
    # A third party's, in letters that names have not or longer than they are: what was another stays another.
    return f"unnamed-{hashlib.sha256(implementation.encode()).hexdigest()[:12]}"
