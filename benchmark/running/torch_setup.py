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


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception means that memory ran out, on the host or on the GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
