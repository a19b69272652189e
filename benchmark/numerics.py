"""How PyTorch computes: what runs and ``prepare`` have in common, and what samplers may do to be faster on a GPU.

Each changes the last digits of numbers, so there is one setting for all that is measured, and whatever departs from it is
declared in the protocol of its task.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from .errors import BenchmarkError


class Numerics(NamedTuple):
    """The switches of this process that change what is computed."""

    deterministic: int = 1
    """As ``torch.get_deterministic_debug_mode`` has it: 1 asks for deterministic kernels, and warns where there are none."""
    search: bool = False
    """Whether cuDNN tries which kernel is the fastest, which may be another one in every process."""
    convolution_tf32: bool = False
    """Whether a GPU rounds the factors of convolutions to ten bits of mantissa."""
    product_tf32: bool = False
    """The same of products of matrices."""
    flash_attention: bool = False
    """Whether a GPU may use this fused kernel, whose backward pass adds up in no fixed order."""
    efficient_attention: bool = False
    """The same of the other one, for single precision."""

    @classmethod
    def now(cls) -> Self:
        """Returns what is in force."""
        cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
        return cls(
            torch.get_deterministic_debug_mode(),
            cudnn.benchmark,
            cudnn.allow_tf32,
            cuda.matmul.allow_tf32,
            cuda.flash_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
        )

    def apply(self) -> None:
        """Puts the switches in force."""
        # As ``use_deterministic_algorithms(…, warn_only=True)``, which loads PyTorch's compiler, too.
        torch.set_deterministic_debug_mode(self.deterministic)
        torch.backends.cudnn.benchmark = self.search
        torch.backends.cudnn.allow_tf32 = self.convolution_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.product_tf32
        if torch.cuda.is_available():
            # A CPU has one of them, too, whose sums are always the same.
            torch.backends.cuda.enable_flash_sdp(self.flash_attention)
            torch.backends.cuda.enable_mem_efficient_sdp(self.efficient_attention)


MEASURED = Numerics()
"""What runs and ``prepare`` compute with: deterministic kernels in full single precision."""
FAST = MEASURED._replace(convolution_tf32=True, product_tf32=True, flash_attention=True, efficient_attention=True)
"""What samplers may draw with, where their task's protocol says so; passes through the network are in bfloat16 then."""
TRAINING = Numerics(0, convolution_tf32=True, flash_attention=True, efficient_attention=True)
"""What a GPU trains base models, oracles and judges with: what comes out is a file, known by its hash."""
FAST_NAME = "tf32, fused attention, bf16"
"""What a protocol calls it."""
EXACT_NAME = "fp32"


@contextmanager
def computing(wanted: Numerics) -> Iterator[None]:
    """Has this process compute in a way for a while, and then as before."""
    before = Numerics.now()
    wanted.apply()
    try:
        yield
    finally:
        before.apply()


@contextmanager
def training(device: torch.device) -> Iterator[None]:
    """Has a GPU train as fast as it can; a CPU computes as ever."""
    with computing(TRAINING if device.type == "cuda" else Numerics.now()):
        yield


def name_of(fast: bool) -> str:
    """Returns what a protocol calls sampling that is fast, or not."""
    return FAST_NAME if fast else EXACT_NAME


def check_fast(device: torch.device) -> None:
    """Raises unless fast sampling is for a device.

    Raises:
        BenchmarkError: It is not a GPU.
    """
    if device.type != "cuda":
        raise BenchmarkError(
            f"Fast sampling is for a GPU and brings nothing on '{device.type}'; leave out `--set fast_sampling=true`, or run "
            "on a CUDA device."
        )


@contextmanager
def sampling(model: nn.Module, fast: bool) -> Iterator[nn.Module]:
    """Yields a model to draw from: as it is, or over the same weights in bfloat16, while ``FAST`` is in force.

    Args:
        model: Answers with a tensor.
        fast: Whether it may.

    Raises:
        BenchmarkError: It may, and is not on a GPU.
    """
    if not fast:
        yield model
        return
    check_fast(next(model.parameters()).device)
    with computing(FAST):
        yield _InBfloat16(model)


class _InBfloat16(nn.Module):
    """A model whose passes run in bfloat16 where that is safe, and which answers in single precision."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        with torch.autocast(next(self.model.parameters()).device.type, torch.bfloat16):
            found: Tensor = self.model(*inputs, **options)
        return found.float()
