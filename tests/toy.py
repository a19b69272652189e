"""A toy task and methods that misbehave, as a plugin file: what the runner's tests run in real worker processes."""

from __future__ import annotations

import base64
import io
import os
import signal
import time
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from PIL import Image
from torch import nn

from unlearnbench.benchmark import registry
from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.metrics.measures import proportion
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.problem import Batch, Problem, TensorPool
from unlearnbench.benchmark.records.assets import AssetFolder
from unlearnbench.benchmark.records.record import Gallery, Identity, Metric
from unlearnbench.benchmark.search_space import LogRange
from unlearnbench.benchmark.task import Evaluation, RetrainingCost, Task

CLASSES, DIMENSIONS = 3, 4
FAMILY = registry.families.find("class-forgetting")


def blobs() -> TensorPool:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat(40)
    return TensorPool(nn.functional.one_hot(labels, DIMENSIONS) * 3 + torch.randn(120, 4, generator=generator), labels)


def trained(classes: list[int]) -> nn.Module:
    torch.manual_seed(0)
    model, pool = nn.Linear(DIMENSIONS, CLASSES), blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    kept = torch.isin(pool.labels, torch.tensor(classes))
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(pool.images[kept]), pool.labels[kept]).backward()
        optimizer.step()
    return model.eval()


class ToyProblem(Problem):
    offers = frozenset({Need.RETAIN, Need.ORACLE})

    def loss(self, batch: Batch, model: nn.Module | None = None) -> torch.Tensor:
        return nn.functional.cross_entropy(self.predict(batch, model=model), batch.labels, reduction="none")

    def predict(self, batch, labels=None, model=None):
        return (model or self.model)(batch.images)

    def warm_up(self) -> None:
        self.model(torch.zeros(1, DIMENSIONS))

    def _draw(self, images):
        return {}


class ToyTask(Task):
    """A linear classifier forgets its first class."""

    name: ClassVar[str] = "toy"
    family: ClassVar = FAMILY
    tier: ClassVar = "embedded"
    offers: ClassVar = ToyProblem.offers
    request_settings: ClassVar = frozenset({"forget_class"})
    standard_requests: ClassVar = ({"forget_class": 0},)
    tuning_requests: ClassVar = ({"forget_class": 1}, {"forget_class": 2})
    forget_class: int = 0
    """The class to forget."""
    lacking: bool = False
    """Whether it has to be prepared first."""

    @property
    def assets(self):
        return AssetFolder(self.name, Path("none"), self.prepare_command)

    def missing(self):
        lacks = self.lacking and not self.assets.has("base.safetensors")
        return [f"The task 'toy' lacks its weights; run `{self.prepare_command()}`."] if lacks else []

    def prepare(self, progress):
        if not self.assets.has("base.safetensors"):
            progress("toy", 1, 1)
            self.assets.save("base.safetensors", trained([0, 1, 2]).state_dict(), {})
        return self.assets.writable

    def assets_sha256(self):
        return "0" * 64

    def evaluation_protocol(self):
        return {}

    def retraining_cost(self, seed):
        return RetrainingCost(1.0, "elsewhere", 60, 600)

    def problem(self, method, seed, device):
        pool = blobs()
        first = pool.labels == self.forget_class
        return ToyProblem(
            trained([0, 1, 2]),
            TensorPool(pool.images[first], pool.labels[first]),
            TensorPool(pool.images[~first], pool.labels[~first]),
            batch_size=16,
            forget_classes=(self.forget_class,),
            num_classes=CLASSES,
            granted=method.needs,
            seed=seed,
            device=device,
            oracle=lambda: trained([label for label in range(CLASSES) if label != self.forget_class]),
        )

    def network(self):
        return nn.Linear(DIMENSIONS, CLASSES)

    def evaluate(self, model, seed, device):
        pool = blobs()
        generator = torch.Generator().manual_seed(seed)
        noisy = pool.images + 0.1 * torch.randn(pool.images.shape, generator=generator)
        with torch.inference_mode():
            right = model(noisy).argmax(1) == pool.labels
        forgotten = pool.labels == self.forget_class
        measured = proportion(right[forgotten])
        identity = Identity(name="toy", version=1, protocol="toy")
        metrics = []
        for quantity in dict.fromkeys(part for track in FAMILY.tracks for part in track.scored):
            value = measured.value if quantity.direction == "match" else proportion(right[~forgotten]).value
            metrics.append(
                Metric(
                    name=quantity.name,
                    value=value + 0.1 * (quantity.name == "fid_retain"),
                    ci_low=measured.interval.low,
                    ci_high=measured.interval.high,
                    ci_method="wilson",
                    n=measured.n,
                    direction=quantity.direction,
                    judge="toy-judge",
                    identity=identity,
                )
            )
        buffer = io.BytesIO()
        Image.new("L", (4, 4), 128).save(buffer, "PNG")
        picture = base64.b64encode(buffer.getvalue()).decode()
        return Evaluation(metrics, Gallery(png_base64=picture, rows=["0"], columns=1, tile=4))


