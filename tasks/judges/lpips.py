"""LPIPS (Zhang et al., 2018), how differently two pictures look to AlexNet. Measured where its weights are at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.records import places
from ...benchmark.records.files import canonical_sha256, file_sha256
from ..data.pools import in_range
from .judge import Extractor

FOLDER = "features"
BACKBONE, HEADS = "alexnet-owt-7be5be79.pth", "lpips_alex.pth"
"""torchvision's AlexNet, and the file ``weights/v0.1/alex.pth`` of the package ``lpips``."""
NAME = "lpips-alex"
BATCH_SIZE = 50
_LAYERS = (1, 4, 7, 9, 11)
"""The rectified convolutions among AlexNet's layers."""


class LPIPS(nn.Module):
    """Embeds pictures such that the squared distance of two embeddings is their LPIPS.

    Args:
        heads: The weight of every channel of the five layers, ``(C,)`` each, none of them negative.
    """

    def __init__(self, heads: list[Tensor]) -> None:
        super().__init__()
        from torchvision.models import alexnet

        self.layers: nn.Sequential = alexnet(weights=None).features[: _LAYERS[-1] + 1]
        self.heads = nn.ParameterList(heads)
        self.mean = nn.Buffer(torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), persistent=False)
        self.deviation = nn.Buffer(torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, H, W)`` in [-1, 1], 32 pixels wide at least, to embeddings ``(N, D)``."""
        hidden = (images - self.mean) / self.deviation
        found: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if place in _LAYERS:
                unit = hidden / (hidden.square().sum(1, keepdim=True).sqrt() + 1e-10)
                weight = self.heads[len(found)].view(1, -1, 1, 1) / unit[0, 0].numel()
                found.append((unit * weight.sqrt()).flatten(1))
        return torch.cat(found, 1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Returns the LPIPS of pairs of images, in [-1, 1] or as bytes, ``(N,)``."""
        pairs = zip(a.split(BATCH_SIZE), b.split(BATCH_SIZE), strict=True)
        with torch.inference_mode():
            found = [(self.features(in_range(x)) - self.features(in_range(y))).square().sum(1) for x, y in pairs]
        return torch.cat(found)


def load() -> Extractor | None:
    """Returns LPIPS with the hash of its weights, or None if no folder holds them.

    Raises:
        BenchmarkError: The files are there and hold something else.
    """
    below = places.data_copy(FOLDER)
    files = [below / name for name in (BACKBONE, HEADS)] if below else []
    if not files or not all(file.is_file() for file in files):
        return None
    try:
        backbone, heads = (torch.load(file, map_location="cpu", weights_only=True) for file in files)
        model = LPIPS([heads[f"lin{place}.model.1.weight"].flatten() for place in range(len(_LAYERS))])
        model.layers.load_state_dict({name: backbone[f"features.{name}"] for name in model.layers.state_dict()})
    # Damaged bytes make PyTorch's restricted unpickler raise nearly anything.
    except Exception:  # noqa: BLE001
        raise BenchmarkError(
            f"{files[0].parent} holds other files than torchvision's AlexNet and the heads of lpips (alex, v0.1) under the "
            f"names {BACKBONE} and {HEADS}; restore them, or remove them to do without LPIPS."
        ) from None
    return Extractor(model.eval().requires_grad_(False), canonical_sha256([file_sha256(file) for file in files]))
