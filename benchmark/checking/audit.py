"""Listens to what a process does beyond computing: network, processes, files. Python's audit events tell of each.

A hook cannot be taken out again, so it lives in processes of its own. Code in C that opens files without Python's help is
heard only where it is wrapped here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch

from ..records import assets, places
from .observation import Heard, HeardKind

_NETWORK = {f"socket.{name}" for name in ("connect", "getaddrinfo", "gethostbyname", "sendto", "sendmsg", "bind")}
_PROCESS = ("subprocess.", "os.system", "os.fork", "os.posix_spawn", "os.spawn", "os.exec", "pty.spawn")
_CHANGES = ["remove", "rename", "rmdir", "mkdir", "truncate", "symlink", "link", "chmod", "chown", "utime"]
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".pkl", ".h5")
_DATA = (*_WEIGHTS, ".csv", ".gz", ".tar", ".zip", ".parquet", ".arrow", ".png", ".jpg", ".jpeg")


class Ear:
    """Keeps what a process does while it listens. Network and processes are refused; files are only written down.

    Args:
        own: The folder that may be written to.
    """

    def __init__(self, own: Path) -> None:
        self._own = f"{own.resolve()}{os.sep}"
        self._assets = _asset_folders()
        self.listening: Literal["off", "load", "unlearn"] = "off"
        """While a plugin is loaded only the network and the benchmark's files count; libraries do the rest."""
        self.heard: list[Heard] = []
        _make_heard(safetensors, safetensors.torch, assets)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.listening == "off":
            return
        if event in _NETWORK:
            self._refuse("network", f"{event} {arguments[1:] if event == 'socket.connect' else arguments}")
        elif event.startswith(_PROCESS) and self.listening == "unlearn":
            self._refuse("process", f"{event} {arguments[0] if arguments else ''}".strip())
        elif event == "open":
            self._opened(arguments[0], arguments[2])
        elif event.startswith(("os.", "shutil.")) and event.partition(".")[2] in _CHANGES:
            self._wrote(arguments[0])

    def _refuse(self, kind: HeardKind, detail: str) -> None:
        self.heard.append(Heard(kind, detail))
        raise PermissionError(f"A method may not do this: {detail}.")

    def _opened(self, path: Any, flags: int) -> None:
        if flags & _WRITING:
            self._wrote(path)
            return
        place = _place(path)
        shipped = place is not None and place.startswith(self._assets)
        own_data = self.listening == "unlearn" and place is not None and place.lower().endswith(_DATA)
        if place is not None and (shipped or (own_data and not place.startswith(self._own))):
            self.heard.append(Heard("read", place))

    def _wrote(self, path: Any) -> None:
        place = _place(path)
        if (
            self.listening == "unlearn"
            and place is not None
            and not f"{place}{os.sep}".startswith((self._own, "/dev/"))
        ):
            self.heard.append(Heard("write", place))


def _place(path: Any) -> str | None:
    """The absolute path, or None for an open file's number."""
    return None if isinstance(path, int) else os.path.realpath(os.fsdecode(path))


def _asset_folders() -> tuple[str, ...]:
    """Where base models, oracles and judges lie: shipped, prepared in the cache, or in the user's own folder."""
    own = places.assets_folder()
    folders = [places.SHIPPED, places.cache_folder(), *([own] if own else [])]
    return tuple(f"{folder.resolve()}{os.sep}" for folder in folders)


def _make_heard(*modules: Any) -> None:
    """Has safetensors, which opens files in Rust, say so."""
    quiet: Callable[..., Any] = safetensors.safe_open

    def safe_open(filename: Any, *arguments: Any, **options: Any) -> Any:
        sys.audit("open", os.fspath(filename), "rb", os.O_RDONLY)
        return quiet(filename, *arguments, **options)

    for module in modules:
        module.safe_open = safe_open
