"""The training loop of a GPU: data stay on it, batches are drawn on it, and a step is one launch.

``loop.train`` is the loop of a CPU, which this one resembles in all but the order of random numbers and the last digits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ...benchmark import numerics
from .checkpoint import Checkpoint, TrainingState
from .loop import Descent, trained

Network = TypeVar("Network", bound=nn.Module)
Inputs = tuple[Tensor, ...]
Draw = Callable[[torch.Generator], Inputs]
"""Draws, on the generator's device, all that a loss needs beside the network, each time in the same shapes."""
Loss = Callable[..., Tensor]
"""The mean loss of a network, given first, on what was drawn."""

WARM_UP = 4
"""Steps before a capture, in which libraries choose their kernels, and after it, which show that it works."""


class Way(NamedTuple):
    """How a step is run."""

    compiled: bool = False
    """Through ``torch.compile``."""
    captured: bool = False
    """As one CUDA graph of both passes, clipping and the optimizer."""
    bf16: bool = True
    """Passes in bfloat16 where autocast finds it safe."""


WAYS = (Way(True, True), Way(False, True), Way(True, False), Way())
"""The fastest first; the last one works wherever training does."""


def train(
    model: Network,
    draw: Draw,
    loss: Loss,
    descent: Descent,
    *,
    steps: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
    checkpoint: Checkpoint,
    ways: Sequence[Way] = WAYS,
) -> Network:
    """Trains a network and returns it, or its average, on the CPU and in evaluation mode.

    The host never waits for the device but for checkpoints.

    Args:
        model: A freshly initialized network.
        draw: See ``Draw``.
        loss: See ``Loss``.
        descent: Optimizer, schedule, clipping, average.
        steps: How many.
        generator: Of all that is drawn. The network is trained on its device.
        progress: Called with the step and the number of steps.
        checkpoint: Where the run goes on if it was killed, and where it leaves its state from time to time.
        ways: Of running a step: the first that works on this machine is taken.

    Raises:
        BenchmarkError: The checkpoint is damaged or of another run, or cannot be written.
    """
    with numerics.training(generator.device):
        state, step = _working(model, draw, loss, descent, generator, checkpoint, ways)
        while state.step < steps:
            state.last_loss = step(draw(generator))
            state.move_on()
            progress(state.step, steps)
            checkpoint.keep(state)
    return trained(state.model, state.average)


