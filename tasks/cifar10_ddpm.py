"""``cifar10-ddpm``: a class-conditional DDPM on CIFAR-10 forgets a class, the standard task of the papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from ..benchmark.errors import BenchmarkError
from ..benchmark.measuring.device import CPU, resolve_device
from ..benchmark.records.files import canonical_sha256, file_sha256
from ..benchmark.task import Progress
from .class_forgetting import cifar10_networks, evaluation
from .class_forgetting.cifar10_protocols import PROTOCOLS, EvaluationProtocol, reference
from .class_forgetting.sampler import Sampler
from .class_forgetting.task import ClassForgettingTask
from .data.dataset import DataSet
from .data.pools import BytePool
from .data.sets import CIFAR10
from .judges import cifar10_judges, cifar_resnet, extractors
from .judges.extractors import Distances
from .judges.judge import Extractor, Judge, score
from .judges.report import Report
from .judges.timm import load_judge, weights_file
from .retraining.declared import DataSetTask
from .retraining.files import judge_file
from .training.checkpoint import Checkpoint
from .training.recipe import TrainingRecipe


class Cifar10DDPM(DataSetTask, ClassForgettingTask):
    """Class forgetting on a DDPM of 1, 10 or 38 M parameters. Needs CIFAR-10, two judges and, but for ``tiny``, a GPU.

    Classes 1, 3, 5, 7 and 9 are those that SFRon and its followers report; methods are tuned on the others.
    """

    name: ClassVar[str] = "cifar10-ddpm"
    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    path_settings: ClassVar[frozenset[str]] = frozenset({"judges"})
    data: ClassVar[DataSet] = CIFAR10
    class_names: ClassVar[tuple[str, ...]] = CIFAR10.classes
    batch_size: ClassVar[int] = 128
    presets: ClassVar[Mapping[str, cifar10_networks.Preset]] = cifar10_networks.PRESETS
    protocols: ClassVar[Mapping[str, EvaluationProtocol]] = PROTOCOLS
    judge_steps: ClassVar[int] = cifar_resnet.TRAIN_STEPS
    """Of judges that are trained here."""

    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"forget_class": label} for label in (1, 3, 5, 7, 9)
    )
    tuning_requests: ClassVar[tuple[dict[str, Any], ...]] = tuple({"forget_class": label} for label in (0, 2))
    forget_class: Annotated[int, Field(ge=0, le=9)] = 1
    """The class to forget: 1, 3, 5, 7, 9 (automobile, cat, dog, horse, truck) to report, the others to tune on."""
    preset: Literal["tiny", "small", "paper"] = "tiny"
    """The network: ``tiny`` has 1.1 M parameters, for a CPU, ``small`` 9.6 M, ``paper`` 38.3 M, the papers' size."""
    protocol: Literal["own", "paper"] = "own"
    """How models are evaluated: ``own``, or ``paper`` for the papers' protocol with its known faults."""
    fast_sampling: bool = False
    """Whether samples are drawn in bfloat16, channels last and compiled: for a GPU alone, and other in the last digits."""
    judges: tuple[str, ...] = ("resnet44", "resnet32")
    """resnet20, resnet32, resnet44, or classifiers of timm's, each ``NAME=FILE.safetensors`` or ``NAME``, with ``@SHA256``
    behind to pin the weights."""
    distances: Distances = "judge"
    """Whose features the distances are measured in: the first judge's, Inception's or DINOv2's."""

    @field_validator("judges")
    @classmethod
    def _named(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        names = [cifar10_judges.short_name(judge) for judge in found]
        if not names or len(set(names)) < len(names):
            raise ValueError("name one judge or more, each once")
        return found

    @property
    def recipe(self) -> TrainingRecipe:  # type: ignore[override]
        """See ``RetrainedTask.recipe``."""
        return self.presets[self.preset].recipe

    @property
    def ema_decay(self) -> float:  # type: ignore[override]
        """See ``ClassForgettingTask.ema_decay``."""
        return self.presets[self.preset].ema_decay

    @property
    def chosen(self) -> EvaluationProtocol:
        """What is drawn, how, and what it is compared with."""
        return self.protocols.get(f"{self.protocol}-{self.preset}", self.protocols[self.protocol])

    @property
    def sampler(self) -> Sampler:  # type: ignore[override]
        """See ``ClassForgettingTask.sampler``."""
        return self.chosen.sampler.fast() if self.fast_sampling else self.chosen.sampler

    @property
    def training_device(self) -> torch.device:
        """See ``RetrainedTask.training_device``: a GPU where there is one."""
        return resolve_device("auto")

    def sample_counts(self) -> dict[str, int]:
        """See ``ClassForgettingTask.sample_counts``."""
        return dict(self.chosen.counts)

    def oracle_counts(self) -> dict[str, int]:
        """See ``ClassForgettingTask.oracle_counts``."""
        return dict(self.chosen.oracle_counts or self.chosen.counts)

    def evaluation_protocol(self) -> dict[str, Any]:
        """See ``Task.evaluation_protocol``; the papers' comes with its known faults."""
        chosen = self.chosen
        return {
            **super().evaluation_protocol(),
            "reference_per_class": chosen.reference_per_class,
            "known_faults": list(chosen.faults),
            **evaluation.limits(),
        }

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        return cifar10_networks.unet(self.presets[self.preset])

    def training_pool(self) -> BytePool:
        """See ``RetrainedTask.training_pool``."""
        return BytePool(*self.data.load(self.data.train), mirrored=True)

    def held_out(self) -> BytePool:
        """See ``ClassForgettingTask.held_out``."""
        return BytePool(*self.data.load(self.data.test))

    def reference(self) -> BytePool:
        """See ``ClassForgettingTask.reference``."""
        return reference(self.training_pool(), self.chosen)

    @property
    def run_seconds(self) -> float:  # type: ignore[override]
        """See ``Task.run_seconds``: half an hour of a CPU for ``tiny``, of a GPU hours, days by the papers' protocol."""
        if self.protocol == "paper":
            return 48 * 3600.0
        return 1800.0 if self.preset == "tiny" else 4 * 3600.0

    # Files.

    @property
    def base_file(self) -> str:
        """See ``RetrainedTask.base_file``."""
        return f"base-{self.preset}.safetensors"

    def oracle_file(self, seed: int) -> str:
        """See ``RetrainedTask.oracle_file``."""
        return f"oracle-{self.preset}-{self.forget_class}-{seed}.safetensors"

    @property
    def oracle_samples_file(self) -> str:
        """See ``RetrainedTask.oracle_samples_file``."""
        how = f"{self.protocol}-fast" if self.fast_sampling else self.protocol
        return f"oracle-{self.preset}-{self.forget_class}-samples-{how}.safetensors"

    def _hash_of(self, files: list[str]) -> str:
        found = {
            "files": super()._hash_of(files),
            "data": self.data_sha256(),
            "judges": [[cifar10_judges.short_name(name), self._judge_sha256(name)] for name in self.judges],
            "extractor": extractors.weights_sha256(self.distances),
        }
        return canonical_sha256(found)

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``. It starts with what can fail early."""
        self.sampler.check(self.training_device)
        for name in self.judges:
            if name not in cifar10_judges.PINNED:
                weights_file(cifar10_judges.timm_spec(name), download=True)
        extractors.prepare(self.distances)
        return super().prepare(progress)

    def missing(self) -> list[str]:
        """See ``Task.missing``: data, files and judges."""
        lacking = super().missing()
        for name in self.own_judges():
            if not self.assets.has(judge_file(name)):
                place = cifar10_judges.place(f"{name}.safetensors")
                lacking.append(
                    f"The judge {name} is trained by the same command unless {place} is there "
                    f"(sha256 {cifar10_judges.PINNED[name].sha256[:12]}…)."
                )
        problems = [*map(self._judge_problem, self.judges), extractors.missing(self.distances)]
        lacking += [problem for problem in problems if problem is not None]
        return lacking

    # Judges.

    def extractor(self) -> tuple[str, Extractor] | None:
        """See ``ClassForgettingTask.extractor``."""
        return extractors.of_distances(self.distances)

    def wanted_judges(self) -> list[str]:
        """See ``RetrainedTask.wanted_judges``."""
        return list(self.judges)

    def own_judges(self) -> list[str]:
        """See ``RetrainedTask.own_judges``: those of He et al. whose file is not there."""
        return [
            name for name in self.judges if name in cifar10_judges.PINNED and cifar10_judges.pinned_file(name) is None
        ]

    def load_judges(self, device: torch.device = CPU) -> dict[str, Judge]:
        """See ``RetrainedTask.load_judges``."""
        return {cifar10_judges.short_name(judge): self.load_judge(judge).to(device) for judge in self.judges}

    def judge_facts(self, name: str) -> dict[str, Any]:
        """See ``RetrainedTask.judge_facts``."""
        return {"seed": 0, "architecture": f"He et al. (2016), {name}", "steps": self.judge_steps}

    def train_judge(
        self, name: str, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> tuple[nn.Module, dict[str, Any]]:
        """See ``RetrainedTask.train_judge``: its accuracy on the test images."""
        train, test = self.data.load(self.data.train), self.data.load(self.data.test)
        torch.manual_seed(0)
        fresh = cifar10_judges.new_network(name)
        network = cifar_resnet.train(fresh, train, self.training_device, self.judge_steps, progress, checkpoint)
        right = score(Judge(network, ""), test.images).labels == test.labels
        return network, {"test_accuracy": float(right.float().mean()), "test_images": len(test.labels)}

    def add_metrics(self, report: Report) -> None:
        """See ``ClassForgettingTask.add_metrics``: how often each judge is right on real test images."""
        self.add_judge_accuracy(report)

    def load_judge(self, name: str) -> Judge:
        if name not in cifar10_judges.PINNED:
            return load_judge(cifar10_judges.timm_spec(name), self.num_classes, device=CPU)
        if cifar10_judges.pinned_file(name) is not None:
            return cifar10_judges.load_pinned(name)
        network = cifar10_judges.new_network(name)
        network.load_state_dict(self.assets.load(judge_file(name)))
        return Judge(network.eval(), self.assets.entry(judge_file(name)).sha256)

    def _judge_sha256(self, name: str) -> str:
        if name not in cifar10_judges.PINNED:
            return file_sha256(weights_file(cifar10_judges.timm_spec(name), download=False))
        return self.assets.entry(judge_file(name)).sha256 if name in self.own_judges() else self.load_judge(name).sha256

    def _judge_problem(self, name: str) -> str | None:
        if name in self.own_judges():
            return None
        try:
            self.load_judge(name)
        except BenchmarkError as error:
            return str(error)
        return None
