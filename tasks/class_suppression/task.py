"""The family's task: what a method is given, how a model is drawn from and judged."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from ...benchmark import numerics
from ...benchmark.errors import BenchmarkError
from ...benchmark.family import Family
from ...benchmark.method import Method
from ...benchmark.needs import Need
from ...benchmark.problem import TensorPool
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation, RetrainingCost
from ..class_forgetting.probes import Budget
from ..class_forgetting.sampler import Sampler
from . import base as bases
from . import evaluation, latent_cache
from .evaluation import Exam
from .family import FAMILY
from .prepared import Prepared, PreparedTask
from .problem import LatentDiTProblem, Precision


class ClassSuppressionTask(PreparedTask):
    """Stops a public latent DiT from drawing a class, without an oracle. A concrete task says which model, data and judges."""

    family: ClassVar[Family] = FAMILY
    version: ClassVar[int] = 3
    offers: ClassVar[frozenset[Need]] = LatentDiTProblem.offers

    protocol: Literal["default", "paper"] = "default"
    """``default`` draws with DDIM in 50 steps, ``paper`` with 250 ancestral steps as DiT's and DualOptim's numbers are."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Samples in a batch of either set. Published: 1."""
    variance_loss: bool = True
    """Whether the training loss has the term of the learned variance, as DiT's own training does."""
    precision: Precision = "fp32"
    """Of the passes through the model; bf16 leaves weights and gradients in single precision."""
    fast_sampling: bool = False
    """Whether samples are drawn with TF32, fused attention and bfloat16: for a GPU alone, and in numbers of their own."""
    gradient_checkpointing: bool = False
    """Whether activations are computed again on the way back, for GPUs with little memory."""
    forget_samples: Annotated[int, Field(ge=20)] = 1000
    """Samples with the forgotten label, and as many without a label."""
    retain_samples: Annotated[int, Field(ge=20)] = 9990
    """Samples with the other labels, which take turns."""
    near_samples: Annotated[int, Field(ge=20)] = 400
    """Samples with the labels next to the forgotten one."""
    inverted_samples: Annotated[int, Field(ge=20)] = 200
    """Samples with the fresh embedding that an attacker fits to the forgotten class."""
    sample_batch: Annotated[int, Field(ge=1)] = 125
    """Samples drawn at a time; a pass holds twice as many."""
    decode_batch: Annotated[int, Field(ge=1)] = 25
    """Latents decoded at a time."""

    # What a concrete task says.

    @abstractmethod
    def near(self) -> list[int]:
        """Returns the retained classes that are most like the forgotten one."""

    # How models are drawn from.

    @property
    def run_seconds(self) -> float:  # type: ignore[override]
        """See ``Task.run_seconds``: most of it goes into sampling steps."""
        return 8 * 3600.0 * self.sampler().steps / 50

    def sampler(self) -> Sampler:
        """Returns the sampler of the metrics: guidance 1.5, where DiT's authors report their best FID."""
        return self._sampler(1.5)

    def gallery_sampler(self) -> Sampler:
        """Returns the sampler of the pictures: guidance 4, as in DiT's and SFRon's figures."""
        return self._sampler(4.0)

    def _sampler(self, guidance: float) -> Sampler:
        sampler = Sampler("ddim", 50, guidance, self.sample_batch, bounded=False)
        if self.protocol == "paper":
            sampler = Sampler("ddpm", 250, guidance, self.sample_batch, spacing="linspace", bounded=False)
        return dataclasses.replace(sampler, relaxed=True, bf16=True) if self.fast_sampling else sampler

    def wanted_labels(self) -> dict[str, Tensor]:
        """Returns the labels that samples are drawn with, set by set; retained labels take turns."""
        count = self.shapes().num_classes
        retained = torch.tensor([label for label in range(count) if label != self.forget_class])
        near = torch.tensor(self.near())
        return {
            "forget": torch.full((self.forget_samples,), self.forget_class),
            "retain": retained.repeat(self.retain_samples // len(retained) + 1)[: self.retain_samples],
            "near": near.repeat(self.near_samples // len(near) + 1)[: self.near_samples],
            "null": torch.full((self.forget_samples,), count),
        }

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``."""
        unused = ("relearning", "benign")
        attacker = {key: value for key, value in self.budget().describe().items() if not key.startswith(unused)}
        return {
            "sampler": self.sampler().describe(),
            "pictures": self.gallery_sampler().describe(),
            "inversion": attacker,
            "numerics": numerics.name_of(self.fast_sampling),
        }

    def budget(self) -> Budget:
        """Returns what the attacker has who fits a fresh embedding: its steps take about a hundredth of what samples take."""
        return Budget(batch=16, inversion_steps=300, inversion_lr=1e-2, draws=256, samples=self.inverted_samples)

    # What a run needs.

    def problem(self, method: Method, seed: int, device: torch.device) -> LatentDiTProblem:
        """See ``Task.problem``."""
        self.sampler().check(device)
        prepared, shapes = self._prepared(), self.shapes()
        bases.check_memory(shapes, device)
        forget, retain = latent_cache.load_pools(
            self.assets, prepared.train.files, self.forget_class, self._selection(), shapes.scale
        )
        return LatentDiTProblem(
            self.network().to(device),
            forget.behind(self._owned(len(forget))),
            retain,
            batch_size=self.batch_size,
            forget_classes=(self.forget_class,),
            num_classes=shapes.num_classes,
            granted=method.needs,
            seed=derive_seed(self.name, "unlearn", seed),
            device=device,
            sampler=self.sampler(),
            variance_loss=self.variance_loss,
            precision=self.precision,
        )

    def network(self) -> nn.Module:
        """See ``Task.network``."""
        model: Any = bases.load_transformer(self._checked_base(self._prepared()))
        if self.gradient_checkpointing:
            model.enable_gradient_checkpointing()
        return cast(nn.Module, model)

    def evaluate(self, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        return evaluation.evaluate(self.exam(device), model, seed)

    def exam(self, device: torch.device) -> Exam:
        """Returns what models are measured by.

        Args:
            device: Where judges and decoder work.
        """
        prepared = self._prepared()
        owned, rest = self._attackers_latents(prepared)
        return Exam(
            task=self.name,
            family=self.family,
            shapes=self.shapes(),
            forget_class=self.forget_class,
            near=self.near(),
            wanted=self.wanted_labels(),
            sampler=self.sampler(),
            gallery_sampler=self.gallery_sampler(),
            precision=self.precision,
            vae=bases.load_vae(self._folder()).to(device),
            decode_batch=self.decode_batch,
            judges=self._load_judges(device, prepared),
            extractor=self._extractor(device, prepared),
            reference=self._reference(prepared),
            budget=self.budget(),
            owned=owned,
            rest=rest,
        )

    def _attackers_latents(self, prepared: Prepared) -> tuple[TensorPool, TensorPool]:
        """The first latents of the class, which an attacker owns, and others on which it is measured."""
        budget = self.budget()
        latents = latent_cache.first_latents(
            self.assets, prepared.train.files, self.forget_class, budget.pictures + budget.draws, self.shapes().scale
        )
        first = torch.arange(len(latents)) < self._owned(len(latents))
        return latents.where(first), latents.where(~first)

    def _owned(self, latents: int) -> int:
        """How many of the class's latents are an attacker's: none that a method saw, which could prepare for them."""
        return min(self.budget().pictures, latents // 2)

    def retraining_cost(self, seed: int) -> RetrainingCost:
        """See ``Task.retraining_cost``: nobody retrains at this scale.

        Raises:
            BenchmarkError: Always.
        """
        raise BenchmarkError(f"The task '{self.name}' has no oracle; see the row simulated-retrain.")

    def _reference(self, prepared: Prepared) -> evaluation.RealImages:
        loaded = map(self.assets.load, prepared.reference.files)
        parts = ((found["features"], found["labels"]) for found in loaded if "features" in found)
        return evaluation.RealImages.of(parts, self.forget_class, self.name, prepared.reference.sha256)
