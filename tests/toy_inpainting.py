"""A toy in-painting task as a plugin file: an encoder and a decoder on 4x4 images of three classes.

It stands for the image-to-image family, so that the methods of that family are run by the contract tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from unlearnbench.benchmark.method import Need
from unlearnbench.benchmark.problem import Batch, Problem, TensorPool
from unlearnbench.benchmark.task import Evaluation, RetrainingCost, Task

CLASSES, SIZE, WIDTH = 3, 4, 12


def images() -> TensorPool:
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.rand((CLASSES, 1, SIZE, SIZE), generator=generator) * 2 - 1
    labels = torch.arange(CLASSES).repeat(40)
    noise = 0.1 * torch.randn((len(labels), 1, SIZE, SIZE), generator=generator)
    return TensorPool((prototypes[labels] + noise).clamp(-1, 1), labels)


class Inpainter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(SIZE * SIZE, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
        self.decoder = nn.Linear(WIDTH, SIZE * SIZE)

    def forward(self, images, mask):
        return self.decoder(self.encoder((images * mask).flatten(1))).view(-1, 1, SIZE, SIZE)


def trained(classes=(0, 1, 2)) -> Inpainter:
    torch.manual_seed(0)
    model, pool = Inpainter(), images()
    kept = pool.images[torch.isin(pool.labels, torch.tensor(classes))]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        mask = torch.rand_like(kept) < 0.7
        (model(kept, mask) - kept).square().mean().backward()
        optimizer.step()
    return model


class InpaintingProblem(Problem):
    offers = frozenset({Need.RETAIN, Need.IMAGES, Need.ENCODER, Need.ORACLE})

    def loss(self, batch, model=None):
        return (self.predict(batch, model=model) - self.target(batch)).square().flatten(1).mean(1)

    def predict(self, batch, labels=None, model=None):
        return (model or self.model)(batch.images, batch.draw["mask"])

    def target(self, batch: Batch):
        return batch.images

    def _encode(self, batch, model):
        return model.encoder((batch.images * batch.draw["mask"]).flatten(1))

    def encoder(self):
        return self.model.encoder

    def warm_up(self) -> None:
        self.model(torch.zeros(1, 1, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE))

    def _draw(self, images):
        return {"mask": torch.rand(images.shape, generator=self._generator) < 0.7}


class ToyInpainting(Task):
    """Fills holes in tiny images and forgets the first class."""

    name: ClassVar[str] = "toy-inpainting"
    family: ClassVar[str] = "image-to-image"
    tier: ClassVar = "embedded"
    offers: ClassVar = InpaintingProblem.offers

    def missing(self):
        return []

    def prepare(self, progress):
        return Path()

    def assets_sha256(self):
        return "1" * 64

    def evaluation_protocol(self):
        return {}

    def retraining_cost(self, seed):
        return RetrainingCost(1.0, "elsewhere", 60, 600)

    def problem(self, method, seed, device):
        pool = images()
        first = pool.labels == 0
        return InpaintingProblem(
            trained(),
            TensorPool(pool.images[first], pool.labels[first]),
            TensorPool(pool.images[~first], pool.labels[~first]),
            batch_size=16,
            forget_classes=(0,),
            num_classes=CLASSES,
            granted=method.needs,
            seed=seed,
            device=device,
            oracle=lambda: trained((1, 2)),
        )

    def evaluate(self, model, method, seed, device):
        return Evaluation([], None)
