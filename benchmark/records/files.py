"""Files and their hashes: written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from ..errors import cannot_write

_POINTER = b"version https://git-lfs"
"""How a file begins that Git LFS puts in the place of a large one."""


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Writes a file so that at every moment it is absent, whole and old, or whole and new.

    Args:
        path: The file.
        data: What goes into it.
        durable: Whether to wait until the disk has it; what can be made again in a moment need not.

    Raises:
        BenchmarkError: The disk is full, or the folder cannot be written.
    """
    # Made as every file of the user's is: with the rights that the umask leaves.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def about(path: Path) -> str:
    """Returns what is odd about a file that could not be used, as a part of a sentence; often nothing."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_POINTER))
    except OSError:
        return ""
    if begin == _POINTER:
        return ", but a pointer of Git LFS: get the file itself with `git lfs pull`"
    return "" if begin else ", but empty"


def files_below(folder: Path, suffix: str = "") -> list[Path]:
    """Returns the files below a folder, in a fixed order. Links are followed, also to folders: what writes follows them, too.

    Args:
        folder: Where to look.
        suffix: What their names end with.
    """
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        state = Path(place).stat()
        # A link to a folder above itself would lead around for ever.
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        # Links come last: a folder that can be reached without one is found under its own name.
        folders.sort(key=lambda name: (Path(place, name).is_symlink(), name))
        found += [Path(place, name) for name in files if name.endswith(suffix)]
    return sorted(found)


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
