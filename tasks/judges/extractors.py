"""Feature extractors of the literature: clean-fid's Inception and DINOv2, with weights that the suite finds and checks.

Nothing is fetched when this module is imported or a task is looked at. Weights are looked for in ``features`` below
``$UNLEARNBENCH_DATA`` or below the cache, and fetched there by ``load_extractor`` unless ``HF_HUB_OFFLINE`` is set.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError, first_line, unknown_name
from ...benchmark.measuring.device import CPU
from ...benchmark.records import places
from ...benchmark.records.files import about, file_sha256, write_atomically
from ..data.pools import to_bytes
from . import judge

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMEOUT_SECONDS = 60

Distances = Literal["judge", "inception", "dinov2-small"]
"""Whose features a task measures distances in: the first judge's, or an extractor's."""


class Weights(NamedTuple):
    """A file of weights and where it comes from."""

    file: str
    """Its name in the folder of features."""
    source: str
    """An address, or ``hub:REPOSITORY/FILE`` for a file of the Hugging Face Hub."""
    sha256: str | None
    """The hash that the file must have. None where we know of none: that of the first file found is written beside it
    and holds from then on."""


class Kind(NamedTuple):
    """A kind of extractor."""

    weights: Weights
    architecture: str
    """What the weights are loaded into."""
    size: int
    """Height and width of its input, in pixels."""
    dimensions: int
    """D, the width of a feature vector."""
    normalisation: str
    """What happens to pixel values after resizing."""
    load: Callable[[Kind, Path], nn.Module]
    """Makes the map from images ``(N, 3, size, size)`` in [0, 255] to features ``(N, D)``."""
    options: Mapping[str, Any] = {}
    """What the architecture is made with beside its name."""

    @property
    def preprocessing(self) -> str:
        """One line, part of the identity of every number."""
        return f"clean-fid PIL bicubic {self.size}, {self.normalisation}"


class ExtractorNetwork:
    """Maps images to features.

    Args:
        name: Of the kind.
        kind: What it is.
        path: The weights, which were checked.
        sha256: Their hash.
        device: Where the network runs.
        batch_size: Images in a pass.

    Attributes:
        dimensions: D, the width of a feature vector.
        sha256: The hash of the weights.
    """

    def __init__(
        self, name: str, kind: Kind, path: Path, sha256: str, device: torch.device, batch_size: int = 64
    ) -> None:
        self.name, self.dimensions, self.sha256 = name, kind.dimensions, sha256
        self._kind, self._device, self._batch_size = kind, device, batch_size
        self._resize = _resizer(kind.size)
        self._network = _loaded(kind, path, device)

    def describe(self) -> str:
        """Returns network and preprocessing in one line, to stand in a number's identity beside ``sha256``."""
        return f"features {self.name} ({self._kind.architecture}), {self._kind.preprocessing}"

    def to(self, device: torch.device, /) -> Self:
        """Moves the network to a device."""
        self._network, self._device = self._network.to(device), device
        return self

    def features(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` in [-1, 1] to features ``(N, D)`` on the host; see ``FeatureNetwork``."""
        return torch.from_numpy(self(to_bytes(images)))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """Returns features ``(N, D)`` of bytes ``(N, C, H, W)``; a grey image counts as three equal channels."""
        parts = [self._network(self._prepare(part)).float().cpu() for part in images.split(self._batch_size)]
        return cast(NDArray[np.float32], torch.cat(parts).numpy())

    def _prepare(self, images: Tensor) -> Tensor:
        coloured = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()
        resized = np.stack([self._resize(image) for image in coloured])
        return torch.from_numpy(resized).permute(0, 3, 1, 2).to(self._device)


def load_extractor(name: str, device: torch.device | None = None, path: Path | None = None) -> ExtractorNetwork:
    """Loads an extractor, and fetches its weights where they are not at hand.

    Args:
        name: A key of ``KINDS``.
        device: Where the network runs; the CPU unless given.
        path: A file of weights to use as it is. Its hash stands in the numbers' identity, so that they are compared with
            numbers from the same file alone.

    Raises:
        BenchmarkError: There is no such kind; the weights are missing and cannot be fetched, are not the file that they
            should be, or cannot be loaded.
    """
    kind = _kind(name)
    if path is not None and not path.is_file():
        raise BenchmarkError(f"There is no file {path} with weights of the features '{name}'; correct the path.")
    found = path or fetch(name)
    return ExtractorNetwork(name, kind, found, file_sha256(found), device or CPU)


def of_distances(distances: Distances) -> tuple[str, judge.Extractor] | None:
    """Returns a task's choice with its name, weights fetched before; None where the first judge gives the features."""
    if distances == "judge":
        return None
    found = load_extractor(distances)
    return distances, judge.Extractor(found, found.sha256, preparation=found.describe())


def prepare(distances: Distances) -> None:
    """Fetches and checks the weights of a task's choice; see ``fetch``."""
    if distances != "judge":
        fetch(distances)


def weights_sha256(distances: Distances) -> str | None:
    """Returns the hash of the weights of a task's choice, which are at hand and checked; None for a judge's."""
    return None if distances == "judge" else file_sha256(fetch(distances))


def missing(name: str) -> str | None:
    """Returns a sentence with what to do if the weights are not at hand; asks no network.

    Args:
        name: A key of ``KINDS``, or ``judge``, which lacks nothing here.
    """
    if name == "judge":
        return None
    weights = _kind(name).weights
    if _place(weights).is_file():
        return None
    return f"The features '{name}' lack their weights; prepare the task: {_way_out(weights)}."


def fetch(name: str) -> Path:
    """Returns the checked file of weights, after fetching it if it is not at hand.

    Raises:
        BenchmarkError: It cannot be fetched, or is not the file that it should be.
    """
    weights = _kind(name).weights
    place = _place(weights)
    if not place.is_file():
        _fetch(name, weights, place)
    _check(name, weights, place)
    return place


def features_folder() -> Path:
    """Returns the folder of weights: ``features`` below ``$UNLEARNBENCH_DATA``, else below the cache."""
    return (places.data_folder() or places.cache_folder()) / "features"


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise unknown_name("kind of features", name, KINDS)
    return KINDS[name]


def _place(weights: Weights) -> Path:
    return features_folder() / weights.file


def _way_out(weights: Weights) -> str:
    return (
        f"be online, or put {weights.file} from {_address(weights)} into {features_folder()} "
        f"(the folder 'features' below ${places.DATA})"
    )


def _address(weights: Weights) -> str:
    return re.sub(r"^hub:(.*)/([^/]+)$", r"https://huggingface.co/\1/resolve/main/\2", weights.source)


def _fetch(name: str, weights: Weights, place: Path) -> None:
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        if places.is_offline():
            raise OSError(f"{places.OFFLINE} is set")
        place.parent.mkdir(parents=True, exist_ok=True)
        if weights.source.startswith("hub:"):
            from huggingface_hub import hf_hub_download

            repository, _, file = weights.source.removeprefix("hub:").rpartition("/")
            shutil.copyfile(hf_hub_download(repository, file), part)
        else:
            with urllib.request.urlopen(weights.source, timeout=TIMEOUT_SECONDS) as answer, part.open("wb") as out:
                shutil.copyfileobj(answer, out)
        part.replace(place)
    # The hub, the network and the disk fail in many ways; for the user it is one: the weights are not there.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"The weights of the features '{name}' could not be fetched ({first_line(error)}); {_way_out(weights)}."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _check(name: str, weights: Weights, place: Path) -> None:
    """Compares a file's hash with the known one, or with that of the first file that was found in its place."""
    found, beside = file_sha256(place), place.with_name(f"{place.name}.sha256")
    expected = weights.sha256
    if expected is None and beside.is_file():
        expected = beside.read_text().split()[0] if beside.read_text().strip() else ""
    if expected is None:
        write_atomically(beside, f"{found}  {place.name}\n".encode())
    elif found != expected:
        pinned = "" if weights.sha256 else f", as {beside.name} beside it says"
        raise BenchmarkError(
            f"{place} is not the file of weights that the features '{name}' were pinned to{pinned}{about(place)}: "
            f"its sha256 is {found[:12]}, not {expected[:12]}; delete it and {_way_out(weights)}."
        )


def _loaded(kind: Kind, path: Path, device: torch.device) -> nn.Module:
    try:
        return kind.load(kind, path).eval().to(device)
    # A file that is no weights, or another network's, fails in as many ways as there are formats.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(
            f"{path} does not hold the weights of {kind.architecture}{about(path)} ({first_line(error)[:200]}); "
            "put another copy there."
        ) from None


def _resizer(size: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    from cleanfid.resize import make_resizer

    return cast(Callable[[NDArray[np.uint8]], NDArray[np.float32]], make_resizer("PIL", False, "bicubic", (size, size)))


class _Inception(nn.Module):
    """The network as clean-fid calls it: its layers without its own resizing, which is not antialiased."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # There is no other form of this network with the same numbers; clean-fid loads it so, too.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.base = torch.jit.load(path, map_location="cpu")
        self.layers = self.base.layers

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers((images - 128) / 128)).flatten(1)


def _load_inception(_: Kind, path: Path) -> nn.Module:
    return _Inception(path)


class _ClassToken(nn.Module):
    """A timm vision transformer without a head, on images in [0, 255]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(-1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(-1, 1, 1) * 255)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network((images - self.mean) / self.std))


def _load_timm(kind: Kind, path: Path) -> nn.Module:
    import timm

    # timm itself fits the position embeddings to the input's size.
    network = timm.create_model(
        kind.architecture,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path)},
        num_classes=0,
        img_size=kind.size,
        **kind.options,
    )
    return _ClassToken(network)


def _dinov2(size: str, dimensions: int) -> Kind:
    architecture = f"vit_{size}_patch14_dinov2.lvd142m"
    return Kind(
        weights=Weights(f"{architecture}.safetensors", f"hub:timm/{architecture}/model.safetensors", None),
        architecture=architecture,
        size=224,
        dimensions=dimensions,
        normalisation="ImageNet mean and deviation, class token",
        load=_load_timm,
    )


KINDS: dict[str, Kind] = {
    "inception": Kind(
        # The network of the first FID (Heusel et al., 2017), converted by Karras et al.; the file that clean-fid downloads.
        # The hash is the one that k-diffusion's evaluation pins.
        weights=Weights(
            "inception-2015-12-05.pt",
            "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
            "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
        ),
        architecture="inception-2015-12-05",
        size=299,
        dimensions=2048,
        normalisation="(x - 128) / 128",
        load=_load_inception,
    ),
    "dinov2-small": _dinov2("small", 384),
    # The one of Stein et al. (2023), who found its distances closer to people's judgement than Inception's.
    "dinov2-large": _dinov2("large", 1024),
}
"""The extractors by name."""
