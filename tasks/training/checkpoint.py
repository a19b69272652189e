"""What a training run leaves on disk while it lasts, so that it goes on after a kill as if nothing had happened."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import torch

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import canonical_sha256, write_atomically

SECONDS_BETWEEN = 300.0
"""Between two checkpoints; a short training run leaves none."""
_FORM = 2
"""Raised when the parts of a training run have other names, so that an older state is refused."""


class Stateful(Protocol):
    """A part of a training run that can be kept: a network, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Returns what it carries from step to step."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Takes it back."""
        ...


class TrainingState:
    """All that a training run carries from step to step: how far it is, its random numbers, and its parts.

    Args:
        generator: Of batches and of what the loss draws.
        device: Where the network is trained.
        parts: By name.
    """

    def __init__(self, generator: torch.Generator, device: torch.device, **parts: Stateful) -> None:
        self.step = 0
        self._generator = generator
        self._device = device
        self._parts = parts

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, dropout's global random numbers included."""
        return {
            "step": self.step,
            **{name: part.state_dict() for name, part in self._parts.items()},
            "generator": self._generator.get_state(),
            "global": torch.get_rng_state(),
            "device": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes everything back."""
        self.step = state["step"]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["global"])
        if state["device"] is not None:
            torch.cuda.set_rng_state(state["device"], self._device)


class Checkpoint:
    """A file that holds the whole state of a training run: at every moment absent, whole and old, or whole and new.

    Args:
        path: The file.
        run: What the state belongs to, such as recipe, seed and data: the state of another run is refused.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self.earlier_seconds = 0.0
        """What earlier attempts took until the state that ``load`` returned."""
        self._run = canonical_sha256({"form": _FORM, **run})
        self._started = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """What the run has taken so far, without what was lost to kills."""
        return self.earlier_seconds + time.monotonic() - self._started

    def is_due(self) -> bool:
        """Returns whether the last state is old enough for a new one."""
        return time.monotonic() - self._saved >= SECONDS_BETWEEN

    def load(self) -> dict[str, Any] | None:
        """Returns the state that was saved last, or None if there is none.

        Raises:
            BenchmarkError: The file is damaged, or belongs to another run.
        """
        if not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            belongs_to, seconds, state = found["run"], float(found["seconds"]), found["state"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError, BadZipFile):
            raise BenchmarkError(
                f"{self.path} is not a whole checkpoint; delete it and start again: that model is trained from scratch."
            ) from None
        if belongs_to != self._run:
            raise BenchmarkError(
                f"{self.path} is the checkpoint of another run (its recipe, seed, data or device differ); "
                "delete it, or finish that run with what started it."
            )
        self.earlier_seconds = seconds
        self._started = self._saved = time.monotonic()
        return dict(state)

    def save(self, state: Mapping[str, Any]) -> None:
        """Writes a state of tensors, numbers and texts, nested as needed.

        Raises:
            BenchmarkError: The disk is full, or the folder cannot be written.
        """
        buffer = io.BytesIO()
        torch.save({"run": self._run, "seconds": self.seconds, "state": dict(state)}, buffer)
        write_atomically(self.path, buffer.getbuffer())
        self._saved = time.monotonic()

    def resume(self, state: TrainingState) -> None:
        """Puts a training run where it was, if there is a file. Raises what ``load`` raises."""
        saved = self.load()
        if saved is not None:
            state.load_state_dict(saved)

    def keep(self, state: TrainingState) -> None:
        """Writes the state of a training run if the last one is old enough. Raises what ``save`` raises."""
        if self.is_due():
            self.save(state.state_dict())

    def remove(self) -> None:
        """Deletes the file, once what it was for is finished."""
        self.path.unlink(missing_ok=True)
