"""Counts what a method does: steps, samples, passes through the model. The method neither sees nor feeds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from ..errors import Overspent
from .work import work_of


class Meter:
    """Counters of one run.

    Forward passes are counted by a hook on the whole model, backward passes by a hook on its output, which fires once for
    each time that a gradient reaches it. Both cost a few microseconds a pass.
    """

    def __init__(self) -> None:
        self.on_step: Callable[[], None] = lambda: None
        """Called at the start and at the end of each step; the stopwatch takes its laps here."""
        self.most_work: float | None = None
        """What a run may take, see ``work``; a pass that begins beyond it is refused."""
        self.reset()

    def reset(self) -> None:
        """Sets every counter to zero and counts from there."""
        self._counting = True
        self.steps = 0
        self.planned: int | None = 0
        self.samples = {"forget": 0, "retain": 0}
        self.forward_passes = 0
        self.forward_samples = 0
        self.backward_passes = 0
        self.backward_samples = 0

    @property
    def work(self) -> float:
        """What was counted so far, see ``work_of``."""
        return work_of(self.forward_samples, self.backward_samples)

    def stop(self) -> None:
        """Counts no more: what follows is not the method's."""
        self._counting = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Counts nothing of what is computed inside."""
        counting, self._counting = self._counting, False
        try:
            yield
        finally:
            self._counting = counting

    def __deepcopy__(self, memo: dict[int, Any]) -> Meter:
        """A copy of a watched model counts here too: teachers are part of a method's cost."""
        return self

    def watch(self, model: nn.Module) -> None:
        """Counts the passes through a model from now on."""
        model.register_forward_hook(self._count_forward)

    def expect(self, count: int) -> None:
        """Told how many steps a loop begins with, so that ``planned`` is the sum of them.

        A loop inside another one, or after one that was left early, leaves the sum unknown: None.
        """
        self.planned = self.steps + count if self.planned == self.steps else None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Counts a step, also one that the method leaves early."""
        self.steps += 1
        self.on_step()
        try:
            yield
        finally:
            self.on_step()

    def touch(self, pool: Literal["forget", "retain"], count: int) -> None:
        """Counts samples handed to the method."""
        self.samples[pool] += count

    def _count_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.count(output)

    def count(self, output: Any) -> None:
        """Counts the pass that gave an output, and the passes back from it.

        Raises:
            Overspent: The run had taken more than it may before.
        """
        first = _first_tensor(output) if self._counting else None
        if first is None:
            return
        if self.most_work is not None and self.work > self.most_work:
            raise Overspent(f"It took more work than the {self.most_work:,.0f} samples that a search allows a trial.")
        self.forward_passes += 1
        self.forward_samples += _samples(first)
        if first.requires_grad:
            first.register_hook(self._count_backward)

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward_passes += 1
        self.backward_samples += _samples(gradient)


def _samples(output: Tensor) -> int:
    """The first dimension of an output, or of its gradient."""
    return output.shape[0] if output.ndim else 1


def _first_tensor(output: Any) -> Tensor | None:
    """Finds the tensor in what a model returns: a tensor, a tuple, or the mapping that diffusers and transformers use."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if hasattr(output, "values") else output if isinstance(output, tuple | list) else ()
    return next((value for value in values if isinstance(value, Tensor)), None)
