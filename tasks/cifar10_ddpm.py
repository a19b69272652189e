"""``cifar10-ddpm``: a class-conditional DDPM on CIFAR-10 forgets a class, the standard task of the papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from huggingface_hub.constants import HF_HUB_OFFLINE
from pydantic import Field, field_validator
from torch import nn

from ..benchmark import metrics
from ..benchmark.errors import BenchmarkError
from ..benchmark.provenance import resolve_device
from ..benchmark.record import canonical_sha256
from .cifar10 import data, judges, networks
from .cifar10.protocols import PROTOCOLS, EvaluationProtocol, reference
from .class_forgetting import evaluation
from .class_forgetting.diffusion import Sampler
from .class_forgetting.task import ClassForgettingTask
from .common.judging import Judge, Report, score
from .common.pools import BytePool
from .common.retrained import CPU, TrainingRecipe, judge_file


class Cifar10DDPM(ClassForgettingTask):
    """Class forgetting on a DDPM of 10 M or 38 M parameters. Needs CIFAR-10, two judges and, in earnest, a GPU.

    Classes 1, 3, 5, 7 and 9 are those that SFRon and its followers report; methods are tuned on the others.
    """

    name: ClassVar[str] = "cifar10-ddpm"
    tier: ClassVar[Literal["embedded", "mid", "paper"]] = "mid"
    num_classes: ClassVar[int] = data.NUM_CLASSES
    image_shape: ClassVar[tuple[int, int, int]] = (3, data.SIZE, data.SIZE)
    batch_size: ClassVar[int] = 128
    presets: ClassVar[Mapping[str, networks.Preset]] = networks.PRESETS
    protocols: ClassVar[Mapping[str, EvaluationProtocol]] = PROTOCOLS
    expected_data: ClassVar[str | None] = data.SHA256
    """The hash that the data must have; None takes any images of the same layout."""

    forget_class: Annotated[int, Field(ge=0, le=9)] = 1
    """The class to forget: 1, 3, 5, 7, 9 (automobile, cat, dog, horse, truck) to report, the others to tune on."""
    preset: Literal["small", "paper"] = "small"
    """The network: ``small`` has 9.6 M parameters, ``paper`` 38.3 M, as many as the papers'. Each needs its own training."""
    protocol_name: Annotated[Literal["own", "paper"], Field(alias="protocol")] = "own"
    """How models are evaluated: ``own``, or ``paper`` for the papers' protocol with its known faults."""
    judges: tuple[str, ...] = ("resnet44", "resnet32")
    """resnet20, resnet32, resnet44, NAME@FILE (timm's network and a file in the judges' folder) or hf-hub:OWNER/REPOSITORY;
    the first one's features serve the distances."""

    @field_validator("judges")
    @classmethod
    def _named(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        names = [judges.short_name(judge) for judge in found]
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
    def evaluation_protocol(self) -> EvaluationProtocol:
        """What is drawn, how, and what it is compared with."""
        return self.protocols[self.protocol_name]

    @property
    def sampler(self) -> Sampler:  # type: ignore[override]
        """See ``ClassForgettingTask.sampler``."""
        return self.evaluation_protocol.sampler

    @property
    def training_device(self) -> torch.device:
        """See ``RetrainedTask.training_device``: a GPU where there is one."""
        return resolve_device("auto")

    def sample_counts(self) -> dict[str, int]:
        """See ``ClassForgettingTask.sample_counts``."""
        return dict(self.evaluation_protocol.counts)

    def protocol(self) -> dict[str, Any]:
        """See ``Task.protocol``; the papers' comes with its known faults."""
        chosen = self.evaluation_protocol
        return {
            **super().protocol(),
            "reference_per_class": chosen.reference_per_class,
            "known_faults": list(chosen.faults),
            **evaluation.limits(),
        }

    def network(self) -> nn.Module:
        """See ``RetrainedTask.network``."""
        return networks.unet(self.presets[self.preset])

    # Data.

    def training_pool(self) -> BytePool:
        """See ``RetrainedTask.training_pool``."""
        return BytePool(*self._split().train, mirrored=True)

    def reference(self) -> BytePool:
        """See ``ClassForgettingTask.reference``."""
        return reference(self.training_pool(), self.evaluation_protocol)

    def data_sha256(self) -> str:
        """See ``RetrainedTask.data_sha256``."""
        return self.expected_data or self._split().sha256

    def _split(self) -> data.Split:
        return data.load_split(self.expected_data)

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
        return f"oracle-{self.preset}-{self.forget_class}-samples-{self.protocol_name}.safetensors"

    def assets_sha256(self) -> str:
        """See ``Task.assets_sha256``."""
        found = {judge: self._judge_sha256(judge) for judge in self.judges}
        return canonical_sha256({"files": super().assets_sha256(), "data": self.data_sha256(), "judges": found})

    def missing(self) -> list[str]:
        """See ``Task.missing``: files, judges, and the data where neither a folder nor the hub can give it."""
        lacking = super().missing()
        for name in self.own_judges():
            if not self.assets.has(judge_file(name)):
                lacking.append(
                    f"The judge {name} is trained by the same command unless {judges.place(name + '.safetensors')} is there "
                    f"(sha256 {judges.PINNED[name].sha256[:12]}…)."
                )
        lacking += [problem for problem in map(self._judge_problem, self.judges) if problem is not None]
        if data.source() == data.HUB_ID and HF_HUB_OFFLINE:
            try:
                self._split()
            except BenchmarkError as error:
                lacking.append(f"The task '{self.name}' lacks its data. {error}")
        return lacking

    # Judges.

    def own_judges(self) -> list[str]:
        """See ``RetrainedTask.own_judges``: those of He et al. whose file is not there."""
        return [name for name in self.judges if name in judges.PINNED and judges.pinned_file(name) is None]

    def load_judges(self, device: torch.device = CPU) -> dict[str, Judge]:
        """See ``RetrainedTask.load_judges``."""
        return {judges.short_name(judge): self._load_judge(judge).to(device) for judge in self.judges}

    def train_judge(self, name: str, progress: Callable[[int, int], None]) -> tuple[nn.Module, dict[str, Any]]:
        """See ``RetrainedTask.train_judge``."""
        train, test, _ = self._split()
        network = judges.train_judge(name, train, self.training_device, progress)
        right = score(Judge(network, ""), test.pixels).labels == test.labels
        made = {"seed": 0, "architecture": f"He et al. (2016), {name}", "steps": judges.TRAIN_STEPS}
        return network, {**made, "test_accuracy": float(right.float().mean()), "test_images": len(test.labels)}

    def add_metrics(self, report: Report) -> None:
        """See ``ClassForgettingTask.add_metrics``: how often each judge is right on real test images."""
        test = self._split().test
        for name, judge in report.judges.items():
            if isinstance(judge, Judge):
                measured = metrics.proportion(score(judge, test.pixels).labels == test.labels)
                report.add(
                    "judge_accuracy",
                    measured,
                    "info",
                    "unlearnbench.benchmark.metrics.proportion",
                    judge=name,
                    reference_sha256=self.data_sha256(),
                    protocol="real test images",
                )

    def _load_judge(self, name: str) -> Judge:
        if name not in judges.PINNED:
            return judges.load_timm(name)
        if judges.pinned_file(name) is not None:
            return judges.load_pinned(name)
        network = judges.new_network(name)
        network.load_state_dict(self.assets.load(judge_file(name)))
        return Judge(network.eval(), self.assets.entry(judge_file(name)).sha256)

    def _judge_sha256(self, name: str) -> str:
        return (
            self.assets.entry(judge_file(name)).sha256 if name in self.own_judges() else self._load_judge(name).sha256
        )

    def _judge_problem(self, name: str) -> str | None:
        if name in self.own_judges():
            return None
        try:
            self._load_judge(name)
        except BenchmarkError as error:
            return str(error)
        return None
