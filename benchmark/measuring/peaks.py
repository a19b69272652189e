"""Peak memory and energy of a stretch of a run."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
MIN_ENERGY_SECONDS = 2.0
"""The energy counter is updated some ten times a second; shorter stretches would be noise."""


class MemoryWatch:
    """Watches the peak of the process's resident size, of CUDA's allocator, and the GPU's energy counter.

    Attributes:
        peak_process_bytes: The largest resident size between ``start`` and ``stop``. Where the kernel cannot reset its
            counter this is the largest since the process began.
        peak_device_bytes: The CUDA allocator's largest size, or None without a GPU.
        energy_joules: The GPU's energy, or None where there is no counter.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._energy_start: float | None = None
        self._started = 0.0
        self.peak_process_bytes: int | None = None
        self.peak_device_bytes: int | None = None
        self.energy_joules: float | None = None

    def start(self) -> None:
        """Resets the counters."""
        _reset_process_peak()
        if self._device is not None:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
        self._energy_start = gpu_energy_joules(self._device)
        self._started = perf_counter()

    def stop(self) -> None:
        """Reads the counters."""
        self.peak_process_bytes = process_peak_bytes()
        if self._device is not None:
            self.peak_device_bytes = torch.cuda.max_memory_allocated(self._device)
        end = gpu_energy_joules(self._device)
        long_enough = perf_counter() - self._started >= MIN_ENERGY_SECONDS
        if end is not None and self._energy_start is not None and long_enough:
            self.energy_joules = end - self._energy_start


def process_peak_bytes() -> int:
    """Returns the largest resident size since it was last reset, or since the process began."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def gpu_energy_joules(device: torch.device | None) -> float | None:
    """Returns the GPU's energy counter (NVML, Volta and newer), or None without a GPU or without nvidia-ml-py."""
    if device is None:
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(_nvml_handle(pynvml, device))) / 1e3
    except pynvml.NVMLError:
        return None


def _nvml_handle(pynvml: Any, device: torch.device) -> Any:
    """NVML counts GPUs that CUDA_VISIBLE_DEVICES hides, so the device is found by its UUID."""
    uuid = torch.cuda.get_device_properties(device).uuid
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())


def _reset_process_peak() -> None:
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
