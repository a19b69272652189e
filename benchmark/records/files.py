"""Files and their hashes: written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import cannot_write


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Writes a file so that at every moment it is absent, whole and old, or whole and new.

    Args:
        path: The file.
        data: What goes into it.
        durable: Whether to wait until the disk has it; what can be made again in a moment need not.

    Raises:
        BenchmarkError: The disk is full, or the folder cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def check_writable(folder: Path) -> None:
    """Raises before any work is done if records could not be written into a folder.

    Raises:
        BenchmarkError: They could not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file without a name: a runner that is killed here leaves nothing behind.
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise cannot_write(folder, error) from error


def canonical_sha256(value: Any) -> str:
    """Returns the hash of a JSON value that does not depend on the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
