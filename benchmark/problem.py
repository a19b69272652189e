"""The problem: what a method is given, and all that it may see."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from .errors import BenchmarkError
from .measuring.counts import Meter
from .needs import Need

PoolName = Literal["forget", "retain"]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples together with everything that the training loss draws at random for them.

    The draw belongs to the batch, so that two calls (the model and its frozen copy, two losses, two labels) see the same
    noise, noise levels or mask.
    """

    images: Tensor
    """``(B, C, H, W)`` in the model's own range."""
    labels: Tensor
    """``(B,)`` class indices."""
    draw: Mapping[str, Tensor]
    """The family's random variables, each ``(B, ...)``: noise and time steps, a mask, a latent."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def elements(self) -> int:
        """Elements of one image, C x H x W: what turns a loss that is a mean over them into the papers' sum."""
        return self.images[0].numel()

    def replace(self, *, images: Tensor | None = None, labels: Tensor | None = None) -> Batch:
        """Returns the batch with other images or other labels and the same draw."""
        return Batch(self.images if images is None else images, self.labels if labels is None else labels, self.draw)


class Step(NamedTuple):
    """One step of a method."""

    number: int
    """Counts from 0."""
    forget: Batch
    """A batch of what must be forgotten."""
    retain: Batch
    """A batch of what must be kept."""


