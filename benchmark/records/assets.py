"""Weights that a task ships or prepares: safetensors files beside a manifest of hashes and of how each was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ..command_line import command
from ..errors import BenchmarkError
from . import places
from .files import about, canonical_sha256, file_sha256, write_atomically
from .record import Sha256

MANIFEST = "manifest.json"


class Asset(BaseModel):
    """A file's entry in the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    sha256: Sha256
    bytes: int
    made: dict[str, Any]
    """How it was made: seed, steps, data, package versions, seconds, device; a judge's test accuracy."""


class Manifest(BaseModel):
    """The manifest of a folder of assets."""

    model_config = ConfigDict(extra="forbid")

    files: dict[str, Asset] = {}


class AssetFolder:
    """A task's assets: what it ships, and what ``unlearnbench prepare`` made on this machine.

    If the environment variable ``UNLEARNBENCH_ASSETS`` names a folder, files are looked for and written there alone; else
    they are looked for among the shipped files, then in the cache, where new ones are written.

    Args:
        task: The task's name.
        shipped: The package's folder with this task's files.
        prepare_command: Returns the command that makes what is lacking, for messages.
    """

    def __init__(self, task: str, shipped: Path, prepare_command: Callable[[], str] | None = None) -> None:
        own = places.assets_folder()
        self.task = task
        self._prepare_command = prepare_command or (lambda: command("prepare", task))
        self.writable = (own or places.cache_folder()) / task
        self._folders = [self.writable] if own else [shipped, self.writable]

    def has(self, name: str) -> bool:
        """Returns whether a file is at hand."""
        return any((folder / name).is_file() and name in self._manifest(folder).files for folder in self._folders)

    def is_known(self, name: str) -> bool:
        """Returns whether a manifest has a file's entry, be the file at hand or not."""
        return any(name in self._manifest(folder).files for folder in self._folders)

    def entry(self, name: str) -> Asset:
        """Returns a file's entry in its manifest: of the one at hand, if it is."""
        if not self.has(name):
            for folder in self._folders:
                if name in (files := self._manifest(folder).files):
                    return files[name]
        return self._find(name)[1]

    def place(self, name: str) -> Path:
        """Returns where a file is."""
        return self._find(name)[0] / name

    def load(self, name: str, keys: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Reads a file of weights after checking its hash; half-precision weights come back in single precision.

        Args:
            name: The file.
            keys: What to read of it; everything unless given.

        Raises:
            BenchmarkError: It is missing, or is not the file that the manifest names.
        """
        folder, asset = self._find(name)
        path = folder / name
        if file_sha256(path) != asset.sha256:
            raise BenchmarkError(
                f"{path} is not the file that its manifest names{about(path)} (another sha256); "
                f"restore it, or delete it and run `{self._prepare_command()}`."
            )
        with safe_open(path, framework="pt") as file:
            values = {key: file.get_tensor(key) for key in (file.keys() if keys is None else keys)}
        return {key: value.float() if value.is_floating_point() else value for key, value in values.items()}

    def save(self, name: str, weights: dict[str, Tensor], made: dict[str, Any]) -> None:
        """Writes weights in half precision, and their entry in the manifest."""
        halved = {
            key: (value.half() if value.is_floating_point() else value).contiguous().cpu()
            for key, value in weights.items()
        }
        data = save(halved)
        write_atomically(self.writable / name, data)
        manifest = self._manifest(self.writable)
        manifest.files[name] = Asset(sha256=file_sha256(self.writable / name), bytes=len(data), made=made)
        manifest.files = dict(sorted(manifest.files.items()))
        write_atomically(self.writable / MANIFEST, manifest.model_dump_json(indent=1).encode() + b"\n")

    def sha256(self, names: list[str]) -> str:
        """Returns one hash of some files."""
        return canonical_sha256({name: self.entry(name).sha256 for name in names})

    def _find(self, name: str) -> tuple[Path, Asset]:
        for folder in self._folders:
            asset = self._manifest(folder).files.get(name)
            if asset is not None and (folder / name).is_file():
                return folder, asset
        raise BenchmarkError(f"The task '{self.task}' lacks its file {name}; run `{self._prepare_command()}`.")

    def _manifest(self, folder: Path) -> Manifest:
        path = folder / MANIFEST
        if not path.is_file():
            return Manifest()
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise BenchmarkError(
                f"{path} is not a manifest ({what}); delete the folder and prepare the task again."
            ) from None
