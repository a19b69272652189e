"""Weights as what a method leaves: taken from the network that was handed out, kept as a file, loaded into a fresh network.

Wrappers, hooks, subclasses and modules that were attached stay behind; entries that do not fit are a mistake of the method's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_of
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import BenchmarkError, Diverged, shortened
from ..records.files import about, write_atomically


class Layout(NamedTuple):
    """What a network's weights look like."""

    entries: dict[str, tuple[tuple[int, ...], torch.dtype]]
    """Shape and type of every entry of its state."""
    modules: frozenset[str]
    """The names of all modules in it."""
    tied: tuple[tuple[str, ...], ...] = ()
    """Names of entries that are one and the same weight."""

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """Returns a network's layout."""
        state = network.state_dict(keep_vars=True)
        entries = {name: (tuple(value.shape), value.dtype) for name, value in state.items()}
        modules = frozenset(name for name, _ in network.named_modules(remove_duplicate=False))
        same: dict[int, list[str]] = {}
        for name, value in state.items():
            same.setdefault(id(value), []).append(name)
        return cls(entries, modules, tuple(tuple(names) for names in same.values() if len(names) > 1))

    def attached(self, names: Iterable[str]) -> list[str]:
        """Returns those entries that belong to modules which the network does not have."""
        return [name for name in names if name not in self.entries and name.rpartition(".")[0] not in self.modules]

    def misfit(self, state: Mapping[str, Tensor]) -> str | None:
        """Returns why a state is not one of this network, as the end of a sentence, or None if it is."""
        lacking = [name for name in self.entries if name not in state]
        if lacking:
            return f"lack {shortened(lacking)}, which the task's network has"
        for name, value in state.items():
            if name not in self.entries:
                return f"hold '{name}', which the task's network has not"
            shape, kind = self.entries[name]
            if tuple(value.shape) != shape:
                return f"hold '{name}' with the shape {tuple(value.shape)} instead of {shape}"
            if value.dtype != kind:
                return f"hold '{name}' as {_type_name(value.dtype)} instead of {_type_name(kind)}"
        for first, *others in self.tied:
            for other in others:
                if not _same(state[first], state[other]):
                    return f"hold two values of '{first}' and '{other}', which are one weight of the task's network"
        return None


class Taken(NamedTuple):
    """What a method left."""

    state: dict[str, Tensor]
    """On the CPU, entry by entry."""
    left_behind: list[str]
    """The modules that were attached and are no part of the task's network."""


def take(network: nn.Module, layout: Layout) -> Taken:
    """Takes the weights of the network that a method was handed.

    Args:
        network: As the method left it.
        layout: As it was handed out.

    Raises:
        BenchmarkError: They are not those of the task's network any more.
        Diverged: One of them is not finite.
    """
    found = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    attached = layout.attached(found)
    state = {name: value.detach().cpu().contiguous() for name, value in found.items() if name not in attached}
    misfit = layout.misfit(state)
    if misfit is not None:
        raise BenchmarkError(f"The weights that the method left {misfit}; edit those of problem.model in place.")
    check_finite(state)
    return Taken(state, sorted({name.rpartition(".")[0] for name in attached}))


def write(path: Path, state: Mapping[str, Tensor]) -> str:
    """Writes weights as a safetensors file and returns its hash; the same weights give the same bytes.

    Raises:
        BenchmarkError: The file cannot be written.
    """
    # Entries that share memory, as tied embeddings do, are no file of safetensors.
    data = save({name: value.clone() for name, value in state.items()})
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def load(path: Path, network: nn.Module, data: bytes | None = None) -> nn.Module:
    """Loads a file of weights, all of them and nothing else, into a network, and returns it in evaluation mode.

    Args:
        path: The file.
        network: Takes the weights.
        data: What the file held when it was looked at: others may write to it.

    Raises:
        BenchmarkError: The file cannot be read, or is not one of this network's weights.
    """
    try:
        state = safetensors_of(path.read_bytes() if data is None else data)
    except (OSError, SafetensorError) as error:
        raise BenchmarkError(
            f"{path} cannot be read as a safetensors file{about(path)} ({error}); write the network's state with "
            "safetensors.torch.save_file."
        ) from None
    misfit = Layout.of(network).misfit(state)
    if misfit is not None:
        raise BenchmarkError(f"The weights in {path} {misfit}; give the state of the task's network as it is.")
    check_finite(state)
    network.load_state_dict(state)
    return network.eval()


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Raises if weights hold a value that is not finite.

    Raises:
        Diverged: They do.
    """
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Diverged(f"the weight '{name}' is not finite")


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape and type hold the same, NaN being NaN."""
    return torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


def _type_name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
