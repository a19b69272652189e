"""What is compared before and after a method: weights, data, and the state of the process."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..records import places

# Libraries set variables of their own when they are first imported.
_ENVIRONMENT = (*places.VARIABLES, "CUBLAS_")


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a model's weights and buffers by name."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def layout_of(model: nn.Module) -> dict[str, str]:
    """Returns shape, type and device of each weight and buffer."""
    state = model.state_dict()
    return {name: f"{tuple(v.shape)} of {v.dtype} on {v.device}".replace("torch.", "") for name, v in state.items()}


def first_difference(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Returns what differs first between two layouts, as a sentence's part, or None."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "absent"), after.get(name, "absent")
        if old != new:
            return f"'{name}' was {old} and is {new}"
    return None


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Returns one hash of names, shapes, types and every bit of some tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def digests_of(pools: Mapping[str, Any]) -> dict[str, str]:
    """Returns the hash of each set that is held in memory; those that stream from a disk are left out."""
    held = {name: pool for name, pool in pools.items() if isinstance(getattr(pool, "images", None), Tensor)}
    return {name: digest_of({"images": pool.images, "labels": pool.labels}) for name, pool in held.items()}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns the names whose values are not the same."""
    return [name for name, value in after.items() if value != before.get(name)]


def process_state() -> dict[str, Any]:
    """Returns the settings of the whole process that judges run under, too."""
    return {
        "the global seed": torch.initial_seed(),
        "deterministic kernels": torch.are_deterministic_algorithms_enabled(),
        "the thread count": torch.get_num_threads(),
        "the default type": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "whether gradients are on": torch.is_grad_enabled(),
        "cuDNN's search": torch.backends.cudnn.benchmark,
        "the benchmark's environment": {k: v for k, v in os.environ.items() if k.startswith(_ENVIRONMENT)},
        "the working folder": str(Path.cwd()),
    }


def running_threads() -> dict[int, str]:
    """Returns every thread that runs Python, by its number."""
    named = {thread.ident: f"the thread '{thread.name}'" for thread in threading.enumerate()}
    return {ident: named.get(ident, "a thread without a name") for ident in sys._current_frames()}


def new_modules(before: Iterable[str], prefixes: tuple[str, ...]) -> list[str]:
    """Returns the modules below some packages that were imported since."""
    return sorted(name for name in set(sys.modules) - set(before) if name.startswith(prefixes))