class Resident(TrainingState, Generic[Network]):
    """The network, its average, the optimizer and its schedule, all at fixed places of the device's memory.

    Args:
        model: The network, which is moved to the generator's device.
        descent: See ``Descent``.
        generator: Of all that is drawn.
    """

    def __init__(self, model: Network, descent: Descent, generator: torch.Generator) -> None:
        device = generator.device
        on_gpu = device.type == "cuda"
        self.model: Network = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: Network | None = None
        if descent.ema_decay is not None:
            self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.last_loss: Tensor | None = None
        """The next step overwrites it."""
        self.way: Way | None = None
        self._descent = descent
        self._weights: list[Tensor] = list(self.model.parameters())
        self._averages: list[Tensor] = [] if self.average is None else list(self.average.parameters())
        # The schedule moves the rate of an optimizer that does nothing; the one at work reads it from the device.
        self._idle = descent.optimizer([nn.Parameter(torch.zeros(()))])
        self._schedule = None if descent.schedule is None else descent.schedule(self._idle)
        self._rate = torch.tensor(float(self._idle.param_groups[0]["lr"]), device=device)
        self.optimizer = descent.optimizer(self._weights, **({"fused": True, "capturable": True} if on_gpu else {}))
        self._link_rate()
        parts = {"average": self.average, "schedule": self._schedule}
        super().__init__(
            generator,
            device,
            model=self.model,
            optimizer=self.optimizer,
            idle=self._idle,
            **{name: part for name, part in parts.items() if part is not None},
        )

    def load_state_dict(self, state: dict[str, object]) -> None:
        """See ``TrainingState.load_state_dict``."""
        super().load_state_dict(state)
        self._rate.fill_(self._idle.param_groups[0]["lr"])
        self._link_rate()

    def descend(self, loss: Tensor) -> None:
        """Takes a step; nothing in it waits for the device."""
        loss.backward()
        if self._descent.clip is not None:
            nn.utils.clip_grad_norm_(self._weights, self._descent.clip)
        self.optimizer.step()

    def move_on(self) -> None:
        """Moves average and learning rate along, after a step."""
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self._averages, self._weights, 1 - self._descent.memory(self.step))
        if self._schedule is not None:
            self._idle.step()
            self._schedule.step()
            self._rate.fill_(self._idle.param_groups[0]["lr"])
            if self._device.type != "cuda":
                self._link_rate()
        self.step += 1

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undoes, at its end, what steps did to weights, optimizer and random numbers, where they are in memory."""
        random = self._generator.get_state()
        everywhere = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        before = {id(value): value.detach().clone() for value in self._tensors()}
        yield
        for value in self._tensors():
            kept = before.get(id(value))
            with torch.no_grad():
                value.zero_() if kept is None else value.copy_(kept)
        self._generator.set_state(random)
        if everywhere is not None:
            torch.cuda.set_rng_state(everywhere, self._device)

    def _tensors(self) -> list[Tensor]:
        """All that a step changes. What an optimizer adds with its first step begins at zero."""
        moments = [value for kept in self.optimizer.state.values() for value in kept.values() if torch.is_tensor(value)]
        return [*self.model.state_dict(keep_vars=True).values(), *moments]

    def _link_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate if self._rate.device.type == "cuda" else float(self._rate)


Step = Callable[[Inputs], Tensor]
"""Descends on what was drawn, and returns the loss, which the next step overwrites."""


def _working(
    model: Network,
    draw: Draw,
    loss: Loss,
    descent: Descent,
    generator: torch.Generator,
    checkpoint: Checkpoint,
    ways: Sequence[Way],
) -> tuple[Resident[Network], Step]:
    """Returns a run at its beginning, or where it was, with the first way of taking a step that works."""
    random = generator.get_state()
    for number, way in enumerate(ways):
        generator.set_state(random)
        state = Resident(copy.deepcopy(model), descent, generator)
        checkpoint.resume(state)
        state.model.train()
        try:
            step = _tried(state, way, draw, loss)
        # Compilers and drivers fail in many ways, and the next way does without them.
        except Exception:
            if number + 1 == len(ways):
                raise
            torch._dynamo.reset()
        else:
            state.way = way
            return state, step
    raise ValueError("no way to train")


def _tried(state: Resident[Any], way: Way, draw: Draw, loss: Loss) -> Step:
    generator = state._generator
    step = _plain(state, way, loss)
    if generator.device.type != "cuda":
        return step
    with state.undone():
        if way.captured:
            step = _captured(state, step, draw(generator))
        found = [step(draw(generator)).clone() for _ in range(WARM_UP)]
        if not all(math.isfinite(value) for value in torch.stack(found).tolist()):
            raise FloatingPointError("the loss is not finite")
    return step


def _plain(state: Resident[Any], way: Way, loss: Loss) -> Step:
    device = state._generator.device
    network = torch.compile(state.model, dynamic=False) if way.compiled else state.model
    bf16 = way.bf16 and device.type == "cuda" and torch.cuda.is_bf16_supported()

    def step(inputs: Inputs) -> Tensor:
        state.optimizer.zero_grad(set_to_none=True)
        # A cache of weights in bfloat16 would outlive them in a graph.
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            found = loss(network, *inputs)
        state.descend(found)
        return found.detach()

    return step


def _captured(state: Resident[Any], step: Step, example: Inputs) -> Step:
    """Returns a step as one graph, which reads what was drawn, and leaves the loss, always at the same places."""
    device = state._generator.device
    inputs = tuple(value.clone() for value in example)
    beside = torch.cuda.Stream(device)
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            step(inputs)
    torch.cuda.current_stream(device).wait_stream(beside)
    torch.cuda.synchronize(device)
    state.optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=beside):
        found = step(inputs)

    def replay(drawn: Inputs) -> Tensor:
        for place, value in zip(inputs, drawn, strict=True):
            place.copy_(value)
        graph.replay()
        return found

    return replay
