"""ImageNet-1k (Russakovsky et al., 2015) as the papers on class forgetting take it: which classes, and which are near."""

from __future__ import annotations

NUM_CLASSES = 1000
FORGET_CLASSES = (89, 207, 270, 279, 360)
"""SFRon's and DualOptim's: sulphur-crested cockatoo, golden retriever, white wolf, Arctic fox, otter."""
NEIGHBOURS = 2
"""Classes on either side that count as near: ImageNet's indices follow WordNet, so neighbours are mostly relatives."""


def near_classes(label: int, num_classes: int = NUM_CLASSES) -> list[int]:
    """Returns the classes that are most like one, by their index."""
    around = range(label - NEIGHBOURS, label + NEIGHBOURS + 1)
    return [other for other in around if other != label and 0 <= other < num_classes]
