"""``places365-palette``: a public diffusion in-painter stops filling holes in photographs of fifty kinds of places."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from ..benchmark.needs import Need
from .data.dataset import DataSet
from .data.sets import PLACES365
from .data.splits import World
from .image_to_image.holes import Hole, quarter_holes
from .image_to_image.palette import AncestralPalette, Palette, load_palette
from .image_to_image.pretrained import PretrainedTask

SIZE, GRID = 256, 16


class Places365Palette(PretrainedTask):
    """In-painting Places365 at 256 pixels with Palette's public checkpoint (62.6 M parameters), converted. Needs a GPU."""

    name: ClassVar[str] = "places365-palette"
    offers: ClassVar[frozenset[Need]] = PretrainedTask.offers - {Need.IMAGES}
    image_shape: ClassVar[tuple[int, int, int]] = (3, SIZE, SIZE)
    batch_size: ClassVar[int] = 16
    fill_batch: ClassVar[int] = 50
    test_holes: ClassVar[dict[str, Hole]] = quarter_holes(GRID) | {"centre4": Hole("centre", 1 / 16, GRID)}
    data: ClassVar[DataSet] = PLACES365
    world: ClassVar[World] = "places"
    forget_count: ClassVar[int] = 50
    way_out: ClassVar[str] = (
        "convert the public checkpoint with `python -m unlearnbench.tasks.image_to_image.convert_palette FILE FOLDER` and name "
        "the folder with `--set base=FOLDER`"
    )

    base: str = ""
    """A folder that ``convert_palette`` wrote, or a name on the hub of the same layout."""
    protocol: Literal["own", "paper"] = "own"
    """How holes are filled: ``own``, 50 steps without noise, or ``paper``, the released code's 2,000 with noise."""

    @property
    def filling(self) -> type[Palette]:  # type: ignore[override]
        """See ``InpaintingTask.filling``."""
        return Palette if self.protocol == "own" else AncestralPalette

    @property
    def run_seconds(self) -> float:  # type: ignore[override]
        """See ``Task.run_seconds``: most of it goes into sampling steps."""
        return 4 * 3600.0 * self.filling.sampling_steps / Palette.sampling_steps

    def load(self, folder: Path) -> Palette:
        """See ``PretrainedTask.load``."""
        return load_palette(folder, self.image_shape[-1], self.filling, self.way_out)

    def sampling(self) -> str:
        """See ``InpaintingTask.sampling``."""
        how = f"{self.filling.sampling} in {self.filling.sampling_steps} steps"
        return f"{super().sampling()}, {how}, noise by seed and batch of {self.fill_batch}"

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        return {**super().evaluation_protocol(), "sampling": self.sampling()}
