"""Models of which it is known whether they hold the forgotten class: what a test of forgetting is tested on.

Those that hold it were never made to forget, or were only made to look as if: the original, fine-tunes on retained data, edits
of the label's embedding, wrappers, and models that were retrained with a few pictures of the class. Those that do not were
retrained without it: the oracles, and the same with shorter and longer training and with another width. What takes training is
kept in a folder, so that a stopped training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ...benchmark.measuring.device import CPU
from ...benchmark.method import Method
from ...benchmark.problem import TensorPool
from ...benchmark.records.files import write_atomically
from ...benchmark.running import weights
from ...benchmark.running.identity import make_method
from ...benchmark.seeds import derive_seed
from ...benchmark.task import Task
from ...tasks.class_forgetting.diffusion import without_label_dropout
from ...tasks.class_forgetting.label_tables import label_tables
from ...tasks.class_forgetting.networks import small_unet
from ...tasks.class_forgetting.task import ClassForgettingTask
from ...tasks.image_to_image.mae import small_mae
from ...tasks.one_shot.vae import VAE
from ...tasks.retraining.files import ORACLE_SEEDS
from ...tasks.retraining.retrained import OneClassTask
from ...tasks.training.checkpoint import Checkpoint

DOSES = (5, 20, 50)
"""Pictures of the class that a retrained model saw all the same."""
EDITS = {
    "class-forgetting": (
        ("finetune", 0, "fine-tuned on the others"),
        ("finetune", 1, "fine-tuned on the others"),
        ("cheat-noise", 0, "wrapped"),
        ("cheat-remap", 0, "embedding edited"),
        ("simulated-retrain", 0, "embedding edited"),
    ),
    "one-shot": (("finetune", 0, "fine-tuned on the others"), ("finetune", 1, "fine-tuned on the others")),
    "image-to-image": (
        ("finetune", 0, "fine-tuned on the others"),
        ("finetune", 1, "fine-tuned on the others"),
        ("cheat-gate", 0, "wrapped"),
        ("cheat-fill", 0, "wrapped"),
    ),
}
"""Methods that leave the class in the weights, by family, with seeds and what they are."""
SHORTER, LONGER = 0.5, 1.5
"""Steps of other recipes, as shares of the oracles'."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Specimen:
    """A model of the pool.

    Attributes:
        name: Of its row, such as ``dose-5``.
        kind: Its group in the table.
        holds: Whether it holds the class.
        make: Returns the model in evaluation mode.
        oracle: The oracle that it is, if it is one: its score is then relative to the others.
    """

    name: str
    kind: str
    holds: bool
    make: Callable[[], nn.Module]
    oracle: int | None = None

    @property
    def row(self) -> str:
        """The board's row that it is, by which scores find their zero and their one."""
        return "oracle" if self.oracle is not None else self.name


def specimens(task: OneClassTask, folder: Path, progress: Progress) -> Iterator[Specimen]:
    """Yields the pool of a task. See ``retrained``."""
    yield Specimen("original", "original", holds=True, make=partial(task.load_model, task.base_file))
    for method, seed, kind in EDITS[task.family.name]:
        make = partial(left, task, make_method(method, {}), seed)
        yield Specimen(f"{method}-{seed}" if seed else method, kind, holds=True, make=make)
    if isinstance(task, ClassForgettingTask):
        for name, value in (("row-mean", _mean), ("row-zero", torch.zeros_like)):
            yield Specimen(name, "embedding edited", holds=True, make=partial(_row_set, task, value))
    yield from retrained(task, folder, progress)


