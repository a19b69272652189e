"""Pictures as bytes: decoded from their files and brought to a square."""

from __future__ import annotations

import hashlib
import io
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...benchmark.errors import BenchmarkError, first_line

Pixels = NDArray[np.uint8]
Fit = Literal["crop", "press", "exact", "adm"]
"""How a picture becomes a square: its middle is cut out, the whole is pressed into it, it must be one already, or its middle
is cut out as ADM does."""


class Pictures(NamedTuple):
    """Bytes ``(N, C, size, size)`` and labels ``(N,)``."""

    images: Tensor
    labels: Tensor


class Square(NamedTuple):
    """What every picture is brought to."""

    size: int
    """Height and width in pixels."""
    channels: Literal[1, 3] = 3
    """Grey or colour."""
    fit: Fit = "crop"
    shorter: int | None = None
    """What the shorter side is brought to before the middle is cut out; the size unless given."""


def decode(encoded: bytes, name: str, square: Square, way_out: str) -> Pixels:
    """Returns a picture from its file's bytes, ``(size, size, 3)``, or ``(size, size, 1)`` if it is grey.

    Args:
        encoded: The file.
        name: What the picture is called in a message.
        square: What it is brought to.
        way_out: What to do about a damaged one, as the end of a sentence.

    Raises:
        BenchmarkError: The bytes are no picture, or one of another size where it must fit exactly.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            found = _eight_bits(image).convert("RGB" if square.channels == 3 else "L")
    # Pillow raises a dozen kinds for damaged files.
    except Exception as error:  # noqa: BLE001
        raise BenchmarkError(f"The {name} is damaged ({first_line(error)[:120]}); {way_out}.") from None
    if square.fit == "exact" and found.size != (square.size, square.size):
        raise BenchmarkError(f"The {name} is {found.width}x{found.height}, not {square.size}x{square.size}; {way_out}.")
    return np.asarray(fitted(found, square), dtype=np.uint8).reshape(square.size, square.size, square.channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel in 8: what Pillow's own conversion would cut off at 255 is scaled."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if image.mode == "I" and values.max(initial=0) < 256:
        return Image.fromarray(values.astype(np.uint8))
    return Image.fromarray((values.clip(0, 65535) // 257).astype(np.uint8))


def fitted(image: Image.Image, square: Square) -> Image.Image:
    """Returns a picture as a square."""
    size = square.size
    if square.fit == "adm":
        return adm_crop(image, size)
    if square.fit == "press":
        return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    shorter = square.shorter or size
    scale = shorter / min(image.size)
    if scale != 1:
        sides = [max(shorter, round(side * scale)) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    return _middle(image, size)


def adm_crop(image: Image.Image, size: int) -> Image.Image:
    """Returns the centre square at a size.

    The crop of ADM (Dhariwal and Nichol, 2021), which DiT was trained with: halve with a box filter while the shorter side
    is at least twice the size, bring it to the size with a bicubic filter, cut out the middle.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    return _middle(image, size)


def digest(pixels: Pixels, label: int) -> bytes:
    """Returns the hash of a picture and its label."""
    return hashlib.sha256(pixels.tobytes() + label.to_bytes(1 if label < 256 else 4, "little")).digest()


def photographs(size: int, count: int) -> Pictures:
    """Returns squares of the two photographs that scikit-learn ships, evenly spaced over both; labels are -1.

    What always is at hand and in no data set of classes: a temple and a flower.
    """
    from sklearn.datasets import load_sample_images

    squares: list[Pixels] = []
    for picture in load_sample_images().images:
        image = Image.fromarray(picture)
        rows = max(2, -(-count // 16))
        for top in np.linspace(0, image.height - size, rows).astype(int):
            for left in np.linspace(0, image.width - size, 8).astype(int):
                squares.append(np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.uint8))
    images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]
    return Pictures(images[order], torch.full((len(order),), -1))


def _middle(image: Image.Image, size: int) -> Image.Image:
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