class Good(Method):
    """Climbs the forget loss while it descends on the retain loss."""

    name = "toy-good"
    needs = frozenset({Need.RETAIN})
    steps: int = 20
    lr: float = 0.05

    def unlearn(self, problem):
        optimizer = torch.optim.Adam(problem.parameters(), lr=self.lr)
        for step in problem.steps(self.steps):
            optimizer.zero_grad()
            (problem.loss(step.retain).mean() - problem.loss(step.forget).mean()).backward()
            optimizer.step()


class ToTune(Good):
    """The same, with settings to search."""

    name = "toy-tuned"
    steps: Annotated[int, LogRange(1, 4)] = 2
    lr: Annotated[float, LogRange(0.01, 1.0)] = 0.05


class Raises(Method):
    """Raises."""

    name = "toy-raises"

    def unlearn(self, problem):
        raise ValueError("no luck\nat all")


class Forks(Method):
    """Leaves a child behind that holds every file open."""

    name = "toy-forks"

    def unlearn(self, problem):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)


class Marks(Method):
    """Raises with text that a terminal's markup would choke on."""

    name = "toy-marks"

    def unlearn(self, problem):
        raise ValueError("no such file [/tmp/x] in list[int]")


class Diverges(Method):
    """Leaves weights that are not finite."""

    name = "toy-diverges"

    def unlearn(self, problem):
        with torch.no_grad():
            problem.parameters()[0].fill_(float("nan"))


class OutOfMemory(Method):
    """Asks for more memory than there is."""

    name = "toy-greedy"

    def unlearn(self, problem):
        torch.empty(2**46)


class Hoards(Method):
    """Takes ever more memory, in a process that it starts."""

    name = "toy-hoards"
    megabytes: int = 2000

    def unlearn(self, problem):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        held = []
        for _ in range(self.megabytes // 20):
            held.append(b"x" * 20_000_000)
            time.sleep(0.02)
        os._exit(0)


class Sleeps(Method):
    """Never ends in time."""

    name = "toy-sleeps"
    seconds: float = 600.0

    def unlearn(self, problem):
        time.sleep(self.seconds)


class Dies(Method):
    """Is killed by a signal."""

    name = "toy-dies"
    number: int = int(signal.SIGSEGV)

    def unlearn(self, problem):
        os.kill(os.getpid(), self.number)


class Peeks(Method):
    """Reads the retain set without declaring it."""

    name = "toy-peeks"

    def unlearn(self, problem):
        for batch in problem.batches("retain", 1):
            problem.loss(batch)


class WantsOracle(Method):
    """Asks for the oracle, which only built-in reference rows may see."""

    name = "toy-wants-oracle"
    needs = frozenset({Need.ORACLE})

    def unlearn(self, problem):
        problem.model.load_state_dict(problem.oracle().state_dict())


class WantsEncoder(Method):
    """Needs what the toy task does not have."""

    name = "toy-wants-encoder"
    needs = frozenset({Need.ENCODER})

    def unlearn(self, problem):
        raise AssertionError("never runs")
