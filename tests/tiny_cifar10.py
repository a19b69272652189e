"""A plugin: ``cifar10-ddpm`` in miniature, on any images of the same layout, whose numbers mean nothing."""

import dataclasses
from typing import ClassVar, Literal

from unlearnbench.tasks.cifar10_ddpm import Cifar10DDPM
from unlearnbench.tasks.class_forgetting.cifar10_networks import Preset
from unlearnbench.tasks.class_forgetting.cifar10_protocols import EvaluationProtocol, StretchedSampler
from unlearnbench.tasks.class_forgetting.probes import Budget
from unlearnbench.tasks.class_forgetting.sampler import Sampler
from unlearnbench.tasks.data.dataset import DataSet
from unlearnbench.tasks.data.sets import CIFAR10
from unlearnbench.tasks.training.recipe import TrainingRecipe

COUNTS = {"forget": 16, "retain": 72, "null": 16}


class TinyCifar10(Cifar10DDPM):
    """The same code with a network of a few thousand weights, a training of seconds and a handful of samples."""

    name: ClassVar[str] = "tiny-cifar10"
    batch_size: ClassVar[int] = 8
    judge_steps: ClassVar[int] = 2
    preset: Literal["small"] = "small"
    budget: ClassVar[Budget] = Cifar10DDPM.budget.brief()
    data: ClassVar[DataSet] = dataclasses.replace(CIFAR10, sha256=None)
    presets: ClassVar[dict[str, Preset]] = {
        "small": Preset((8, 16), 1, TrainingRecipe(steps=8, batch_size=4, lr=1e-3), ema_decay=0.99, groups=4)
    }
    protocols: ClassVar[dict[str, EvaluationProtocol]] = {
        "own": EvaluationProtocol(Sampler("ddim", 2, 1.5), COUNTS),
        "paper": EvaluationProtocol(
            StretchedSampler("ddpm", 2, 3.0, bounded=False), COUNTS, reference_per_class=6, faults=("all",)
        ),
    }
