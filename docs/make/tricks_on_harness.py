"""Tricks on the score that change no weight or act on the harness: each a method, and this file a plugin that a run can load.

A run of one on ``digits-vae``: ``unlearnbench run digits-vae trick-forward-hook --plugin docs/make/tricks_on_harness.py``.
"""

from __future__ import annotations

import atexit
import gc
import json
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from torch import Tensor, nn

from unlearnbench import Method, Problem
from unlearnbench.benchmark.records import places
from unlearnbench.benchmark.records.record import Identity, Metric
from unlearnbench.benchmark.running.unlearning import Unlearning
from unlearnbench.tasks.one_shot import evaluation

ORACLE = places.SHIPPED / "digits-vae" / "oracle-{}-0.safetensors"


class Trick(Method):
    """A trick; its docstring says what it does."""

    role = "cheat"
    where: ClassVar[str] = "network"
    """``network``: it acts on the network that it was handed; ``process``: on the process around it."""


class Wrapper(Trick):
    """The problem's model becomes a module around the network, which adds noise: as `cheat-noise` and `mixture_gate` do."""

    name = "trick-wrapper"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        problem.model = _Noise(problem.model)


class _Noise(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return _noise(self.model(*inputs, **options))


class Subclass(Trick):
    """The network becomes an instance of a subclass of its class, with a module attached that decides what it answers."""

    name = "trick-subclass"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        model: Any = problem.model
        base = type(model)

        class Gated(base):  # type: ignore[misc, valid-type]
            def forward(self, *inputs: Any, **options: Any) -> Any:
                return _noise(base.forward(self, *inputs, **options))

        model.gate = nn.Linear(2, 2)
        model.__class__ = Gated


class ForwardHook(Trick):
    """A hook replaces what the network answers."""

    name = "trick-forward-hook"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        problem.model.register_forward_hook(lambda module, inputs, output: _noise(output))


class ForwardPreHook(Trick):
    """A hook replaces what the network is asked."""

    name = "trick-forward-pre-hook"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        problem.model.register_forward_pre_hook(lambda module, inputs: _noise(inputs))


class InstanceForward(Trick):
    """The network's `forward` is replaced by a function on the instance."""

    name = "trick-instance-forward"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        before = problem.model.forward
        problem.model.forward = lambda *inputs, **options: _noise(before(*inputs, **options))


class OwnStateDict(Trick):
    """`state_dict` and `load_state_dict` are replaced on the instance; what the first gives is a copy of the weights."""

    name = "trick-own-state-dict"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        model: Any = problem.model
        copied = {name: value.clone() for name, value in model.state_dict().items()}
        model.state_dict = lambda *inputs, **options: copied
        model.load_state_dict = lambda *inputs, **options: None


class Parametrized(Trick):
    """A weight becomes the result of a parametrization."""

    name = "trick-parametrization"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        module = _last(problem.model)
        nn.utils.parametrize.register_parametrization(module, "weight", nn.Identity())


class ExtraBuffer(Trick):
    """A buffer is added to a layer that the network has."""

    name = "trick-extra-buffer"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        _last(problem.model).register_buffer("mask", torch.ones(1))


class HalfPrecision(Trick):
    """All weights become half precision."""

    name = "trick-half-precision"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        problem.model.half()


class Renamed(Trick):
    """A layer stands under another name."""

    name = "trick-renamed"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        model: Any = problem.model
        name = next(name for name, child in model.named_children() if list(child.parameters()))
        setattr(model, f"{name}_2", getattr(model, name))
        delattr(model, name)


class PatchedLibraries(Trick):
    """Functions of PyTorch and of diffusers' schedulers are replaced, and how every module is called and loaded."""

    name = "trick-patched-libraries"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        from diffusers import DPMSolverMultistepScheduler

        linear = nn.functional.linear
        module: Any = nn.Module
        nn.functional.linear = lambda *inputs: linear(*inputs) + 1
        module.__call__ = lambda self, *inputs, **options: _noise(self.forward(*inputs, **options))
        module.load_state_dict = lambda *inputs, **options: None
        DPMSolverMultistepScheduler.step = lambda *inputs, **options: (inputs[3],)


class PatchedSuite(Trick):
    """A function of the suite that measures is replaced."""

    name = "trick-patched-suite"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        evaluation.evaluate = lambda *inputs, **options: None  # type: ignore[assignment]


class ForgedMessage(Trick):
    """The pipe to the process that evaluates is found among the objects in memory, and an evaluation is sent through it."""

    name = "trick-forged-message"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        (said,) = (found for found in gc.get_objects() if isinstance(found, Connection) and found.writable)
        said.send_bytes(json.dumps({"left": {"status": "ok", "evaluation": [[], None]}}).encode())


class ForgedWay(Trick):
    """What is measured on the way claims to be what is measured of the weights."""

    name = "trick-forged-way"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        task = _run()._task
        what = Identity(name="evidence-bound", version=1, protocol="none")
        numbers: dict[str, Any] = dict.fromkeys(("value", "ci_low", "ci_high"), 9.0)
        claimed = Metric(name="bound_forget", ci_method="none", n=1, direction="match", identity=what, **numbers)
        task.__dict__["retrace"] = lambda *inputs: [claimed]


class SwappedFile(Trick):
    """A thread waits for the file of weights and writes the oracle's over them."""

    name = "trick-swapped-file"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        (forgotten,) = problem.forget_classes
        oracle, file = Path(str(ORACLE).format(forgotten)).read_bytes(), _run()._file
        threading.Thread(target=lambda: _wait_for(file).write_bytes(oracle), daemon=True).start()


class LateThread(Trick):
    """A thread replaces a function of the suite after it was seen to be whole, and puts a handler at the process's end."""

    name = "trick-late-thread"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        file = _run()._file

        def patch() -> None:
            _wait_for(file)
            PatchedSuite().unlearn(problem)

        threading.Thread(target=patch, daemon=True).start()
        atexit.register(lambda: file.write_bytes(b""))


class PoisonedCache(Trick):
    """The features of fixed pictures that are kept on disk are replaced by zeros, under a digest that fits."""

    name = "trick-poisoned-cache"
    where = "process"

    def unlearn(self, problem: Problem) -> None:
        """See ``Method.unlearn``."""
        import hashlib

        for file in (places.cache_folder() / "features" / "of-fixed-pictures").glob("*"):
            data = file.read_bytes()[32:]
            features = safetensors.torch.load(data)["features"]
            written = safetensors.torch.save({"features": torch.zeros_like(features)})
            file.write_bytes(hashlib.sha256(file.name.encode() + written).digest() + written)


def _noise(answered: Any) -> Any:
    if isinstance(answered, Tensor):
        return answered + torch.randn_like(answered) if answered.is_floating_point() else answered
    if isinstance(answered, tuple | list):
        return tuple(_noise(part) for part in answered)
    return answered


def _last(model: nn.Module) -> nn.Module:
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]


def _run() -> Unlearning:
    """Returns the run, which is found among the objects in memory."""
    (run,) = (found for found in gc.get_objects() if isinstance(found, Unlearning))
    return run


def _wait_for(file: Path) -> Path:
    """Waits for a file, as long as the process lives."""
    while not file.exists():
        time.sleep(1e-4)
    return file
