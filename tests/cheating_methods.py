"""Methods that break the contract, each with the checks that must catch it. A test writes each into a file of its own."""

import contextlib
import gc
import importlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import field_validator
from safetensors import safe_open
from torch.nn.utils import parametrizations
from torch.optim import Adam

import unlearnbench
from unlearnbench.benchmark import seeds
from unlearnbench.benchmark.measuring import clock
from unlearnbench.benchmark.method import Method
from unlearnbench.benchmark.needs import Need
from unlearnbench.benchmark.primitives import descend
from unlearnbench.benchmark.problem import Problem
from unlearnbench.benchmark.records.assets import AssetFolder


class Honest(Method):
    """Climbs, and talks: prints to where the harness's own words might go."""

    name = "x-honest"
    caught_by: ClassVar = set()
    steps: int = 2
    """Steps."""

    def unlearn(self, problem):
        optimizer = Adam(problem.parameters(), lr=1e-3)
        for forget in problem.batches("forget", self.steps):
            print('{"error": "not the harness"}')  # noqa: T201
            os.write(1, b"}{ not JSON\n")
            descend(optimizer, -problem.loss(forget).mean())


class OracleFile(Honest):
    """Takes the oracle's weights out of the file that ships with the suite."""

    name = "x-oracle-file"
    caught_by: ClassVar = {"files-read", "budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        path = Path(unlearnbench.__file__).parent / "tasks" / "assets" / "digits-ddpm" / "oracle-3-0.safetensors"
        with safe_open(path, framework="pt") as file:
            weights = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
        problem.parameters()[0].data.view(-1)[0] = weights[0].view(-1)[0]


class OracleByName(Method):
    """Takes the oracle from the problem, under a name that its text does not show."""

    name = "x-oracle-by-name"
    caught_by: ClassVar = {"private", "not-the-oracle"}

    def unlearn(self, problem):
        problem.model.load_state_dict(getattr(problem, "_" + "oracle")().state_dict())


class OracleThroughTheTask(Honest):
    """Asks the task for its assets, behind the back of whoever reads its imports."""

    name = "x-oracle-through-task"
    caught_by: ClassVar = {"private", "files-read"}

    def unlearn(self, problem):
        super().unlearn(problem)
        importlib.import_module("unlearnbench.tasks.digits_vae").DigitsVAE().assets_sha256()


class Judge(Honest):
    """Reads a judge, to learn what it looks for."""

    name = "x-judge"
    caught_by: ClassVar = {"files-read", "source"}

    def unlearn(self, problem):
        super().unlearn(problem)
        shipped = Path(unlearnbench.__file__).parent / "tasks" / "assets" / "digits-ddpm"
        AssetFolder("digits-ddpm", shipped).load("judge-resnet.safetensors")


class Seeds(Honest):
    """Sets the seed of everything that draws without a generator."""

    name = "x-seeds"
    caught_by: ClassVar = {"process-state"}

    def unlearn(self, problem):
        torch.manual_seed(7)
        super().unlearn(problem)


class SamplersSeed(Honest):
    """Has every judge sample with the seed of its choice."""

    name = "x-samplers-seed"
    caught_by: ClassVar = {"shared-code", "source"}

    def unlearn(self, problem):
        seeds.derive_seed = lambda *parts: 7
        super().unlearn(problem)


class SamplersGenerator(Honest):
    """Has every judge sample from a generator of its choice."""

    name = "x-samplers-generator"
    caught_by: ClassVar = {"shared-code"}

    def unlearn(self, problem):
        given = torch.Generator
        torch.Generator = lambda *options: given().manual_seed(7)
        super().unlearn(problem)


class ProblemsSeed(Honest):
    """Chooses its own batches by setting the problem's seed."""

    name = "x-problems-seed"
    caught_by: ClassVar = {"private", "process-state", "source"}

    def unlearn(self, problem):
        problem._generator.manual_seed(7)
        super().unlearn(problem)


class Kernels(Honest):
    """Lets kernels add up in any order."""

    name = "x-kernels"
    caught_by: ClassVar = {"process-state"}

    def unlearn(self, problem):
        torch.use_deterministic_algorithms(False)
        super().unlearn(problem)


class Clock(Honest):
    """Stops Python's clock."""

    name = "x-clock"
    caught_by: ClassVar = {"shared-code"}

    def unlearn(self, problem):
        time.perf_counter = lambda: 0.0
        super().unlearn(problem)


class HarnessClock(Honest):
    """Stops the harness's clock."""

    name = "x-harness-clock"
    caught_by: ClassVar = {"shared-code", "source"}

    def unlearn(self, problem):
        clock.perf_counter_ns = lambda: 0
        super().unlearn(problem)


class ClockInside(Honest):
    """Stops the harness's clock from the inside: the function stays, its code does not."""

    name = "x-clock-inside"
    caught_by: ClassVar = {"shared-code", "source"}

    def unlearn(self, problem):
        clock.HostClock.mark.__code__ = (lambda self: 0).__code__
        super().unlearn(problem)


class Loss(Honest):
    """Replaces the loss for everybody."""

    name = "x-loss"
    caught_by: ClassVar = {"shared-code"}

    def unlearn(self, problem):
        super().unlearn(problem)
        Problem.retire = lambda self: None


class SharedModel(Honest):
    """Edits the frozen copy that teachers are made of."""

    name = "x-shared-model"
    caught_by: ClassVar = {"shared-models"}

    def unlearn(self, problem):
        with torch.no_grad():
            for weight in problem.original.parameters():
                weight.zero_()
        super().unlearn(problem)


class BaseModel(Honest):
    """Looks through the process for the model that everybody's copies are made from, and edits it."""

    name = "x-base-model"
    caught_by: ClassVar = {"shared-models", "source"}

    def unlearn(self, problem):
        super().unlearn(problem)
        for found in gc.get_objects():
            if type(found) is type(problem.model) and found is not problem.model:
                found.decoder.weight.data.zero_()


class TrainingData(Honest):
    """Writes to the batches that are views of the data."""

    name = "x-training-data"
    caught_by: ClassVar = {"data-untouched"}

    def unlearn(self, problem):
        for batch in problem.epoch("forget"):
            batch.images.zero_()
        super().unlearn(problem)


class EvaluationData(Honest):
    """Writes to the data that models are judged on."""

    name = "x-evaluation-data"
    caught_by: ClassVar = {"data-untouched"}

    def unlearn(self, problem):
        super().unlearn(problem)
        sys.modules["unlearnbench.benchmark.checking.toy"].images_of("evaluation").images.zero_()


class Network(Honest):
    """Asks somebody else."""

    name = "x-network"
    caught_by: ClassVar = {"network"}

    def unlearn(self, problem):
        super().unlearn(problem)
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=1)


