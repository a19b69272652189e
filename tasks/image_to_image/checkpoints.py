"""Files of public checkpoints in ``from_pretrained`` layout: what they are, and their hash."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import canonical_sha256, file_sha256

WEIGHTS = "*model.safetensors"
"""Files of weights; those of other precisions, such as ``model.fp16.safetensors``, are left alone."""


def checkpoint_sha256(folder: Path, parts: tuple[str, ...]) -> str:
    """Returns the hash of a checkpoint's configurations and weights.

    Raises:
        BenchmarkError: The folder holds none.
    """
    files = [path for part in parts for end in ("*.json", WEIGHTS) for path in sorted((folder / part).glob(end))]
    if not any(path.suffix == ".safetensors" for path in files):
        raise BenchmarkError(
            f"{folder} holds no weights in safetensors format; save the model again with `save_pretrained`."
        )
    return _hash(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files), folder)


def read_config(folder: Path, part: str, kind: str, way_out: str) -> dict[str, Any]:
    """Reads a checkpoint's configuration.

    Raises:
        BenchmarkError: It is not there, or of another kind of model.
    """
    path = folder / part / "config.json"
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        raise BenchmarkError(f"{folder} is no checkpoint: {path} is missing or damaged; {way_out}.") from None
    named = found.get("_class_name") or ", ".join(found.get("architectures") or []) or "model of another kind"
    if kind not in named:
        raise BenchmarkError(f"{folder / part} holds a {named} and not a {kind}; {way_out}.")
    return dict(found)


@functools.cache
def _hash(files: tuple[tuple[Path, int, int], ...], folder: Path) -> str:
    return canonical_sha256({str(path.relative_to(folder)): file_sha256(path) for path, _, _ in files})
