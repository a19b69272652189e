"""Looks at a user's folder of pictures, for what a new task's file says of its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from ..records import places

TRAIN, TESTS = "train", ("test", "val", "valid", "validation")
"""How splits may be called."""
LARGEST = 64
"""Height and width at most: a small network on two cores draws no larger ones in reasonable time."""


class Look(NamedTuple):
    """What there is to say; an example where there are no such pictures."""

    folder: str
    test: str = TESTS[0]
    classes: tuple[str, ...] = ("circle", "square", "triangle")
    size: int = 32
    channels: int = 3

    def blanks(self) -> dict[str, str]:
        """Returns it as code, for a template."""
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in self.classes)
        return {
            "FOLDER": self.folder,
            "TRAIN": TRAIN,
            "TEST_SPLIT": self.test,
            "CLASSES": f"({names})" if len(self.classes) > 1 else f"({names},)",
            "SIZE": str(self.size),
            "CHANNELS": str(self.channels),
        }


def look(name: str) -> Look:
    """Returns what a folder below ``$UNLEARNBENCH_DATA`` says, if it holds pictures in a folder a class.

    The size is that of its first picture, rounded down so that a network can halve it twice.
    """
    found = places.data_copy(name)
    classes = sorted(path for path in (found / TRAIN).iterdir() if path.is_dir()) if found and _splits(found) else []
    if found is None or not classes:
        return Look(name)
    size, channels = _of_first(classes[0])
    return Look(name, _splits(found)[0], tuple(path.name for path in classes), size, channels)


def _splits(folder: Path) -> list[str]:
    """The test splits, if there is a training split, too."""
    return [name for name in TESTS if (folder / name).is_dir()] if (folder / TRAIN).is_dir() else []


def _of_first(folder: Path) -> tuple[int, int]:
    from PIL import Image

    for path in sorted(folder.iterdir()):
        try:
            with Image.open(path) as image:
                shorter = min(*image.size, LARGEST)
                return shorter // 4 * 4 or shorter, 1 if image.mode in ("1", "L", "I;16") else 3
        except OSError:
            continue
    return Look("").size, Look("").channels
