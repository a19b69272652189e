"""The tables of label embeddings of a class-conditional noise predictor."""

from __future__ import annotations

from torch import nn


def label_tables(network: nn.Module, num_classes: int) -> list[nn.Parameter]:
    """Returns the tables ``(rows, D)``, one row a label, each once: a U-Net has one, a DiT one a block unless they share it.

    Args:
        network: Of diffusers, or any whose labels go through ``nn.Embedding``.
        num_classes: Of the data; the row behind the last one stands for no label.
    """
    found: dict[int, nn.Parameter] = {}
    for module in network.modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings in (num_classes, num_classes + 1):
            assert isinstance(module.weight, nn.Parameter)
            found.setdefault(id(module.weight), module.weight)
    return list(found.values())
