"""Features of pictures that never change, real ones and the oracles' samples: computed once a machine and kept on disk.

A file is found by what its features depend on, and is trusted as far as it can be checked: a digest tells a damaged one,
and the features of a few pictures, which nobody can know before, are computed again and compared. One that fails is made
again. Where nothing can be written, everything is computed, to the same bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from ...benchmark.errors import BenchmarkError
from ...benchmark.measuring.device import describe_device
from ...benchmark.metrics.intervals import Floats
from ...benchmark.records import places
from ...benchmark.records.files import canonical_sha256, write_atomically
from .judge import BATCH, Extractor, embed

VERSION = 1
"""Of the files: raised when what they hold is computed in another way."""
FEWEST = 100
"""Pictures from which on their features are kept; fewer take no time."""
CHECKED = 16
"""Pictures whose features are computed again, when those of all are read."""
TOLERANCE = 1e-3
"""Of that check, relative: a batch of another size changes the last digits."""


def fixed_features(extractor: Extractor, images: Tensor) -> Floats:
    """Returns what ``features`` returns, to the bit, from the disk where it was kept before.

    Args:
        extractor: What embeds.
        images: ``(N, C, H, W)`` that are the same in every run; in [-1, 1], or bytes.
    """
    if len(images) < FEWEST:
        return _double(embed(extractor, images))
    key = _key(extractor, images)
    path = features_folder() / key
    found = _read(path, key)
    if found is None or not _agrees(found, extractor, images):
        found = embed(extractor, images)
        # A folder that is full or not the user's makes runs slower and nothing else.
        with contextlib.suppress(BenchmarkError):
            _write(path, key, found)
    return _double(found)


def features_folder() -> Path:
    """Returns the folder of what is kept; deleting it costs some seconds."""
    return places.cache_folder() / "features" / "of-fixed-pictures"


def _key(extractor: Extractor, images: Tensor) -> str:
    """Returns the hash of all that the features depend on, to the bit."""
    pixels = images.detach().cpu().contiguous().flatten()
    return canonical_sha256(
        {
            "version": VERSION,
            "network": type(extractor.network).__qualname__,
            "weights": extractor.sha256,
            "preparation": extractor.preparation,
            "batch": BATCH,
            "device": describe_device(extractor.device, torch.get_num_threads()).group,
            "torch": torch.__version__,
            "shape": [*images.shape],
            "type": str(images.dtype),
            "pixels": hashlib.sha256(pixels.view(torch.uint8).numpy().data).hexdigest(),
        }
    )


def _write(path: Path, key: str, found: Tensor) -> None:
    data = save({"features": found.contiguous()})
    write_atomically(path, _digest(key, data) + data, durable=False)


def _read(path: Path, key: str) -> Tensor | None:
    """Returns what a file holds, or None if there is none or not the one that was written under this key."""
    try:
        data = memoryview(path.read_bytes())
    except OSError:
        return None
    size = hashlib.sha256().digest_size
    if bytes(data[:size]) != _digest(key, data[size:]):
        return None
    return load(bytes(data[size:]))["features"]


def _digest(key: str, data: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(data)
    return digest.digest()


def _agrees(found: Tensor, extractor: Extractor, images: Tensor) -> bool:
    """Returns whether some pictures, chosen by the machine's own randomness, have these features."""
    if len(found) != len(images):
        return False
    rows = torch.tensor(random.SystemRandom().sample(range(len(images)), CHECKED))
    again, kept = embed(extractor, images[rows]), found[rows]
    return again.shape == kept.shape and torch.allclose(
        again, kept, rtol=TOLERANCE, atol=TOLERANCE * float(again.abs().mean())
    )


def _double(found: Tensor) -> Floats:
    return np.asarray(found.double().numpy())
