"""A task whose base model, oracles and judges are made by the suite and kept as assets."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from ...benchmark.errors import BenchmarkError
from ...benchmark.measuring.device import CPU, describe_device
from ...benchmark.measuring.provenance import collect_provenance
from ...benchmark.method import Method
from ...benchmark.records.assets import AssetFolder
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Progress, RetrainingCost
from ..data.pools import ImagePool, LabelledPool
from ..judges.judge import Judge
from ..training.checkpoint import Checkpoint
from ..training.recipe import TrainingRecipe
from . import fitting
from .files import ORACLE_SEEDS, FilesTask, judge_file
from .fitting import Schedule


class RetrainedTask(FilesTask):
    """Forgets classes. The oracle is the base model's own recipe without them, three seeds of it."""

    num_classes: ClassVar[int]
    image_shape: ClassVar[tuple[int, int, int]]
    batch_size: ClassVar[int]
    recipe: ClassVar[TrainingRecipe]
    _minutes: float | None = PrivateAttr(None)
    """What ``prepare`` may take, if that is limited."""
    _schedule: Schedule | None = PrivateAttr(None)
    """What was fitted into the time."""
    _probe: TrainingRecipe | None = PrivateAttr(None)
    """Of a run that measures the speed of training."""

    @abstractmethod
    def forgotten(self) -> tuple[int, ...]:
        """Returns the classes to forget."""

    @abstractmethod
    def network(self) -> nn.Module:
        """Returns a freshly initialized network."""

    @abstractmethod
    def training_pool(self) -> ImagePool:
        """Returns all training images in the model's own range, and their labels."""

    @abstractmethod
    def data_sha256(self) -> str:
        """Returns the hash of the data."""

    @abstractmethod
    def train(
        self, pool: LabelledPool, seed: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> dict[str, Tensor]:
        """Trains a network from scratch by the task's recipe, or from its checkpoint, and returns its weights."""

    @abstractmethod
    def draw(self, model: nn.Module, seed: int | str) -> dict[str, Tensor]:
        """Returns a model's samples by set, as bytes ``(N, C, H, W)``; the noise depends on the seed alone."""

    @abstractmethod
    def sampling(self) -> str:
        """Returns how samples are drawn, in one line."""

    # Making what is lacking.

    @property
    def training_device(self) -> torch.device:
        """Where models are trained."""
        return CPU

    @property
    def used_recipe(self) -> TrainingRecipe:
        """The recipe of the models that are trained now: the base's where there is one, since oracles are trained alike."""
        if self._probe is not None:
            return self._probe
        if self.assets.has(self.base_file):
            made = self.assets.entry(self.base_file).made
            return self.recipe._replace(**{key: made[key] for key in self.recipe._fields if key in made})
        return self.recipe if self._schedule is None else self._schedule.recipe

    def facts(self) -> dict[str, Any]:
        """Returns what else the manifest should say of everything that is trained."""
        return {}

    def within(self, minutes: float) -> Self:
        """See ``Task.within``: base and oracles are trained for as many steps as fit, the same for all."""
        found = self.model_copy()
        found._minutes = minutes
        return found

    def prepare(self, progress: Progress) -> Path:
        """See ``Task.prepare``: makes the files that are not at hand, one after the other.

        Raises:
            BenchmarkError: The data or a judge is not there, a file cannot be written, or the GPU's memory does not suffice.
        """
        self._check_inputs()
        try:
            self._make_files(progress)
        except torch.OutOfMemoryError:
            raise BenchmarkError(
                f"The GPU's memory does not suffice to prepare the task '{self.name}'; free it, take a larger one, "
                "or hide it with CUDA_VISIBLE_DEVICES= to use the CPU: what is finished is kept."
            ) from None
        return self.assets.writable

    def _check_inputs(self) -> None:
        """Loads all that is at hand, before hours are spent on what is not: each says what is wrong with it.

        Raises:
            BenchmarkError: The data, a judge, or a file that was made before cannot be used.
        """
        self.training_pool()
        to_train = {name for name in self.own_judges() if not self.judge_assets.has(judge_file(name))}
        for name in self.wanted_judges():
            if name not in to_train:
                self.load_judge(name)
        for name in (self.base_file, *map(self.oracle_file, ORACLE_SEEDS)):
            if self.assets.has(name):
                self.load_model(name)

    def _make_files(self, progress: Progress) -> None:
        begun = time.monotonic()
        for name in self.own_judges():
            if not self.judge_assets.has(judge_file(name)):
                self._prepare_judge(name, progress)
        pool = self.training_pool()
        if self._minutes is not None:
            self._fit(pool, self._minutes, begun, progress)
        self._prepare_model(self.base_file, pool, 0, progress)
        kept = self.parted(pool)[1]
        for seed in self.oracle_seeds:
            self._prepare_model(self.oracle_file(seed), kept, derive_seed("oracle", seed), progress)
        if self.oracle_samples_file in self.files() and not self.assets.has(self.oracle_samples_file):
            start = time.perf_counter()
            samples: dict[str, Tensor] = {}
            for seed in ORACLE_SEEDS:
                progress("samples of the oracles", seed, len(ORACLE_SEEDS))
                samples |= {f"{seed}.{name}": images for name, images in self._draw_oracle(seed).items()}
            self._save(
                self.assets,
                self.oracle_samples_file,
                samples,
                {"sampler": self.sampling()},
                time.perf_counter() - start,
            )

    def _fit(self, pool: LabelledPool, minutes: float, begun: float, progress: Progress) -> None:
        """Chooses how long base and oracles are trained, or takes what was chosen before an interruption."""
        names = [self.base_file, *map(self.oracle_file, self.oracle_seeds)]
        lacking = [name for name in names if not self.assets.has(name)]
        if self.base_file not in lacking:
            made = self.assets.entry(self.base_file).made
            if "minutes" not in made and lacking:
                raise BenchmarkError(
                    f"The base model of '{self.name}' is there and was trained for {made.get('steps')} steps, as its oracles "
                    "have to be; leave --minutes out, or make all of them in the time with `--out FOLDER`."
                )
            return
        path = self._schedule_file
        self._schedule = fitting.kept(path, minutes)
        if self._schedule is None:
            progress("measuring the speed", 0, 1)
            speed = fitting.measure(partial(self._train_probe, pool), 60 * minutes)
            left = 60 * minutes - (time.monotonic() - begun)
            self._schedule = Schedule(fitting.fit(self.recipe, speed, left, len(lacking)), minutes, speed)
            fitting.keep(path, self._schedule)

    @property
    def _schedule_file(self) -> Path:
        return self.assets.writable / f"{self.base_file}.schedule"

    def _train_probe(
        self, pool: LabelledPool, steps: int, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> None:
        probe = self.model_copy()
        probe._probe = self.recipe._replace(steps=steps)
        probe.train(pool, 0, progress, checkpoint)

    def _prepare_judge(self, name: str, progress: Progress) -> None:
        file, facts = judge_file(name), self.judge_facts(name)
        checkpoint = self._checkpoint(self.judge_assets, file, facts)
        judge, found = self.train_judge(name, lambda step, steps: progress(f"judge {name}", step, steps), checkpoint)
        self._save(self.judge_assets, file, judge.state_dict(), facts | found, checkpoint.seconds)
        checkpoint.remove()

    @abstractmethod
    def judge_facts(self, name: str) -> dict[str, Any]:
        """Returns what a judge of ``own_judges`` is and how it is trained, for its manifest."""

    @abstractmethod
    def train_judge(
        self, name: str, progress: Callable[[int, int], None], checkpoint: Checkpoint
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Trains a judge of ``own_judges``, or goes on with it, and returns it with what was found out on the way."""

    def _checkpoint(self, folder: AssetFolder, file: str, facts: dict[str, Any]) -> Checkpoint:
        run = {"file": file, "data": self.data_sha256(), "device": self.training_device.type, **facts}
        return Checkpoint(folder.writable / f"{file}.checkpoint", run)

    def _prepare_model(self, name: str, pool: LabelledPool, seed: int, progress: Progress) -> None:
        if self.assets.has(name):
            return
        facts = {"seed": seed, "images": len(pool), **self.used_recipe._asdict()}
        checkpoint = self._checkpoint(self.assets, name, facts)
        torch.manual_seed(seed)
        weights = self.train(pool, seed, lambda step, steps: progress(f"training {name}", step, steps), checkpoint)
        precision: Literal["fp32", "bf16"] = "bf16" if self.training_device.type == "cuda" else "fp32"
        fitted = {} if self._schedule is None else self._schedule.facts()
        self._save(self.assets, name, weights, facts | fitted, checkpoint.seconds, precision)
        checkpoint.remove()
        self._schedule_file.unlink(missing_ok=True)

    def _save(
        self,
        folder: AssetFolder,
        name: str,
        weights: dict[str, Tensor],
        made: dict[str, Any],
        seconds: float,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        device = describe_device(self.training_device, torch.get_num_threads())
        device = device.model_copy(update={"precision": precision})
        context = self.facts() | {
            "seconds": round(seconds, 1),
            "device": device.group,
            "data_sha256": self.data_sha256(),
            "packages": collect_provenance().packages,
        }
        folder.save(name, weights, made | context)

    def load_model(self, name: str) -> nn.Module:
        """Returns the network with the weights of a file, in evaluation mode.

        Raises:
            BenchmarkError: The file is missing, is not the one in its manifest, or holds another network's weights.
        """
        network = self.network()
        try:
            network.load_state_dict(self.assets.load(name))
        except RuntimeError:
            raise BenchmarkError(
                f"{self.assets.place(name)} holds weights of another network than the task '{self.name}' has; "
                f"delete it and run `{self.prepare_command()}`."
            ) from None
        return network.eval()

    def load_judges(self, device: torch.device = CPU) -> dict[str, Judge]:
        """Returns the judges by name."""
        return {name: self.load_judge(name).to(device) for name in self.judge_names}

    @abstractmethod
    def load_judge(self, name: str) -> Judge:
        """Returns one of the judges, on the CPU."""

    # What every family's problem and evaluation need.

    def given(self, method: Method, seed: int, device: torch.device) -> dict[str, Any]:
        """Returns the arguments of the family's problem."""
        forget, retain = self.parted(self.training_pool())
        return {
            "model": self.load_model(self.base_file).to(device),
            "forget": forget,
            "retain": retain,
            "batch_size": self.batch_size,
            "forget_classes": self.forgotten(),
            "num_classes": self.num_classes,
            "granted": method.needs,
            "seed": derive_seed(self.name, "unlearn", seed),
            "device": device,
            "oracle": lambda: self.load_model(self.oracle_file(seed % len(ORACLE_SEEDS))).to(device),
        }

    def other_oracles(self, model: nn.Module) -> list[int]:
        """Returns the oracles to compare a model with: all but the one that it is."""
        files = {seed: self.oracle_file(seed) for seed in ORACLE_SEEDS}
        return [
            seed
            for seed, file in files.items()
            if not (self.assets.has(file) and _same_weights(model, self.load_model(file)))
        ]

    def oracle_samples(self, name: str, oracles: list[int], least: int = 0) -> Tensor:
        """Returns the oracles' samples of a set, pooled, as bytes.

        Args:
            name: The set.
            oracles: Their seeds.
            least: Samples that each must have.

        Raises:
            BenchmarkError: They were drawn otherwise than the task draws now, or are fewer.
        """
        if not self.keeps_oracle_samples:
            return torch.cat([self._draw_oracle(seed)[name] for seed in oracles])
        wanted = [f"{seed}.{name}" for seed in oracles]
        samples = self.assets.load(self.oracle_samples_file, wanted)
        drawn = self.assets.entry(self.oracle_samples_file).made.get("sampler")
        fewest = min(len(images) for images in samples.values())
        if drawn != self.sampling() or fewest < least:
            raise BenchmarkError(
                f"The oracles' samples in {self.assets.place(self.oracle_samples_file)} were drawn otherwise than the task "
                f"'{self.name}' asks for now ({drawn}, {fewest} of '{name}' each, instead of {self.sampling()}, {least}); "
                f"delete the file and run `{self.prepare_command()}`."
            )
        return torch.cat([samples[key] for key in wanted])

    def _draw_oracle(self, seed: int) -> dict[str, Tensor]:
        return self.draw(self.load_model(self.oracle_file(seed)).to(self.training_device), f"oracle-{seed}")

    def retraining_cost(self, seed: int) -> RetrainingCost:
        """See ``Task.retraining_cost``."""
        made = self.assets.entry(self.oracle_file(seed % len(ORACLE_SEEDS))).made
        return RetrainingCost(made["seconds"], made["device"], made["steps"], made["steps"] * made["batch_size"])

    def retain_classes(self) -> list[int]:
        """Returns the classes to keep, in order."""
        return [label for label in range(self.num_classes) if label not in self.forgotten()]

    def parted(self, pool: LabelledPool) -> tuple[LabelledPool, LabelledPool]:
        """Returns the forget and the retain part of a pool."""
        forgotten = torch.isin(pool.labels, torch.tensor(self.forgotten()))
        return pool.where(forgotten), pool.where(~forgotten)


class OneClassTask(RetrainedTask):
    """Forgets one class."""

    request_settings: ClassVar[frozenset[str]] = frozenset({"forget_class"})

    forget_class: int

    def forgotten(self) -> tuple[int, ...]:
        """See ``RetrainedTask.forgotten``."""
        return (self.forget_class,)

    def request(self) -> str:
        """See ``RetrainedTask.request``."""
        return str(self.forget_class)


def _same_weights(model: nn.Module, other: nn.Module) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name].cpu(), theirs[name]) for name in theirs)
