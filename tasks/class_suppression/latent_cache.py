"""What is computed of the data once: latents of the training images, features of the reference images.

Each file of the data set leaves one file here, written whole or not at all, so work that was stopped goes on with the file
that it stopped at.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.problem import TensorPool
from ...benchmark.records.assets import AssetFolder
from ...benchmark.task import Progress
from ..data.dataset import DataSet
from ..data.labelled import LabelledRows
from ..data.pictures import Pixels, digest

BATCH_SIZE = 32

Compute = Callable[[Tensor], dict[str, Tensor]]
"""Maps images ``(N, 3, H, W)`` in [-1, 1] to what is kept of them, on the host."""


class Selection(NamedTuple):
    """Which images of a split are kept: the first of each class, in the order of the data set."""

    each: int
    """Images of every class."""
    whole: dict[int, int]
    """Images of some classes of which more are kept."""
    num_classes: int
    """The classes that there are."""

    def limit(self, label: int) -> int:
        """Returns how many images of a class are kept."""
        return max(self.each, self.whole.get(label, 0))

    def done(self, kept: Counter[int]) -> bool:
        """Returns whether every class has its images."""
        return all(kept[label] >= self.limit(label) for label in range(self.num_classes))


class _Picture(NamedTuple):
    pixels: Pixels
    label: int


class Kept(NamedTuple):
    """What a split left."""

    files: list[str]
    """Names of the assets, in the order of the data set's files."""
    sha256: str
    """Of pixels and labels of the images, whatever files they came in."""
    images: int


def fill(
    assets: AssetFolder,
    prefix: str,
    data: DataSet,
    source: LabelledRows,
    selection: Selection,
    compute: Compute,
    progress: Progress,
) -> Kept:
    """Computes what is lacking, file by file.

    Args:
        assets: Where the files go.
        prefix: What their names begin with; another selection or another network needs another.
        data: Says what each image is brought to.
        source: A split of it.
        selection: What to keep.
        compute: What to keep of the images.
        progress: Told after each file.

    Raises:
        BenchmarkError: The data cannot be read, an image is damaged, or a label is not one of the classes.
    """
    kept: Counter[int] = Counter()
    names = []
    for file in range(len(source)):
        if selection.done(kept):
            break
        name = f"{prefix}-{file:05d}.safetensors"
        if not assets.has(name):
            progress(f"{source.split} images", file, len(source))
            found, labels = _one_file(data, source, file, selection, kept, compute)
            assets.save(name, found, {"labels": labels, "source": f"file {file} of {len(source)}, {source.split}"})
        kept.update(assets.entry(name).made["labels"])
        names.append(name)
    digests = sorted(bytes(row) for name in names for row in assets.load(name)["digests"].numpy().astype(np.uint8))
    return Kept(names, hashlib.sha256(b"".join(digests)).hexdigest(), len(digests))


def _one_file(
    data: DataSet, source: LabelledRows, file: int, selection: Selection, before: Counter[int], compute: Compute
) -> tuple[dict[str, Tensor], list[int]]:
    parts: list[dict[str, Tensor]] = []
    labels: list[int] = []
    for batch in _batched(_chosen(data, source, file, selection, Counter(before))):
        pixels = torch.from_numpy(np.stack([picture.pixels for picture in batch])).permute(0, 3, 1, 2)
        part = compute(pixels.float() / 127.5 - 1)
        digests = np.frombuffer(b"".join(digest(*picture) for picture in batch), np.uint8).reshape(len(batch), -1)
        parts.append(part | {"digests": torch.from_numpy(digests.copy())})
        labels += [picture.label for picture in batch]
    found = {key: torch.cat([part[key] for part in parts]) for key in (parts[0] if parts else ())}
    empty = {"digests": torch.zeros((0, 32), dtype=torch.uint8)}
    return (found or empty) | {"labels": torch.tensor(labels, dtype=torch.long)}, labels


def _chosen(
    data: DataSet, source: LabelledRows, file: int, selection: Selection, kept: Counter[int]
) -> Iterator[_Picture]:
    for row in source.pictures(file):
        label = row.label
        if not 0 <= label < selection.num_classes:
            raise BenchmarkError(
                f"The {row.name} has the label {label}, and the base model knows the classes 0 to {selection.num_classes - 1}; "
                "give data and a base model that belong together."
            )
        if kept[label] < selection.limit(label):
            kept[label] += 1
            yield _Picture(data.decode(row, "get that file again and start again: what is finished is kept"), label)


