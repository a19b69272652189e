"""The family's task: how base, oracles and judges are made and kept, and what a method is given."""

from __future__ import annotations

import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...benchmark.assets import AssetFolder
from ...benchmark.method import Method, Need
from ...benchmark.problem import TensorPool
from ...benchmark.provenance import collect_provenance, describe_device
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Evaluation, Progress, RetrainingCost, Task
from . import evaluation
from .diffusion import Sampler
from .problem import ClassForgettingProblem
from .training import TrainingRecipe, train

ORACLE_SEEDS = (0, 1, 2)
SHIPPED = Path(__file__).parent.parent / "assets"


class ClassForgettingTask(Task):
    """Forgets classes of a class-conditional diffusion model. A concrete task says which network, data and judges."""

    family: ClassVar[str] = "class-forgetting"
    offers: ClassVar[frozenset[Need]] = ClassForgettingProblem.offers
    num_classes: ClassVar[int]
    image_shape: ClassVar[tuple[int, int, int]]
    batch_size: ClassVar[int]
    recipe: ClassVar[TrainingRecipe]
    sampler: ClassVar[Sampler]
    judge_names: ClassVar[tuple[str, ...]]
    """The first one's features serve the distances."""

    forget_class: int

    @abstractmethod
    def network(self) -> nn.Module:
        """Returns a freshly initialized network."""

    @abstractmethod
    def training_pool(self) -> TensorPool:
        """Returns all training images in [-1, 1] and their labels."""

    @abstractmethod
    def data_sha256(self) -> str:
        """Returns the hash of the data."""

    @abstractmethod
    def train_judge(self, name: str, seed: int) -> tuple[nn.Module, dict[str, Any]]:
        """Trains a judge and returns it with what is to be known of it, its test accuracy above all."""

    @abstractmethod
    def judge(self, name: str, weights: dict[str, Tensor]) -> evaluation.Judge:
        """Returns a judge with the given weights."""

    # Assets.

    @property
    def assets(self) -> AssetFolder:
        """The task's files."""
        return AssetFolder(self.name, SHIPPED / self.name)

    def oracle_file(self, seed: int) -> str:
        """Returns the name of an oracle's weights."""
        return f"oracle-{self.forget_class}-{seed}.safetensors"

    @property
    def oracle_samples_file(self) -> str:
        """The name of the file with the oracles' samples."""
        return f"oracle-{self.forget_class}-samples.safetensors"

    def files(self) -> list[str]:
        """Returns the names of all files that the task needs."""
        judges = [_judge_file(name) for name in self.judge_names]
        oracles = [self.oracle_file(seed) for seed in ORACLE_SEEDS]
        return ["base.safetensors", *judges, *oracles, self.oracle_samples_file]

    def missing(self) -> list[str]:
        """See ``Task.missing``."""
        lacking = [name for name in self.files() if not self.assets.has(name)]
        if not lacking:
            return []
        sets = (
            ""
            if self.forget_class == type(self).model_fields["forget_class"].default
            else f" --set forget_class={self.forget_class}"
        )
        return [f"The task '{self.name}' lacks {', '.join(lacking)}; run `unlearnbench prepare {self.name}{sets}`."]

    def assets_sha256(self) -> str:
        """See ``Task.assets_sha256``."""
        return self.assets.sha256(self.files())

    def protocol(self) -> dict[str, Any]:
        """See ``Task.protocol``."""
        return {"sampler": self.sampler.describe(), "batch_size": self.batch_size, **evaluation.sample_counts()}

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``: makes the files that are not at hand, one after the other."""
        for name in self.judge_names:
            if not self.assets.has(_judge_file(name)):
                progress(f"judge {name}", 0, 1)
                start = time.perf_counter()
                judge, facts = self.train_judge(name, seed=0)
                self._save(_judge_file(name), judge.state_dict(), {"seed": 0, **facts}, start)
        pool = self.training_pool()
        self._prepare_model("base.safetensors", pool, 0, progress)
        kept = self._split(pool)[1]
        for seed in ORACLE_SEEDS:
            self._prepare_model(self.oracle_file(seed), kept, derive_seed("oracle", seed), progress)
        if not self.assets.has(self.oracle_samples_file):
            start = time.perf_counter()
            samples: dict[str, Tensor] = {}
            for seed in ORACLE_SEEDS:
                progress("samples of the oracles", seed, len(ORACLE_SEEDS))
                drawn = evaluation.draw_samples(self, self.load_model(self.oracle_file(seed)), f"oracle-{seed}")
                samples |= {f"{seed}.{pool_name}": images for pool_name, images in drawn.images().items()}
            self._save(self.oracle_samples_file, samples, {"sampler": self.sampler.describe()}, start)
        return self.assets.writable

    def _prepare_model(self, name: str, pool: TensorPool, seed: int, progress: Progress) -> None:
        if self.assets.has(name):
            return
        start = time.perf_counter()
        torch.manual_seed(seed)
        weights = train(
            self.network(),
            pool,
            self.num_classes,
            self.recipe,
            seed,
            lambda step, steps: progress(f"training {name}", step, steps),
        )
        self._save(name, weights, {"seed": seed, "images": len(pool), **self.recipe._asdict()}, start)

    def _save(self, name: str, weights: dict[str, Tensor], made: dict[str, Any], start: float) -> None:
        device = describe_device(torch.device("cpu"), torch.get_num_threads())
        context = {
            "seconds": round(time.perf_counter() - start, 1),
            "device": device.group,
            "data_sha256": self.data_sha256(),
            "packages": collect_provenance().packages,
        }
        self.assets.save(name, weights, made | context)

    def load_model(self, name: str) -> nn.Module:
        """Returns the network with the weights of a file, in evaluation mode."""
        network = self.network()
        network.load_state_dict(self.assets.load(name))
        return network.eval()

    def load_judges(self) -> dict[str, evaluation.Judge]:
        """Returns the judges by name."""
        return {name: self.judge(name, self.assets.load(_judge_file(name))) for name in self.judge_names}

    def judge_sha256(self, name: str) -> str:
        """Returns the hash of a judge's weights."""
        return self.assets.entry(_judge_file(name)).sha256

    # What the harness asks for.

    def problem(self, method: Method, seed: int, device: torch.device) -> ClassForgettingProblem:
        """See ``Task.problem``."""
        forget, retain = self._split(self.training_pool())
        return ClassForgettingProblem(
            self.load_model("base.safetensors").to(device),
            forget,
            retain,
            batch_size=self.batch_size,
            forget_classes=(self.forget_class,),
            num_classes=self.num_classes,
            granted=method.needs,
            seed=derive_seed(self.name, "unlearn", seed),
            device=device,
            oracle=lambda: self.load_model(self.oracle_file(seed % len(ORACLE_SEEDS))).to(device),
        )

    def evaluate(self, model: nn.Module, method: Method, seed: int, device: torch.device) -> Evaluation:
        """See ``Task.evaluate``."""
        used = seed % len(ORACLE_SEEDS) if Need.ORACLE in method.needs else None
        others = [other for other in ORACLE_SEEDS if other != used]
        return evaluation.evaluate(self, model, seed, others, device)

    def retraining_cost(self, seed: int) -> RetrainingCost:
        """See ``Task.retraining_cost``."""
        made = self.assets.entry(self.oracle_file(seed % len(ORACLE_SEEDS))).made
        return RetrainingCost(made["seconds"], made["device"], made["steps"], made["steps"] * made["batch_size"])

    def retain_classes(self) -> list[int]:
        """Returns the classes to keep, in order."""
        return [label for label in range(self.num_classes) if label != self.forget_class]

    def _split(self, pool: TensorPool) -> tuple[TensorPool, TensorPool]:
        forgotten = pool.labels == self.forget_class
        return (
            TensorPool(pool.images[forgotten], pool.labels[forgotten]),
            TensorPool(pool.images[~forgotten], pool.labels[~forgotten]),
        )


def _judge_file(name: str) -> str:
    return f"judge-{name}.safetensors"
