"""How PyTorch computes in a run's processes, and how its memory is told and given back."""

from __future__ import annotations

import gc
import importlib

import torch


def free_memory(device: torch.device) -> None:
    """Lets go of what the method left on the device, so that the evaluation's process finds room."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def configure_torch(threads: int) -> None:
    """Fixes the thread count and asks for deterministic kernels in full single precision."""
    # The first optimizer loads this, and it replaces functions that are watched from now on.
    importlib.import_module("torch._dynamo")
    torch.set_num_threads(threads)
    # As ``use_deterministic_algorithms(True, warn_only=True)``, which loads PyTorch's compiler, too.
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if torch.cuda.is_available():
        # The backward passes of the fused attention kernels add up in no fixed order.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception means that memory ran out, on the host or on the GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
