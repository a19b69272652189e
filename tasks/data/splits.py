"""Which classes are forgotten and which are kept: the published lists, and random splits that no superclass gives away.

Li et al.'s released lists forget animals and keep things, or forget indoor scenes and keep outdoor ones, so that a gate
in front of the model tells them apart. The default splits draw as many classes of each superclass for either side.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...benchmark.errors import BenchmarkError

SplitName = Literal[0, 1, 2, "li2024-released"]
World = Literal["imagenet", "places"]
"""Whose class names a data set uses."""


class ClassSplit(NamedTuple):
    """A split of the classes that a data set has, as its labels; each part ascending."""

    forget: tuple[int, ...]
    retain: tuple[int, ...]
    others: tuple[int, ...]
    """Neither: what stands in for retain data where that may not be used."""
    near: tuple[int, ...]
    """For each forgotten class, the class next to it that is not forgotten and has the same superclass."""


def class_key(name: str, label: int, count: int, world: World) -> str:
    """Returns a class's key in the tables: a WordNet offset such as ``n01443537``, or a category of Places.

    Args:
        name: What the data set calls the class.
        label: Its index.
        count: How many classes the data set has.
        world: Whose names they are.

    Raises:
        BenchmarkError: The name holds no WordNet offset, and the data is not the whole of ImageNet-1k.
    """
    if world == "places":
        return re.sub(r"^/?[a-z]/", "", name.strip()).replace("/", "_").replace(" ", "_")
    found = re.match(r"n\d{8}", name)
    if found:
        return found.group()
    if count == len(_imagenet_keys()):
        return _imagenet_keys()[label]
    raise BenchmarkError(
        f"The class '{name}' of the data does not begin with a WordNet offset such as n01443537, and {count} classes are not "
        "the whole of ImageNet-1k; name the classes by their offsets."
    )


def superclass(key: str, world: World) -> str | None:
    """Returns a class's superclass, or None for one that the table does not know."""
    for name, members in _table(world)["superclasses"].items():
        if world == "places" and key in members:
            return str(name)
        if world == "imagenet" and any(first <= key <= last for first, last in members):
            return str(name)
    return None


def choose(keys: Sequence[str], world: World, split: SplitName, count: int) -> ClassSplit:
    """Returns a split of the classes that are there.

    Args:
        keys: The class of each label.
        world: Whose names they are.
        split: ``li2024-released``, or the seed of a random split.
        count: How many classes to forget in a random split, a third of the data's at most; the superclasses share them
            evenly, as far as they have as many.

    Raises:
        BenchmarkError: No class could be forgotten, or none kept.
    """
    if isinstance(split, str):
        lists = _table(world)["released"]
        forget = {label for label, key in enumerate(keys) if key in lists["forget"]}
        retain = {label for label, key in enumerate(keys) if key in lists["retain"]}
    else:
        forget, retain = _balanced(keys, world, split, count)
    if not forget or not retain:
        raise BenchmarkError(
            f"The split '{split}' leaves no class to {'keep' if forget else 'forget'} among the {len(keys)} classes of the "
            "data; choose another `--set split=...` or more classes."
        )
    others = set(range(len(keys))) - forget - retain
    near = {_nearest(label, keys, world, forget) for label in forget} - {None}
    parts = (forget, retain, others, near)
    return ClassSplit(*(tuple(sorted(label for label in part if label is not None)) for part in parts))


def _balanced(keys: Sequence[str], world: World, seed: int, count: int) -> tuple[set[int], set[int]]:
    """As many classes of each superclass on either side; which ones, the order of their hashes says."""
    members: dict[str, list[int]] = {}
    for label, key in enumerate(keys):
        name = superclass(key, world)
        if name is not None:
            members.setdefault(name, []).append(label)
    forget: set[int] = set()
    retain: set[int] = set()
    for labels in members.values():
        drawn = sorted(labels, key=lambda label: hashlib.sha256(f"{world} {seed} {keys[label]}".encode()).digest())
        quota = min(-(-min(count, len(keys) // 3) // len(members)), len(labels) // 2)
        forget.update(drawn[:quota])
        retain.update(drawn[quota : 2 * quota])
    return forget, retain


def _nearest(label: int, keys: Sequence[str], world: World, forget: set[int]) -> int | None:
    order = sorted(range(len(keys)), key=keys.__getitem__)
    place, kind = order.index(label), superclass(keys[label], world)
    kept = [
        other
        for other in range(len(keys))
        if kind is not None and other not in forget and superclass(keys[other], world) == kind
    ]
    return min(kept, key=lambda other: abs(order.index(other) - place), default=None)


@functools.cache
def _table(world: World) -> dict[str, Any]:
    path = Path(__file__).parent / "classes" / f"{world}.json"
    return dict(json.loads(path.read_text()))


@functools.cache
def _imagenet_keys() -> list[str]:
    import timm.data

    return list(timm.data.ImageNetInfo().label_names())