class Process(Honest):
    """Has another process work on."""

    name = "x-process"
    caught_by: ClassVar = {"processes"}

    def unlearn(self, problem):
        super().unlearn(problem)
        with contextlib.suppress(PermissionError):
            subprocess.Popen(["sleep", "60"])


class Fork(Honest):
    """Leaves a child behind."""

    name = "x-fork"
    caught_by: ClassVar = {"processes"}

    def unlearn(self, problem):
        super().unlearn(problem)
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except PermissionError:
            pass


class Thread(Honest):
    """Goes on in a thread, when the clock has stopped."""

    name = "x-thread"
    caught_by: ClassVar = {"processes"}

    def unlearn(self, problem):
        super().unlearn(problem)
        threading.Thread(target=time.sleep, args=(60,), daemon=True, name="goes on").start()


class FreeSteps(Honest):
    """Trains in passes over the set, which are not counted as steps, before it takes those that are."""

    name = "x-free-steps"
    caught_by: ClassVar = {"budget"}

    def unlearn(self, problem):
        optimizer = Adam(problem.parameters(), lr=1e-3)
        for forget in problem.epoch("forget"):
            descend(optimizer, -problem.loss(forget).mean())
        super().unlearn(problem)


class FreeUpdates(Honest):
    """Goes on by hand, without an optimizer, after the last counted step."""

    name = "x-free-updates"
    caught_by: ClassVar = {"budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        for forget in problem.epoch("forget"):
            weights = problem.parameters()
            for weight, slope in zip(weights, torch.autograd.grad(problem.loss(forget).mean(), weights), strict=True):
                weight.data.add_(slope, alpha=1e-3)


class Average(Honest):
    """Ends at an average of weights: no cheat, and worth a note."""

    name = "x-average"
    caught_by: ClassVar = {"budget"}

    def unlearn(self, problem):
        start = problem.original.state_dict()
        super().unlearn(problem)
        average = {key: (value + start[key]) / 2 for key, value in problem.model.state_dict().items()}
        problem.model.load_state_dict(average)


class MoreSteps(Honest):
    """Takes more steps than it was given."""

    name = "x-more-steps"
    caught_by: ClassVar = {"budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        super().unlearn(problem)


class Meter(Honest):
    """Turns the counter back."""

    name = "x-meter"
    caught_by: ClassVar = {"private", "source", "budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        super().unlearn(problem)
        problem.meter.steps = self.steps


class BatchSize(Honest):
    """Takes larger batches than the task gives."""

    name = "x-batch-size"
    caught_by: ClassVar = {"private"}

    def unlearn(self, problem):
        problem.batch_size = 40
        super().unlearn(problem)


class Undeclared(Method):
    """Uses another label's prediction without saying so."""

    name = "x-undeclared"
    caught_by: ClassVar = {"needs", "runs"}

    def unlearn(self, problem):
        for forget in problem.batches("forget", 1):
            problem.predict(forget, labels=forget.labels + 1)


class PrivatePool(Method):
    """Reads the retain set without saying so, through the back door."""

    name = "x-private-pool"
    caught_by: ClassVar = {"private", "source"}

    def unlearn(self, problem):
        images, labels = next(problem._pools["retain"].ordered(8))
        for _ in problem.own_steps(1):
            descend(Adam(problem.parameters()), problem.loss(problem.batch(images, labels)).mean())


class Continues(Honest):
    """Saves weights as it goes, and takes all its steps again from where it was killed."""

    name = "x-continues"
    caught_by: ClassVar = {"resume"}
    forked: ClassVar = False

    def unlearn(self, problem):
        saved = Path("weights.pt")
        if saved.is_file():
            problem.model.load_state_dict(torch.load(saved, weights_only=True))
        optimizer = Adam(problem.parameters(), lr=1e-3)
        for forget in problem.batches("forget", self.steps):
            descend(optimizer, -problem.loss(forget).mean())
            torch.save(problem.model.state_dict(), saved)


class Litter(Honest):
    """Leaves a file where others may find it."""

    name = "x-litter"
    caught_by: ClassVar = {"files-written"}

    def unlearn(self, problem):
        super().unlearn(problem)
        litter = Path("..") / "litter"
        litter.write_text("")
        litter.unlink()


class Chance(Honest):
    """Draws from the system's randomness."""

    name = "x-chance"
    caught_by: ClassVar = {"deterministic"}
    forked: ClassVar = False

    def unlearn(self, problem):
        optimizer = Adam(problem.parameters(), lr=random.SystemRandom().random())
        for forget in problem.batches("forget", self.steps):
            descend(optimizer, -problem.loss(forget).mean())


class Nothing(Method):
    """Does nothing and calls it unlearning."""

    name = "x-nothing"
    caught_by: ClassVar = {"weights-changed"}

    def unlearn(self, problem):
        pass


class NotFinite(Method):
    """Leaves a weight that is not a number."""

    name = "x-not-finite"
    caught_by: ClassVar = {"finite"}

    def unlearn(self, problem):
        with torch.no_grad():
            problem.parameters()[0][0] = float("nan")


class Wrapped(Honest):
    """Assigns another module, which answers in place of the network."""

    name = "x-wrapped"
    caught_by: ClassVar = {"weights-alone"}

    def unlearn(self, problem):
        super().unlearn(problem)
        problem.model = torch.nn.Sequential(problem.model)


class Attached(Honest):
    """Puts a module of its own inside the network."""

    name = "x-attached"
    caught_by: ClassVar = {"weights-alone"}

    def unlearn(self, problem):
        super().unlearn(problem)
        problem.model.gate = torch.nn.Sequential(torch.nn.Linear(2, 2))


class Swapped(Method):
    """Shows another module while it trains the network outside of counted steps."""

    name = "x-swapped"
    caught_by: ClassVar = {"weights-alone", "budget"}
    steps: int = 2
    """Steps."""

    def unlearn(self, problem):
        network, optimizer = problem.model, Adam(problem.parameters(), lr=1e-3)
        problem.model = torch.nn.Linear(1, 1)
        for _ in problem.own_steps(self.steps):
            pass
        for forget in problem.epoch("forget"):
            descend(optimizer, -problem.loss(forget, network).mean())


class OnlyWrapped(Method):
    """Changes no weight, and has a module of its own answer."""

    name = "x-only-wrapped"
    caught_by: ClassVar = {"weights-alone", "weights-changed"}

    def unlearn(self, problem):
        problem.model = torch.nn.Sequential(problem.model)


class Parametrized(Honest):
    """Leaves weights that are computed from others, which no other network has."""

    name = "x-parametrized"
    caught_by: ClassVar = {"layout", "weights-alone", "budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        parametrizations.weight_norm(problem.model.decoder)


class Halved(Honest):
    """Leaves half precision, which is faster to judge."""

    name = "x-halved"
    caught_by: ClassVar = {"layout", "budget"}

    def unlearn(self, problem):
        super().unlearn(problem)
        problem.model = problem.model.half()


class Settings(Honest):
    """Does not write down what it ran with."""

    name = "x-settings"
    caught_by: ClassVar = {"settings"}
    rate: float = 1.0
    """A rate."""

    @field_validator("rate", mode="after")
    @classmethod
    def _doubled(cls, value: float) -> float:
        return 2 * value


class Quits(Honest):
    """Ends its process, so that nobody looks at what it left."""

    name = "x-quits"
    caught_by: ClassVar = {"runs"}

    def unlearn(self, problem):
        os._exit(0)


class Endless(Honest):
    """Does not end."""

    name = "x-endless"
    caught_by: ClassVar = {"runs"}
    forked: ClassVar = False

    def unlearn(self, problem):
        time.sleep(600)


class Frames(Honest):
    """Looks into the variables of whoever called it."""

    name = "x-frames"
    caught_by: ClassVar = {"source"}

    def unlearn(self, problem):
        super().unlearn(problem)
        sys._getframe(1).f_locals.clear()


class Unneeded(Honest):
    """Declares more than it uses, and is refused where it could run."""

    name = "x-unneeded"
    needs = frozenset({Need.ENCODER})
    caught_by: ClassVar = {"needs"}