def retrained(task: OneClassTask, folder: Path, progress: Progress) -> Iterator[Specimen]:
    """Yields the models that are trained from scratch.

    Args:
        task: What was forgotten, and by which recipe models are trained.
        folder: Where they are kept.
        progress: Told what is being trained, how much of it is done and how much there is.
    """
    for seed in ORACLE_SEEDS:
        make = partial(task.load_model, task.oracle_file(seed))
        yield Specimen(f"oracle-{seed}", "oracle", holds=False, make=make, oracle=seed)
    for dose in DOSES:
        make = partial(_trained, task, f"dose-{dose}", dose, folder, progress)
        yield Specimen(f"dose-{dose}", f"retrained with {dose} pictures of it", holds=True, make=make)
    for name, changed in _other_recipes(task).items():
        make = partial(_trained, changed, name, 0, folder, progress)
        yield Specimen(name, "retrained by another recipe", holds=False, make=make)


def left(task: Task, method: Method, seed: int = 0) -> nn.Module:
    """Returns what a method leaves, as a run's evaluation sees it: its weights in a fresh network."""
    torch.manual_seed(derive_seed("global", seed))
    problem = task.problem(method, seed, CPU)
    network, layout = problem.model, weights.Layout.of(problem.model)
    method.unlearn(problem)
    fresh = task.network()
    fresh.load_state_dict(weights.take(network, layout).state)
    return fresh.eval()


def _row_set(task: ClassForgettingTask, value: Callable[[Tensor], Tensor]) -> nn.Module:
    network = task.load_model(task.base_file)
    with torch.no_grad():
        for table in label_tables(network, task.num_classes):
            table[task.forget_class] = value(table[task.retain_classes()])[0]
    return network


def _mean(rows: Tensor) -> Tensor:
    return rows.mean(0, keepdim=True)


def _other_recipes(task: OneClassTask) -> dict[str, OneClassTask]:
    recipe = task.recipe

    def changed(**attributes: Any) -> OneClassTask:
        kind = type(task)
        made: OneClassTask = type(kind.__name__, (kind,), {"__module__": __name__, **attributes})(**task.model_dump())
        return made

    return {
        "shorter": changed(recipe=recipe._replace(steps=round(SHORTER * recipe.steps))),
        "longer": changed(recipe=recipe._replace(steps=round(LONGER * recipe.steps))),
        "wider": changed(network=_wider(task)),
    }


def _wider(task: OneClassTask) -> Callable[[Any], nn.Module]:
    """Returns what makes a task's network half as wide again, or a third."""

    def transformer(_: Any) -> nn.Module:
        from diffusers import DiTTransformer2DModel

        config = {**task.network().config, "attention_head_dim": 32}  # type: ignore[dict-item]
        return without_label_dropout(DiTTransformer2DModel(**config))

    return {
        "digits-ddpm": lambda of: small_unet(of.image_shape, of.num_classes, width=48),
        "digits-dit": transformer,
        "digits-vae": lambda of: VAE(of.image_shape, 384, of.latent),
        "digits-mae": lambda of: small_mae(of.image_shape[-1], 2, channels=1, width=96, layers=4, decoder_layers=2),
    }[task.name]


def _trained(task: OneClassTask, name: str, dose: int, folder: Path, progress: Progress) -> nn.Module:
    """Returns the model of a file, which is trained first if it is not there."""
    file = folder / task.name / f"{name}.safetensors"
    network = task.network()
    if not file.exists():
        seed = derive_seed("meta-evaluation", name)
        forget, retain = task.parted(task.training_pool())
        some, rest = forget.take(torch.arange(dose)), retain.take(torch.arange(len(retain)))
        pool = TensorPool(*(torch.cat(parts) for parts in zip(rest, some, strict=True)))
        torch.manual_seed(seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(file.with_suffix(".checkpoint"), {"file": file.name, **task.recipe._asdict()})
        weights = task.train(pool, seed, lambda step, steps: progress(f"{task.name} {name}", step, steps), checkpoint)
        write_atomically(file, safetensors.torch.save({key: value.contiguous() for key, value in weights.items()}))
        checkpoint.remove()
    network.load_state_dict(safetensors.torch.load_file(file))
    return network.eval()
