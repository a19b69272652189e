"""Tasks that break one clause of their contract each, and an honest one that they extend: the toy's points."""

import itertools
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict
from torch import nn

from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.records import places
from unlearnbench.benchmark.task import Evaluation, RetrainingCost

Toy = registry.tasks.get("toy")
toy = sys.modules[Toy.__module__]


NUMBERS = itertools.count()


class Honest(Toy):
    """The toy's points, as a task should be."""

    name: ClassVar[str] = "honest"
    problem_class: ClassVar[type] = toy.ToyProblem
    lacking: bool = False
    """Whether it lacks its weights."""

    def problem(self, method, seed, device):
        found = super().problem(method, seed, device)
        found.__class__ = self.problem_class
        return found

    def evaluate(self, model, seed, device):
        metrics, gallery = super().evaluate(model, seed, device)
        around = [
            metric.model_copy(update={"ci_low": metric.value - 0.01, "ci_high": metric.value + 0.01})
            for metric in metrics
        ]
        return Evaluation(around, gallery)


class Fault(Honest):
    """What every fault is."""

    caught_by: ClassVar[set[str]]


class Mute(Fault):
    name = "mute"
    caught_by = {"described"}


class OtherTier(Fault):
    """A tier of its own."""

    name = "other-tier"
    tier = "huge"
    caught_by = {"described"}


class NoJson(Fault):
    """A setting that JSON turns into something else."""

    name = "no-json"
    place: Any = Path("here")
    """Where."""
    caught_by = {"settings"}


class Secretive(Fault):
    """A setting without a word on it."""

    name = "secretive"
    shift: int = 1
    caught_by = {"documented"}


class Soft(Fault):
    """Settings that change."""

    name = "soft"
    model_config = ConfigDict(frozen=False)
    caught_by = {"frozen"}


class Terse(Fault):
    """Says what is missing in no sentence and without a command."""

    name = "terse"
    caught_by = {"missing"}

    def missing(self):
        return ["weights"] if places.assets_folder() else []


class Silent(Fault):
    """Says that nothing is missing, and stumbles over it."""

    name = "silent"
    caught_by = {"missing"}

    def assets_sha256(self):
        if places.assets_folder():
            raise BenchmarkError("There are no weights.")
        return super().assets_sha256()


class Dated(Fault):
    """Another hash each time."""

    name = "dated"
    caught_by = {"identity"}

    def assets_sha256(self):
        return str(id(self))


class Blind(Fault):
    """A hash that does not see the settings."""

    name = "blind"
    caught_by = {"counted"}

    def sha256(self):
        return "0" * 64


class FreeDraw(toy.ToyProblem):
    def _draw(self, images):
        return {"noise": torch.full((len(images),), float(next(NUMBERS)))}


class Random(Fault):
    """Draws from elsewhere than the problem's generator."""

    name = "random"
    problem_class = FreeDraw
    caught_by = {"deterministic"}


class Seedless(Fault):
    """Every problem has the same seed."""

    name = "seedless"
    caught_by = {"seeded"}

    def problem(self, method, seed, device):
        return super().problem(method, 0, device)


class MeanLoss(toy.ToyProblem):
    def loss(self, batch, model=None):
        return super().loss(batch, model).mean()


class OneLoss(Fault):
    """A loss for the whole batch."""

    name = "one-loss"
    problem_class = MeanLoss
    caught_by = {"loss"}


class DetachedLoss(toy.ToyProblem):
    def loss(self, batch, model=None):
        return super().loss(batch, model).detach()


class NoGradient(Fault):
    """A loss that nothing can be learned from."""

    name = "no-gradient"
    problem_class = DetachedLoss
    caught_by = {"loss"}


class Restless(toy.ToyProblem):
    def loss(self, batch, model=None):
        return super().loss(batch, model) + torch.rand(())


class TwoLosses(Fault):
    """A loss that draws beside the batch's draw."""

    name = "two-losses"
    problem_class = Restless
    caught_by = {"loss", "weights"}


class Boastful(Fault):
    """Offers an encoder that it has not."""

    name = "boastful"
    offers = toy.ToyProblem.offers | {Need.ENCODER}
    caught_by = {"offers"}


class Welcoming(Fault):
    """Refuses nobody."""

    name = "welcoming"
    caught_by = {"offers"}

    def refusal(self, method):
        return None


class Generous(toy.ToyProblem):
    def require(self, need):
        pass


