"""How PyTorch computes in a run's processes, and how its memory is told and given back."""

from __future__ import annotations

import gc
import importlib

import torch

from ..numerics import MEASURED


def free_memory(device: torch.device) -> None:
    """Lets go of what the method left on the device, so that the evaluation's process finds room."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def configure_torch(threads: int) -> None:
    """Fixes the thread count, and how numbers are computed."""
    # The first optimizer loads this, and it replaces functions that are watched from now on.
    importlib.import_module("torch._dynamo")
    torch.set_num_threads(threads)
    MEASURED.apply()


def host_threads(device: torch.device, threads: int) -> int:
    """Returns the threads for what an evaluation computes on the host.

    With a GPU they are all that the run has to itself, which the environment of its process says: they change a number's last
    digits at most, as another GPU does. On a CPU they are part of the run's identity.

    Args:
        device: The run's.
        threads: Those that were asked for.
    """
    return threads if device.type == "cpu" else max(threads, torch.get_num_threads())


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception means that memory ran out, on the host or on the GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