def _batched(pictures: Iterator[_Picture]) -> Iterator[list[_Picture]]:
    batch: list[_Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch


def latents_of(vae: nn.Module) -> Compute:
    """Returns what encodes images and their mirror images: means and deviations ``(N, 2, C, H, W)`` of the latents."""
    network: Any = vae
    device = next(vae.parameters()).device

    @torch.inference_mode()
    def compute(images: Tensor) -> dict[str, Tensor]:
        found = [network.encode(part.to(device)).latent_dist for part in (images, images.flip(-1))]
        return {
            "mean": torch.stack([one.mean for one in found], 1).cpu(),
            "std": torch.stack([one.std for one in found], 1).cpu(),
        }

    return compute


@dataclass(frozen=True)
class LatentPool:
    """A pool of cached latents. ``sample`` draws each anew, mirrored or not, as training does; ``ordered`` gives the means.

    Attributes:
        mean: ``(N, 2, C, H, W)`` of the images and of their mirror images, in half precision as they are stored.
        std: The deviations, of the same shape.
        labels: ``(N,)``.
        scale: What latents are multiplied by.
    """

    mean: Tensor
    std: Tensor
    labels: Tensor
    scale: float

    def __len__(self) -> int:
        return len(self.labels)

    def behind(self, first: int) -> LatentPool:
        """Returns the pool without its first images."""
        return LatentPool(self.mean[first:], self.std[first:], self.labels[first:], self.scale)

    def sample(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See ``Pool.sample``."""
        if size <= len(self):
            index = torch.randperm(len(self), generator=generator)[:size]
        else:
            index = torch.randint(len(self), (size,), generator=generator)
        side = torch.randint(2, (size,), generator=generator)
        mean, std = self.mean[index, side].float(), self.std[index, side].float()
        return self.scale * (mean + std * torch.randn(mean.shape, generator=generator)), self.labels[index]

    def ordered(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See ``Pool.ordered``."""
        for mean, labels in zip(self.mean[:, 0].split(size), self.labels.split(size), strict=True):
            yield self.scale * mean.float(), labels


def load_pools(
    assets: AssetFolder, files: list[str], forget_class: int, selection: Selection, scale: float
) -> tuple[LatentPool, LatentPool]:
    """Returns the forget and the retain pool: all that is kept of the class, and as many of every other.

    Raises:
        BenchmarkError: A file is missing or damaged, or one of the pools is empty.
    """
    taken: Counter[int] = Counter()
    parts: dict[bool, list[tuple[Tensor, Tensor, Tensor]]] = {True: [], False: []}
    for name in files:
        found = assets.load(name)
        wanted: dict[bool, list[int]] = {True: [], False: []}
        for row, label in enumerate(found["labels"].tolist()):
            taken[label] += 1
            # Other classes of which more are kept, for tasks of their own, count like the rest.
            if label == forget_class or taken[label] <= selection.each:
                wanted[label == forget_class].append(row)
        for forgotten, rows in wanted.items():
            if rows:
                parts[forgotten].append((found["mean"][rows].half(), found["std"][rows].half(), found["labels"][rows]))
    for forgotten, name in ((True, f"of the class {forget_class}"), (False, "of the other classes")):
        if not parts[forgotten]:
            raise BenchmarkError(
                f"The data holds no training image {name}; give data that does with `--set data=FOLDER`."
            )
    return _joined(parts[True], scale), _joined(parts[False], scale)


def first_latents(assets: AssetFolder, files: list[str], label: int, count: int, scale: float) -> TensorPool:
    """Returns the means of a class's first latents, scaled, as many as there are up to a number.

    Raises:
        BenchmarkError: A file is missing or damaged, or the class has none.
    """
    parts: list[Tensor] = []
    for name in files:
        if sum(map(len, parts)) >= count:
            break
        found = assets.load(name)
        if "mean" in found:
            parts.append(found["mean"][found["labels"] == label, 0].half().float())
    latents = scale * torch.cat(parts)[:count] if parts else torch.empty(0)
    if not len(latents):
        raise BenchmarkError(f"The data holds no training image of the class {label}; give data that does.")
    return TensorPool(latents, torch.full((len(latents),), label))


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]], scale: float) -> LatentPool:
    mean, std, labels = (torch.cat(values) for values in zip(*parts, strict=True))
    return LatentPool(mean, std, labels, scale)
