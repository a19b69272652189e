"""The judges of ``cifar10-ddpm``: He et al.'s (2016) residual networks for CIFAR-10, or networks that timm loads."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load

from ...benchmark.errors import BenchmarkError
from ...benchmark.records import places
from ...benchmark.records.files import about, file_sha256
from .cifar_resnet import CifarResNet
from .judge import Judge
from .timm import TimmSpec, parse_judge

FOLDER = "cifar10-judges"
"""Below ``$UNLEARNBENCH_DATA``."""


class Pinned(NamedTuple):
    """A file of weights that is known."""

    sha256: str
    test_accuracy: float
    """On CIFAR-10's 10,000 test images."""


PINNED = {
    "resnet20": Pinned("6d10c0b75b12e242282f202ca844e29040fc26ce3fdaf286150214f157ef9cef", 0.9173),
    "resnet32": Pinned("5a4cf23f5420baa8a16e9ac4aaa561bcba09277097549afff9a712b9d676e02b", 0.9263),
    "resnet44": Pinned("282303c52fae8e3ac48ffbe384c2c90e94896a5ca4fe6c78ffd2ff3275deba1f", 0.9310),
}


def folder() -> Path | None:
    """Returns where files of judges are looked for, or None if no place is set."""
    above = places.data_folder()
    return above / FOLDER if above else None


def place(file: str) -> str:
    """Returns where a file belongs, for a message."""
    return str((folder() or Path(f"${places.DATA}") / FOLDER) / file)


def pinned_file(name: str) -> Path | None:
    """Returns the file of a pinned judge if it is there."""
    path = (folder() or Path()) / f"{name}.safetensors"
    return path if folder() is not None and path.is_file() else None


def short_name(judge: str) -> str:
    """Returns what records call a judge: ``resnet18=mine.safetensors`` is ``resnet18``.

    Raises:
        ValueError: It is neither pinned nor one of timm's.
    """
    return judge if judge in PINNED else parse_judge(judge).judge


def timm_spec(judge: str) -> TimmSpec:
    """Reads a judge of timm's; a file without a folder that is not here is looked for among the judges' files."""
    found = parse_judge(judge)
    above = folder()
    if found.file is None or above is None or found.file.name != str(found.file) or found.file.is_file():
        return found
    return found._replace(file=above / found.file)


def load_pinned(name: str) -> Judge:
    """Loads one of He et al.'s networks from its file.

    Raises:
        BenchmarkError: It is missing or another one.
    """
    path = pinned_file(name)
    wanted = PINNED[name].sha256
    if path is None:
        raise BenchmarkError(f"The judge {name} is not at {place(name + '.safetensors')}; put it there.")
    found = file_sha256(path)
    if found != wanted:
        raise BenchmarkError(
            f"{path} is not the judge {name}{about(path)}: its sha256 is {found[:12]}, not {wanted[:12]}; replace it."
        )
    network = new_network(name)
    network.load_state_dict(load(path.read_bytes()))
    return Judge(network.eval(), found)


def new_network(name: str) -> CifarResNet:
    """Returns a pinned judge's network, freshly initialized."""
    return CifarResNet(int(name.removeprefix("resnet")))
