"""What a run ran on and with: enough to compare and to repeat it, nothing that tells whose machine it was."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import torch

from ..errors import BenchmarkError
from ..records.record import Device, Provenance

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "diffusers", "timm", "clean-fid", "numpy", "scipy", "scikit-learn", "pandas", "pydantic")

DeviceChoice = Literal["auto", "cpu", "cuda"]


def resolve_device(choice: str) -> torch.device:
    """Turns ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises:
        BenchmarkError: It is none of these, or there is no usable GPU.
    """
    check_device(choice)
    if choice == "cuda" and not torch.cuda.is_available():
        raise BenchmarkError("There is no GPU that PyTorch can use on this machine; run with --device cpu.")
    return torch.device("cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu")


def check_device(choice: str) -> None:
    """Raises unless it is ``auto``, ``cpu`` or ``cuda``."""
    if choice not in ("auto", "cpu", "cuda"):
        raise BenchmarkError(f"There is no device '{choice}'; choose auto, cpu or cuda.")


def describe_device(device: torch.device, threads: int) -> Device:
    """Returns the device as a record shows it."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        precision: Literal["fp32", "tf32"] = "tf32" if torch.backends.cuda.matmul.allow_tf32 else "fp32"
        return Device(kind="cuda", name=properties.name, threads=threads, driver=_driver_major(), precision=precision)
    return Device(kind="cpu", name=cpu_model(), threads=threads)


def collect_provenance() -> Provenance:
    """Returns the versions, the suite's commit and the machine's size."""
    commit, dirty = git_state(_ROOT)
    return Provenance(
        suite_version=_version_of("unlearnbench") or "unknown",
        git_commit=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages={name: found for name in _PACKAGES if (found := _version_of(name)) is not None},
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Returns the commit that a clone is at and whether it holds uncommitted changes; Nones outside a clone."""
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def cpu_model() -> str:
    """Returns the processor's model."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver_major() -> str | None:
    """From the driver's own report, which needs no further package."""
    path = Path("/proc/driver/nvidia/version")
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d+)\.", path.read_text()) if path.is_file() else None
    return found[1] if found else None
