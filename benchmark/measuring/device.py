"""Which device a run is made on, and what to call it."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import Literal

import torch

from ..errors import BenchmarkError
from ..records.record import Device

CPU = torch.device("cpu")


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


def equal_gpus() -> list[str]:
    """Returns the GPUs that are of the first one's model, as ``CUDA_VISIBLE_DEVICES`` calls them.

    Others are left out: times are compared only between equal devices, and a run's identity names its device.
    """
    count = torch.cuda.device_count()
    models = [torch.cuda.get_device_properties(index).name for index in range(count)]
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in given.split(",")] if given else [str(index) for index in range(count)]
    return [name for name, model in zip(names, models, strict=False) if model == models[0]]


def describe_device(device: torch.device, threads: int) -> Device:
    """Returns the device as a record shows it."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        precision: Literal["fp32", "tf32"] = "tf32" if torch.backends.cuda.matmul.allow_tf32 else "fp32"
        return Device(kind="cuda", name=properties.name, threads=threads, driver=_driver_major(), precision=precision)
    return Device(kind="cpu", name=cpu_model(), threads=threads)


def cpu_model() -> str:
    """Returns the processor's model."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _driver_major() -> str | None:
    """From the driver's own report, which needs no further package."""
    path = Path("/proc/driver/nvidia/version")
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d+)\.", path.read_text()) if path.is_file() else None
    return found[1] if found else None