class Pool(Protocol):
    """A set of labelled images that batches come from."""

    def __len__(self) -> int: ...

    def sample(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns ``size`` random images and their labels, without repetition where the pool is large enough."""
        ...

    def ordered(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the whole pool once, in its own order, ``size`` images at a time."""
        ...


@dataclasses.dataclass(frozen=True)
class TensorPool:
    """A pool that fits into memory."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See ``Pool.sample``."""
        return self.take(draw_index(len(self), size, generator))

    def ordered(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See ``Pool.ordered``."""
        yield from zip(self.images.split(size), self.labels.split(size), strict=True)

    def where(self, mask: Tensor) -> TensorPool:
        """Returns the images that a mask ``(N,)`` marks, in order, as a pool."""
        return TensorPool(self.images[mask], self.labels[mask])

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the images at some positions and their labels."""
        return self.images[index], self.labels[index]


def draw_index(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Returns ``size`` random positions out of ``count``, without repetition where there are enough."""
    if size <= count:
        return torch.randperm(count, generator=generator)[:size]
    return torch.randint(count, (size,), generator=generator)


class Problem(ABC):
    """A model to edit, the forget and the retain data, the training loss: never the judges or the evaluation data.

    Families subclass this and define ``loss``, ``predict`` and ``_draw``. Random numbers come from one generator that the
    run's seed sets, so that a method is deterministic without care of its own.

    Args:
        model: The model to edit; the weights that it holds when ``unlearn`` returns are what is evaluated.
        forget: What must be forgotten.
        retain: What must be kept.
        batch_size: Samples in a batch of either set.
        forget_classes: The classes in the forget set.
        num_classes: The classes that the model knows.
        granted: The needs that the method declared; what it did not declare it cannot read.
        seed: Of every random number that the problem draws.
        device: Where the model and the batches are.
        oracle: Loads a retrained model; for reference rows.
    """

    offers: frozenset[Need] = frozenset()
    """The needs that problems of this family meet."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """The smallest and the largest value of an image."""

    def __init__(
        self,
        model: nn.Module,
        forget: Pool,
        retain: Pool,
        *,
        batch_size: int,
        forget_classes: tuple[int, ...],
        num_classes: int,
        granted: frozenset[Need],
        seed: int,
        device: torch.device,
        oracle: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.model = model.train()
        self.batch_size = batch_size
        self.forget_classes = forget_classes
        self.num_classes = num_classes
        self.device = device
        self.meter = Meter()
        self.meter.watch(model)
        self._given = model
        self._given_versions = _versions(model)
        self._original: nn.Module | None = None
        self._pools: dict[str, Pool] = {"forget": forget, "retain": retain}
        self._granted = granted
        self._generator = torch.Generator().manual_seed(seed)
        self._oracle = oracle

    # What families define.

    @abstractmethod
    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """Returns the loss that the model was trained with, ``(B,)``: one a sample, the mean over its elements."""

    @abstractmethod
    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """Returns what the loss compares with its target, for the batch's draw.

        Args:
            batch: The samples.
            labels: Labels ``(B,)`` to condition on instead of the batch's own.
            model: A model other than ``problem.model``, such as ``problem.original``.
        """

    @abstractmethod
    def _draw(self, images: Tensor) -> dict[str, Tensor]:
        """Draws what the loss needs at random, from ``self._generator``."""

    @abstractmethod
    def warm_up(self) -> None:
        """Runs the model forwards and backwards on dummy data, so that lazy set-up is not timed. Changes no weight."""

    def training_step(self, fresh: Callable[[], nn.Module]) -> Callable[[], None]:
        """Returns a step of plain gradient descent on noise, to be timed: the unit that a run's seconds are shown in.

        It trains a network that is nobody else's. A family whose network is too large for a second one overrides this.

        Args:
            fresh: Makes a network of the task's on the problem's device.
        """
        model, batch = fresh().train(), self._noise()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

        def step() -> None:
            optimizer.zero_grad()
            self.loss(batch, model).mean().backward()
            optimizer.step()

        return step

    # What some families define, each under the need that asks for it. A method that declares the need is refused by all
    # other families, so only one that does not declare it ends here.

    @property
    def null_label(self) -> int:
        """The label that stands for none. ``Need.GUIDANCE``."""
        raise _undeclared(Need.GUIDANCE)

    def target(self, batch: Batch) -> Tensor:
        """Returns what the loss compares ``predict(batch)`` with, of the same shape. ``Need.IMAGES``."""
        raise _undeclared(Need.IMAGES)

    def encoder(self) -> nn.Module:
        """Returns the part of ``problem.model`` that embeds. ``Need.ENCODER``."""
        raise _undeclared(Need.ENCODER)

    def label_tables(self) -> list[nn.Parameter]:
        """Returns the tables ``(rows, D)`` of the model's label embeddings, one row a label. ``Need.LABEL_TABLES``."""
        raise _undeclared(Need.LABEL_TABLES)

    def _encode(self, batch: Batch, model: nn.Module) -> Tensor:
        raise _undeclared(Need.ENCODER)

    def _generate(self, labels: Tensor, model: nn.Module, seed: int) -> Tensor:
        raise _undeclared(Need.GENERATOR)

    def conditioned(self, batch: Batch) -> Batch:
        """Returns the batch with every label in force; a family that drops labels while training overrides this."""
        return batch

    # What methods use.

    def generate(self, labels: Tensor, model: nn.Module) -> Tensor:
        """Draws one image a label, ``(N, C, H, W)`` in the model's own range, with the task's sampler.

        Raises:
            BenchmarkError: The method did not declare ``Need.GENERATOR``.
        """
        self.require(Need.GENERATOR)
        return self._generate(labels, model, int(torch.randint(2**31, (), generator=self._generator)))

    def encode(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """Returns the embedding ``(B, ...)`` of the degraded images. It counts as a pass through the model.

        Raises:
            BenchmarkError: The method did not declare ``Need.ENCODER``.
        """
        self.require(Need.ENCODER)
        embedding = self._encode(batch, model or self.model)
        self.meter.count(embedding)
        return embedding

    def batch(self, images: Tensor, labels: Tensor) -> Batch:
        """Returns images of the method's own making as a batch with a fresh draw."""
        return Batch(images, labels, self._draw(images))

    @property
    def original(self) -> nn.Module:
        """A frozen copy of the model as it was given, in evaluation mode, made when it is first asked for.

        Raises:
            BenchmarkError: It is first asked for after the weights were edited.
        """
        if self._original is None:
            if _versions(self._given) != self._given_versions:
                raise BenchmarkError(
                    "The method reads problem.original after editing the model; read it before the first update."
                )
            self._original = copy.deepcopy(self._given).eval().requires_grad_(False)
        return self._original

    def steps(self, count: int) -> Iterator[Step]:
        """Yields ``count`` steps, each with a fresh forget and a fresh retain batch.

        Raises:
            BenchmarkError: The method did not declare ``Need.RETAIN``; ``batches("forget", ...)`` needs no declaration.
        """
        self.require(Need.RETAIN)
        for number in self._numbers(count):
            with self.meter.step():
                yield Step(number, self._sample("forget"), self._sample("retain"))

    def batches(self, pool: PoolName, count: int) -> Iterator[Batch]:
        """Yields ``count`` steps with a fresh batch of one pool alone.

        Raises:
            BenchmarkError: It is the retain pool, and the method did not declare ``Need.RETAIN``.
        """
        self._check_pool(pool)
        for _ in self._numbers(count):
            with self.meter.step():
                yield self._sample(pool)

    def own_steps(self, count: int) -> Iterator[int]:
        """Yields ``count`` steps without any data, for methods that make their own."""
        for number in self._numbers(count):
            with self.meter.step():
                yield number

    def epoch(self, pool: PoolName) -> Iterator[Batch]:
        """Yields the whole forget or retain set once.

        Raises:
            BenchmarkError: See ``batches``.
        """
        self._check_pool(pool)
        for images, labels in self._pools[pool].ordered(self.batch_size):
            yield self._batch(images, labels, pool)

    def oracle(self) -> nn.Module:
        """Returns the model retrained without the forget set. For reference rows."""
        self.require(Need.ORACLE)
        assert self._oracle is not None
        return self._oracle()

    def parameters(self) -> list[nn.Parameter]:
        """Returns the weights that may be edited."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def layers(self) -> list[list[int]]:
        """Returns the positions in ``parameters()`` that belong to the same module, module by module."""
        names = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        found: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            found.setdefault(name.rpartition(".")[0], []).append(position)
        return list(found.values())

    def random_like(self, values: Tensor) -> Tensor:
        """Returns standard normal noise of the given shape, from the run's seed."""
        return torch.randn(values.shape, generator=self._generator).to(self.device)

    def uniform_like(self, values: Tensor) -> Tensor:
        """Returns noise of the given shape, uniform over the range of images, from the run's seed."""
        low, high = self.value_range
        return (low + (high - low) * torch.rand(values.shape, generator=self._generator)).to(self.device)

    def random_positions(self, count: int, size: int) -> Tensor:
        """Returns ``size`` random positions out of ``count``, from the run's seed."""
        return torch.randint(count, (size,), generator=self._generator).to(self.device)

    def require(self, need: Need) -> None:
        """Raises if the method did not declare a need.

        Raises:
            BenchmarkError: It did not.
        """
        if need not in self._granted:
            raise _undeclared(need)

    # What the harness uses.

    def retire(self) -> None:
        """Ends the method's time: nothing is counted any more, and nothing can be asked for any more."""
        self.meter.stop()
        self._granted = frozenset()
        self._pools = {}
        self._oracle = None

    def _noise(self) -> Batch:
        """A batch of noise in place of images, as large as one of the forget set."""
        images = self.uniform_like(torch.empty(self.batch_size, *self._image_shape))
        return self.batch(images, torch.zeros(self.batch_size, dtype=torch.long, device=self.device))

    @cached_property
    def _image_shape(self) -> torch.Size:
        return next(iter(self._pools["forget"].ordered(1)))[0].shape[1:]

    def _numbers(self, count: int) -> range:
        numbers = range(count)
        self.meter.expect(len(numbers))
        return numbers

    def _check_pool(self, pool: PoolName) -> None:
        if pool == "retain":
            self.require(Need.RETAIN)

    def _sample(self, pool: PoolName) -> Batch:
        return self._batch(*self._pools[pool].sample(self.batch_size, self._generator), pool)

    def _batch(self, images: Tensor, labels: Tensor, pool: PoolName) -> Batch:
        self.meter.touch(pool, len(labels))
        images, labels = images.to(self.device), labels.to(self.device)
        return Batch(images, labels, self._draw(images))


def _undeclared(need: Need) -> BenchmarkError:
    return BenchmarkError(f"The method uses {need.value} without declaring it; add Need.{need.name} to its `needs`.")


def _versions(model: nn.Module) -> list[int]:
    """PyTorch's counters of in-place changes, which tell whether any weight was edited."""
    return [value._version for value in model.state_dict(keep_vars=True).values()]
