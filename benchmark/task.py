"""What a task is: base model, data, request, evaluation protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

from . import origin
from .command_line import command
from .errors import BenchmarkError
from .family import Family
from .method import Method
from .needs import Need
from .records.files import canonical_sha256
from .records.record import Gallery, Metric
from .search_space import MOST_STEPS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .problem import Problem

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Evaluation(NamedTuple):
    """What the judges found."""

    metrics: list[Metric]
    gallery: Gallery | None


class RetrainingCost(NamedTuple):
    """What the oracle took to make."""

    seconds: float
    device: str
    """The group of the device that it was measured on; the cost is shown only beside the same."""
    steps: int
    """Training steps."""
    samples: int
    """Samples that they used."""


class Task(BaseModel, ABC):
    """A standardized problem. Its fields are the configuration that ``--set`` reaches; the rest is fixed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    name: ClassVar[str]
    """The registered name. A built-in's is its file's."""
    family: ClassVar[Family]
    """What is measured, and how runs are scored."""
    tier: ClassVar[Literal["embedded", "mid", "paper"]]
    """What it takes to run: nothing, one GPU for an hour, or GPUs and the hub."""
    version: ClassVar[int] = 1
    """Raised when the protocol changes, so that older numbers are never compared with newer."""
    offers: ClassVar[frozenset[Need]] = frozenset()
    """The needs that its problems meet."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules of libraries that runs import late, beside those of the classes that it extends: a process that runs are forked
    from imports them once for all. Those that a plugin names are left to its runs."""
    request_settings: ClassVar[frozenset[str]] = frozenset()
    """Settings that say what is forgotten."""
    standard_requests: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """What a board's rows are the mean over: values of ``request_settings``, one dictionary a request."""
    tuning_requests: ClassVar[tuple[dict[str, Any], ...]] = ()
    """What methods are tuned on: requests that no board uses."""
    most_steps: ClassVar[int] = MOST_STEPS
    """What a search tries at most: more where a quarter of retraining lasts far longer, fewer where a step takes a second."""
    run_seconds: ClassVar[float] = 1800.0
    """What a run may take, its evaluation included, unless the user says otherwise: several times what it takes on the kind of
    machine that the task is for. A task on which that depends on its settings has a property in its place."""
    path_settings: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where files lie: what the files hold counts in ``sha256``, through the assets, and not the place."""

    @abstractmethod
    def missing(self) -> list[str]:
        """Returns what has to be there before the task can run, one sentence each with the way to get it."""

    def missing_oracles(self) -> list[str]:
        """Returns what has to be there besides before an oracle itself can run, one sentence each: by default nothing.

        The numbers of oracles suffice for all else, and may ship without their weights.
        """
        return []

    def fetched(self) -> list[str]:
        """Returns what a run fetches from elsewhere, since no folder here holds it: by default nothing."""
        return []

    @abstractmethod
    def prepare(self, progress: Progress) -> Path:
        """Makes what is lacking of base model, oracles and judges, and returns the folder that it went to."""

    def within(self, minutes: float) -> Self:
        """Returns the task with ``prepare`` limited to a span of time, into which training is fitted.

        Raises:
            BenchmarkError: It trains nothing whose length could be chosen.
        """
        raise BenchmarkError(f"What '{self.name}' takes to prepare cannot be fitted into a time; leave --minutes out.")

    @abstractmethod
    def assets_sha256(self) -> str:
        """Returns the hash of all that the task is made of besides its configuration: data, base, oracles, judges."""

    def shared_assets_sha256(self) -> str:
        """Returns the hash of what of that does not depend on the request: by default all of it."""
        return self.assets_sha256()

    @abstractmethod
    def evaluation_protocol(self) -> dict[str, Any]:
        """Returns how models are evaluated: sampler, sample counts, judges."""

    def shared_protocol(self) -> dict[str, Any]:
        """Returns what of that does not depend on the request: by default all of it."""
        return self.evaluation_protocol()

    @abstractmethod
    def problem(self, method: Method, seed: int, device: torch.device) -> Problem:
        """Returns what a method is given."""

    @abstractmethod
    def network(self) -> nn.Module:
        """Returns a network of the task's own making, on the CPU, for weights to be loaded into."""

    @abstractmethod
    def evaluate(self, model: nn.Module, seed: int, device: torch.device) -> Evaluation:
        """Judges weights. All that are judged with the same seed are sampled from the same noise.

        It runs in a process where no code of a method was loaded, and knows of no method: an oracle is told by its weights, and
        compared with the other oracles only.

        Args:
            model: A fresh network with the weights, in evaluation mode.
            seed: The run's seed.
            device: Where the model is.
        """

    def retrace(self, method: Method, seed: int, device: torch.device) -> list[Metric]:
        """Returns what is measured on the way, by having the method unlearn once more, untimed: by default nothing.

        Such numbers are the run's and not the weights', and enter no score.
        """
        return []

    @abstractmethod
    def retraining_cost(self, seed: int) -> RetrainingCost:
        """Returns what making the oracle of a seed took."""

    def sha256(self) -> str:
        """Returns the hash of everything that the task's numbers depend on."""
        return self._identity(self.path_settings, self.evaluation_protocol(), self.assets_sha256())

    def shared_sha256(self) -> str:
        """Returns the same hash of all that the task's requests share: runs on those that do stand on one board."""
        without = self.path_settings | self.request_of().keys()
        return self._identity(without, self.shared_protocol(), self.shared_assets_sha256())

    def _identity(self, without: frozenset[str], protocol: dict[str, Any], assets: str) -> str:
        identity = {
            "name": self.name,
            "version": self.version,
            "config": self.model_dump(mode="json", exclude=set(without)),
            "protocol": protocol,
            "assets": assets,
        }
        if not origin.is_builtin(type(self)):
            # The suite's own tasks raise their version; of another's author that is too much to hope for.
            identity["source"] = self.source_sha256()
        return canonical_sha256(identity)

    def source_sha256(self) -> str:
        """Returns the hash of the files that define the task and what it extends; a plugin's, of those outside the suite."""
        return origin.source_sha256(type(self), Task, suite=origin.is_builtin(type(self)))

    def prepare_command(self, settings: Collection[str] | None = None) -> str:
        """Returns the command that makes what this configuration lacks.

        Args:
            settings: Those that it depends on; by default all.
        """
        changed = self.model_dump(
            mode="json", include=None if settings is None else set(settings), exclude_defaults=True
        )
        return command("prepare", self.name, settings=changed, plugins=origin.plugin_files(type(self)))

    def brief(self) -> Self:
        """Returns the same task judged on few samples, for a check of it; its numbers mean nothing beside the task's own."""
        return self

    def short(self) -> Self:
        """Returns the same task with a short evaluation, for the trials of a search.

        It measures all that the first of the family's tracks scores, on fewer samples, and compares with no oracle: what the
        oracles reached is known by their records. By default the evaluation is the task's own.
        """
        return self

    def request_of(self) -> dict[str, Any]:
        """Returns the settings that say what is forgotten, with their values."""
        return self.model_dump(mode="json", include=set(self.request_settings))

    def refusal(self, method: type[Method]) -> str | None:
        """Returns why a method cannot run on this task, or None if it can."""
        lacking = sorted(need.value for need in method.needs - self.offers)
        if not lacking:
            return None
        return f"The method '{method.name}' needs {' and '.join(lacking)}, which the task '{self.name}' does not have."
