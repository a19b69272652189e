"""Where the photographs come from: names on the hub, pinned commits, folders, how they are cut."""

from __future__ import annotations

from .pictures import PictureSet

TINY_IMAGENET = PictureSet(
    hub_id="zh-plus/tiny-imagenet",
    revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
    folders=("tiny-imagenet", "tiny-imagenet-20"),
    train="train",
    test="valid",
    size=64,
)
MINIPLACES = PictureSet(
    hub_id=None, revision=None, folders=("miniplaces", "miniplaces-20"), train="train", test="val", size=64
)
IMAGENET = PictureSet(
    hub_id="ILSVRC/imagenet-1k",
    revision="49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
    folders=("imagenet-1k",),
    train="train",
    test="validation",
    size=224,
    shorter=256,
)
PLACES365 = PictureSet(hub_id=None, revision=None, folders=("places365",), train="train", test="validation", size=256)
"""Pressed to squares, as the released code of Palette's in-painting does."""
