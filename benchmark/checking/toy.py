"""A toy problem that meets every need, in memory and in a second: what the contract runs a method on.

A denoiser of 1,232 weights learns 4x4 images of four classes. It is conditional, guided, generative, predicts images and has
an encoder and a table of label embeddings, so each method finds what it asks for, and only what it declared.
"""

from __future__ import annotations

import copy
from functools import cache

import torch
from torch import Tensor, nn

from ..measuring.device import CPU
from ..method import Method
from ..needs import Need
from ..primitives import descend
from ..problem import Batch, Problem, TensorPool
from ..seeds import derive_seed

CLASSES, FORGOTTEN, SIZE, HIDDEN = 4, 0, 4, 32
IMAGES_A_CLASS, BATCH, TRAINING_STEPS = 40, 16, 200
NOISE, DROPPED = 0.5, 0.1


class ToyModel(nn.Module):
    """Gives back an image ``(B, 1, 4, 4)`` from a noisy one and a label."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(SIZE * SIZE, HIDDEN)
        self.labels = nn.Embedding(CLASSES + 1, HIDDEN)
        self.decoder = nn.Linear(HIDDEN, SIZE * SIZE)

    def forward(self, noisy: Tensor, labels: Tensor) -> Tensor:
        """Predicts the images ``(B, 1, 4, 4)`` under labels ``(B,)``."""
        hidden = torch.tanh(self.encoder(noisy.flatten(1)) + self.labels(labels))
        images: Tensor = self.decoder(hidden).view_as(noisy)
        return images


class ToyProblem(Problem):
    """See ``Problem``. A batch's draw is its noise and which of its labels are dropped. Every need is enforced."""

    offers = frozenset(Need)

    @property
    def null_label(self) -> int:
        """See ``Problem.null_label``."""
        self.require(Need.GUIDANCE)
        return CLASSES

    def loss(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.loss``: the squared error of the denoised image."""
        return (self._denoised(batch, batch.labels, model) - batch.images).square().flatten(1).mean(1)

    def predict(self, batch: Batch, labels: Tensor | None = None, model: nn.Module | None = None) -> Tensor:
        """See ``Problem.predict``: the denoised images."""
        if labels is not None:
            self.require(Need.LABELS)
        return self._denoised(batch, batch.labels if labels is None else labels, model)

    def target(self, batch: Batch) -> Tensor:
        """See ``Problem.target``."""
        self.require(Need.IMAGES)
        return batch.images

    def encoder(self) -> nn.Module:
        """See ``Problem.encoder``."""
        self.require(Need.ENCODER)
        return self.model.get_submodule("encoder")

    def label_tables(self) -> list[nn.Parameter]:
        """See ``Problem.label_tables``."""
        self.require(Need.LABEL_TABLES)
        return [self.model.get_parameter("labels.weight")]

    def conditioned(self, batch: Batch) -> Batch:
        """See ``Problem.conditioned``."""
        return Batch(batch.images, batch.labels, dict(batch.draw, dropped=torch.zeros_like(batch.draw["dropped"])))

    def warm_up(self) -> None:
        """See ``Problem.warm_up``: a step on a copy of the model."""
        model, images = copy.deepcopy(self.model), torch.zeros(BATCH, 1, SIZE, SIZE)
        labels = torch.zeros(BATCH, dtype=torch.long)
        dummy = Batch(images, labels, {"noise": torch.ones_like(images), "dropped": labels > 0})
        descend(torch.optim.Adam(model.parameters()), self.loss(dummy, model).mean())

    def _denoised(self, batch: Batch, labels: Tensor, model: nn.Module | None) -> Tensor:
        shown = labels.masked_fill(batch.draw["dropped"], CLASSES)
        denoised: Tensor = (model or self.model)(batch.images + NOISE * batch.draw["noise"], shown)
        return denoised

    def _draw(self, images: Tensor) -> dict[str, Tensor]:
        noise = torch.randn(images.shape, generator=self._generator)
        return {"noise": noise, "dropped": torch.rand(len(images), generator=self._generator) < DROPPED}

    def _encode(self, batch: Batch, model: nn.Module) -> Tensor:
        embedding: Tensor = model.get_submodule("encoder")((batch.images + NOISE * batch.draw["noise"]).flatten(1))
        return embedding

    def _generate(self, labels: Tensor, model: nn.Module, seed: int) -> Tensor:
        noise = torch.randn(len(labels), 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            images: Tensor = model(noise, labels)
        return images


@cache
def images_of(purpose: str) -> TensorPool:
    """Returns the ``training`` or the ``evaluation`` images, one object for everybody: a pattern a class, and noise."""
    patterns = torch.randn(CLASSES, 1, SIZE, SIZE, generator=_generator("patterns"))
    labels = torch.arange(CLASSES).repeat_interleave(IMAGES_A_CLASS)
    noise = torch.randn(len(labels), 1, SIZE, SIZE, generator=_generator(purpose))
    return TensorPool((patterns[labels] + 0.3 * noise).clamp(-1, 1), labels)


@cache
def trained(*classes: int) -> ToyModel:
    """Returns the model that was trained on some classes, the same object for everybody."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("toy", "weights"))
        model = ToyModel()
    pool = images_of("training")
    pool = pool.where(torch.isin(pool.labels, torch.tensor(classes)))
    problem = _problem(model, pool, pool, frozenset(), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for batch in problem.batches("forget", TRAINING_STEPS):
        descend(optimizer, problem.loss(batch).mean())
    # Only the weights: the counters of passes belong to the problem that this was trained with.
    clean = ToyModel()
    clean.load_state_dict(model.state_dict())
    return clean


def toy_problem(method: Method, seed: int = 0) -> ToyProblem:
    """Returns the toy problem as a run hands a problem to a method: what it did not declare it cannot read.

    Args:
        method: Its ``needs`` are granted.
        seed: Of every random number that the problem draws.
    """
    pool = images_of("training")
    forgotten = pool.labels == FORGOTTEN
    model = copy.deepcopy(trained(*range(CLASSES)))
    return _problem(model, pool.where(forgotten), pool.where(~forgotten), method.needs, seed)


def _problem(
    model: nn.Module, forget: TensorPool, retain: TensorPool, granted: frozenset[Need], seed: int
) -> ToyProblem:
    return ToyProblem(
        model,
        forget,
        retain,
        batch_size=BATCH,
        forget_classes=(FORGOTTEN,),
        num_classes=CLASSES,
        granted=granted,
        seed=derive_seed("toy", "problem", seed),
        device=CPU,
        oracle=lambda: copy.deepcopy(trained(*(label for label in range(CLASSES) if label != FORGOTTEN))),
    )


def _generator(purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed("toy", purpose))
