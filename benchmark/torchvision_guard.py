"""Makes timm and clean-fid importable beside a CPU build of PyTorch.

torchvision is published on the default index as a CUDA build only. Beside CPU PyTorch its C++ library cannot be loaded,
and it then registers fake kernels for two operators that were never defined, which aborts its import and, with it, that of
timm, clean-fid, diffusers and transformers. The hook below runs when anyone first imports torchvision: it loads the C++
library itself, and only if that fails declares the two operators. A healthy torchvision is left alone, which matters:
declaring an operator that the library registers later ends the process.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_declared: list[Any] = []
"""Keeps the operator library alive: PyTorch withdraws the declarations when the object is collected."""


class _Guard(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            _declare_missing_operators()
        return None


def install() -> None:
    """Installs the hook once; does nothing if torchvision was imported before."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _Guard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Guard())


def is_active() -> bool:
    """Returns whether the operators had to be declared, that is, whether torchvision's own C++ library is unusable."""
    return bool(_declared)


def _declare_missing_operators() -> None:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    library = next(iter(Path(spec.origin).parent.glob("_C.*")), None)
    if library is None:
        return
    import torch

    # A test runner may have imported the package a second time under another name, and with it this hook.
    if hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        torch.ops.load_library(str(library))
    except OSError:
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(operators)