class OpenDoor(Fault):
    """Gives what was not asked for."""

    name = "open-door"
    problem_class = Generous
    caught_by = {"undeclared"}


class Learning(toy.ToyProblem):
    def warm_up(self):
        with torch.no_grad():
            self.model.weight.add_(1)


class EarlyStart(Fault):
    """Learns while it warms up."""

    name = "early-start"
    problem_class = Learning
    caught_by = {"warm-up"}


class Training(toy.ToyProblem):
    def training_step(self, fresh):
        return super().training_step(lambda: self.model)


class EarlyTraining(Fault):
    """Trains the network itself where a step is to be timed."""

    name = "early-training"
    problem_class = Training
    caught_by = {"warm-up"}


class Drawing(toy.ToyProblem):
    def warm_up(self):
        next(self.batches("forget", 1))


class EarlyDraw(Fault):
    """Takes the first batch away."""

    name = "early-draw"
    problem_class = Drawing
    caught_by = {"warm-up"}


class Leaving(toy.ToyProblem):
    def warm_up(self):
        self.model(torch.zeros(1, toy.DIMENSIONS)).sum().backward()


class LeftGradients(Fault):
    """Leaves gradients to the first step."""

    name = "left-gradients"
    problem_class = Leaving
    caught_by = {"warm-up"}


class Hidden(nn.Linear):
    """Holds a weight that no state dict shows."""

    def forward(self, images):
        if not hasattr(self, "secret"):
            self.secret = torch.rand(())
        return super().forward(images) * self.secret


class HiddenWeight(Fault):
    """A network whose state dict is not all of it."""

    name = "hidden-weight"
    caught_by = {"weights"}

    def problem(self, method, seed, device):
        found = super().problem(method, seed, device)
        found.model.__class__ = Hidden
        return found


class OtherNetwork(Fault):
    """Judges weights in another network than it hands out."""

    name = "other-network"
    caught_by = {"weights"}

    def network(self):
        return nn.Linear(toy.DIMENSIONS, toy.CLASSES, bias=False)


class Moody(Fault):
    """Other numbers each time."""

    name = "moody"
    caught_by = {"repeatable"}

    def evaluate(self, model, seed, device):
        return super().evaluate(model, int(torch.randint(10**6, ())), device)


class Deaf(Fault):
    """The same noise whatever the seed."""

    name = "deaf"
    caught_by = {"noise"}

    def evaluate(self, model, seed, device):
        return super().evaluate(model, 0, device)


class Changed(Fault):
    """Metrics that something is wrong with."""

    name = "changed"
    change: ClassVar[dict[str, Any]] = {"ci_low": None, "ci_high": None}
    caught_by = {"numbers"}

    def evaluate(self, model, seed, device):
        metrics, gallery = super().evaluate(model, seed, device)
        return Evaluation([metrics[0].model_copy(update=self.change), *metrics[1:]], gallery)


class OwnName(Changed):
    """A quantity that its family does not declare, in place of one that the score reads."""

    name = "own-name"
    change = {"name": "forgetfulness"}
    caught_by = {"numbers"}


class OtherWay(Changed):
    """A quantity of which more is better, which the family says is to be matched."""

    name = "other-way"
    change = {"direction": "max"}
    caught_by = {"numbers"}


class Outside(Changed):
    """A number outside of its interval."""

    name = "outside"
    change = {"ci_low": 2.0, "ci_high": 3.0}
    caught_by = {"numbers"}


class Meddling(Fault):
    """Edits what it judges."""

    name = "meddling"
    caught_by = {"judging", "repeatable"}

    def evaluate(self, model, seed, device):
        with torch.no_grad():
            model.weight.mul_(0.5).add_(torch.rand(model.weight.shape))
        return super().evaluate(model, seed, device)


class SameOracle(Fault):
    """An oracle that knows what is to be forgotten."""

    name = "same-oracle"
    caught_by = {"tells"}

    def problem(self, method, seed, device):
        found = super().problem(method, seed, device)
        found._oracle = lambda: toy.trained([0, 1, 2])
        return found


class Free(Fault):
    """Retraining that takes nothing."""

    name = "free"
    caught_by = {"cost"}

    def retraining_cost(self, seed):
        return RetrainingCost(1.0, "elsewhere", 0, 600)


class Broken(Fault):
    """Raises where it should judge."""

    name = "broken"
    caught_by = {"repeatable"}

    def evaluate(self, model, seed, device):
        raise ValueError("no judge today")
