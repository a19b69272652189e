"""Made-up records, and where things are."""

import hashlib
import textwrap
from pathlib import Path

import unlearnbench
from unlearnbench.benchmark.records.files import canonical_sha256
from unlearnbench.benchmark.records.record import (
    Cost,
    Device,
    Identity,
    MethodInfo,
    Metric,
    Phase,
    Provenance,
    Record,
    Status,
    TaskInfo,
)

TOY = Path(__file__).parent / "toy.py"
ROOT = Path(unlearnbench.__file__).parent
BUILT_IN = sorted(path.stem.replace("_", "-") for path in (ROOT / "methods").glob("[a-z]*.py"))
"""The methods of this repository; tests register others beside them."""
TINY_DINOV2 = {"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 1.0}
"""What makes timm's smallest DINOv2 a miniature."""

IDENTITY = Identity(name="test", version=1, protocol="test")

GOOD = {
    "forget_accuracy": 0.01,
    "forget_gap": 0.03,
    "inverted_loss": 0.1,
    "relearned_gap": 0.01,
    "retain_loss": 0.07,
    "retain_accuracy": 0.99,
    "retain_accuracy_worst": 0.97,
    "fid_retain": 1.0,
    "coverage": 0.9,
}
"""What the oracle reaches in the made-up records."""

UNTOUCHED = {**GOOD, "forget_accuracy": 0.99, "forget_gap": 0.0, "inverted_loss": 0.07, "relearned_gap": 0.0}
"""What the original reaches."""

DIRECTIONS = dict(zip(GOOD, ("match", "match", "match", "match", "min", "max", "max", "min", "max"), strict=True))

SCALES = {"forget_gap": 0.03, "inverted_loss": 0.03, "relearned_gap": 0.01, "retain_loss": 0.03}
"""How far apart original and oracle lie, roughly, where that is not about 1: made-up noise is a share of it."""


CPU = Device(kind="cpu", name="Test CPU", threads=1)
RETRAINING = 1000
"""Samples that a made-up oracle was trained on."""
TASK = TaskInfo(
    name="digits-ddpm",
    family="class-forgetting",
    version=1,
    sha256="1" * 64,
    source_sha256="5" * 64,
    distribution="unlearnbench 0.1.0",
    config={"forget_class": 3},
    config_passed={},
)
PROVENANCE = Provenance(
    suite_version="0.1.0",
    git_commit=None,
    git_dirty=None,
    python="3.11.7",
    system="Linux x86_64",
    packages={"torch": "2.13.0"},
    cores=2,
    memory_bytes=2**34,
)


def make_metric(name: str, value: float | None) -> Metric:
    """Returns a made-up metric with an interval of a hundredth of its scale on either side."""
    half = 0.01 * SCALES.get(name, 1.0)
    return Metric(
        name=name,
        value=value,
        ci_low=None if value is None else value - half,
        ci_high=None if value is None else value + half,
        ci_method="wilson",
        n=1000,
        direction=DIRECTIONS[name],
        judge="resnet",
        identity=IDENTITY,
    )


def make_cost(seconds: float, samples: int = 1, **changes) -> Cost:
    """Returns the made-up cost of one step on some samples."""
    fields = {
        "unlearn_seconds": seconds,
        "phases": [Phase(name="unlearn", timed=True, clock="host", seconds=[seconds])],
        "step_seconds": [],
        "steps": 1,
        "forward_passes": 1,
        "forward_samples": samples,
        "backward_passes": 1,
        "forget_samples": 1,
        "retain_samples": 1,
        "peak_process_bytes": 2**20,
        "peak_device_bytes": None,
        "energy_joules": None,
    }
    return Cost(**{**fields, **changes})


def _of_task(changes) -> list[str]:
    return [changes["task"].sha256] if "task" in changes else []


def make_record(method: str, seed: int = 0, values: dict[str, float | None] | None = None, **changes) -> Record:
    """Returns a record with made-up metrics; ``changes`` are ``status``, ``reason``, ``role``, ``device``, ``passed``…"""
    status, passed = changes.pop("status", Status.OK), changes.pop("passed", {})
    seconds = changes.pop("seconds", 10.0)
    role = changes.pop("role", "reference" if method in ("original", "oracle") else "method")
    fields = {
        "run_id": canonical_sha256([method, seed, passed, str(changes.get("device", "")), *_of_task(changes)]),
        "created": "2026-01-01T00:00:00Z",
        "task": TASK,
        "method": MethodInfo(
            name=method,
            role=role,
            source_sha256="2" * 64,
            distribution="unlearnbench 0.1.0",
            config={"steps": 1, **passed},
            config_passed=passed,
        ),
        "seed": seed,
        "status": status,
        "reason": None,
        "device": CPU,
        "cost": make_cost(seconds, RETRAINING if method == "oracle" else 1) if status is Status.OK else None,
        "metrics": [make_metric(*pair) for pair in (values or GOOD).items()] if status is Status.OK else [],
        "provenance": PROVENANCE,
    }
    return Record(**{**fields, **changes})


def between(share: float, **changes: float) -> dict[str, float]:
    """Returns metrics that lie a share of the way from the original to the oracle."""
    values = {name: UNTOUCHED[name] + share * (GOOD[name] - UNTOUCHED[name]) for name in GOOD}
    return values | changes


def anchors(seeds=(0, 1, 2), **changes) -> list[Record]:
    """Returns the reference rows of a board."""
    rows = (("original", UNTOUCHED), ("oracle", GOOD))
    return [make_record(name, seed, values, **changes) for name, values in rows for seed in seeds]


def asked_for(digit: int, **changes) -> TaskInfo:
    """Returns the task with another digit to forget, as later records have it."""
    request = {"forget_class": digit}
    fields = {
        "sha256": hashlib.sha256(f"digit {digit}".encode()).hexdigest(),
        "config": request,
        "config_passed": request if digit != 3 else {},
        "request": request,
        "shared_sha256": "a" * 64,
    }
    return TASK.model_copy(update=fields | changes)


GENTLE = """
    from unlearnbench import Method, Need

    class Gentle(Method):
        name = "{name}"
        needs = frozenset({{Need.RETAIN}})
        steps: int = {steps}

        def unlearn(self, problem):
            for _ in problem.steps(self.steps):
                pass
    """


def write_plugin(path, text=GENTLE, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).format(**{"name": "gentle", "steps": 1, **values}))
    return path
