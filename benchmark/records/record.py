"""The record: the one JSON file that a run leaves. Nothing here needs PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..command_line import command
from ..errors import BenchmarkError
from .migration import read_earlier

SCHEMA_VERSION = 2
"""Raised when a field changes its meaning, is renamed or removed. Earlier versions are read through ``migration``."""

MAX_RECORD_BYTES = 4 * 2**20
"""A larger file is not a record: the largest that the embedded tasks write is under 100 kB."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MAX_NAME = 64
NAME_PATTERN = rf"^[a-z0-9][a-z0-9.-]{{0,{MAX_NAME - 1}}}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Config = dict[str, Any]
FILE = "file"
"""The distribution of what comes from a plugin file."""
WEIGHTS = "weights"
"""The distribution of weights that were made elsewhere and evaluated as a file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class Status(StrEnum):
    """How a run ended. Every end leaves a record."""

    OK = "ok"
    FAILED = "failed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"


class Identity(_Part):
    """What a number was measured with. Numbers whose identities differ are never compared."""

    name: Name
    """What computed it, such as ``frechet-distance``: a stable name, which stays when the code moves."""
    version: Annotated[int, Field(ge=1)]
    """The version of that computation; raised when the same input gives another number."""
    protocol: str
    """Where the samples come from: solver, steps, guidance, rounding; or the noise levels of a prediction."""
    weights_sha256: Sha256 | None = None
    """The judge's weights, for a number that a judge takes part in."""
    reference_sha256: Sha256 | None = None
    """The data that the number is measured against."""


class Metric(_Part):
    """One number with its 95 % interval, its sample count and its identity."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    """What is measured, such as ``forget_accuracy``."""
    value: Finite | None
    """The number, or null where it is not defined."""
    ci_low: Finite | None
    """The interval's lower end; null where no interval is defined."""
    ci_high: Finite | None
    """The interval's upper end."""
    ci_method: Literal["wilson", "jackknife", "bootstrap", "student", "none"]
    """How the interval was computed."""
    n: Annotated[int, Field(ge=0)]
    """How many samples the number was computed from."""
    direction: Literal["max", "min", "match", "info"]
    """Whether more is better, less is better, or closer to the oracle; ``info`` does not enter any ranking."""
    judge: Name | None = None
    """The judge that scored the samples."""
    label: int | None = None
    """The class that a per-class number belongs to."""
    curve: list[tuple[int, Finite]] | None = None
    """What an attack reached after so many of its steps, for a number that is its end."""
    identity: Identity
    """What the number was measured with."""


class Weights(_Part):
    """What was judged: weights alone, loaded into a fresh network."""

    sha256: Sha256
    """Of the weights as a safetensors file."""
    left_behind: list[str] = []
    """Modules that the method attached to the network, and ``problem.model`` if it put another in its place: not judged."""


class Gallery(_Part):
    """A sheet of samples: one row a class, drawn from the same noise by every method of the same seed."""

    png_base64: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=2**20)]
    """The sheet as a PNG picture in base64."""
    rows: list[str]
    """What each row shows, from top to bottom."""
    columns: int
    """Samples in a row."""
    tile: int
    """A sample's width and height in pixels."""


class Phase(_Part):
    """A stretch of a run."""

    name: Literal["load", "warmup", "unlearn", "evaluate"]
    """Which stretch."""
    timed: bool
    """Whether it counts as the method's cost: everything that touches forget or retain data does."""
    clock: Literal["host", "cuda-event", "prepared"]
    """``host``: the host's monotonic clock between two synchronizations. ``cuda-event``: the device's own. ``prepared``:
    measured when the task's assets were made, for the oracle, whose cost is that of retraining."""
    seconds: list[Finite]
    """Raw samples."""


class Cost(_Part):
    """What a run took. Compared only within one device."""

    unlearn_seconds: Finite | None
    """The timed phases, added up."""
    phases: list[Phase]
    """Every phase with its raw samples."""
    step_seconds: list[Finite]
    """The time of each step inside the unlearning phase."""
    steps: int
    """Steps that the method took."""
    forward_passes: int
    """Calls of the model, its frozen copies included, while unlearning."""
    forward_samples: int
    """Samples that those calls carried."""
    backward_passes: int
    """Gradients that flowed into the model's outputs."""
    forget_samples: int
    """Samples of the forget set handed to the method, repetitions counted."""
    retain_samples: int
    """Samples of the retain set handed to the method, repetitions counted."""
    peak_process_bytes: int | None
    """The process's largest resident size while unlearning."""
    peak_device_bytes: int | None
    """The CUDA allocator's largest size while unlearning; null without a GPU."""
    energy_joules: Finite | None
    """The GPU's energy counter (NVML) while unlearning; null without one or for phases under 2 s."""
    backward_samples: int | None = None
    """Samples that gradients flowed into; null in records of earlier releases."""
    cpu_seconds: Finite | None = None
    """What the process took of the processor in the timed phases; null in records of earlier releases."""
    reference_step_seconds: list[Finite] = []
    """Times of single training steps of the model, taken by the same process just before and just after the timed phases: the
    unit that seconds are shown in."""


class Device(_Part):
    """What the run ran on. Time and memory are compared only between equal devices."""

    kind: Literal["cpu", "cuda"]
    """Where the model was."""
    name: str
    """The processor's or the GPU's model."""
    threads: int
    """PyTorch's threads for one operation."""
    driver: str | None = None
    """The GPU driver's major version."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of matrix products."""

    @property
    def group(self) -> str:
        """One line that is equal for equal devices."""
        parts = [self.kind, self.name, f"{self.threads} thread{'s' * (self.threads != 1)}", self.precision]
        return " · ".join(parts + ([f"driver {self.driver}"] if self.driver else []))


class TaskInfo(_Part):
    """The task that was run."""

    name: Name
    """The registered name."""
    family: Name
    """The task family, which decides how runs are scored."""
    version: int
    """The protocol's version."""
    sha256: Sha256
    """Of the resolved configuration, the data and every asset; of a task from elsewhere than the suite, its source, too."""
    source_sha256: Sha256 | None
    """Of the files that define it and what it extends, for a task from elsewhere without the suite's files; null in records
    of the first schema."""
    distribution: str
    """The package and version that it came from, or ``file``."""
    config: Config
    """The resolved configuration."""
    config_passed: Config
    """What the user set."""
    request: Config | None = None
    """Those settings of the configuration that say what is forgotten; null in records of earlier releases."""
    shared_sha256: Sha256 | None = None
    """The hash of all that the task's requests share: configuration, protocol, base model, judges and data. Runs on requests
    that share it stand on one board. Null in records of earlier releases."""

    def run_command(self, method: str, seeds: Sequence[int] = ()) -> str:
        """Returns the command that runs one of the suite's methods on this task; FILE stands for a plugin's file."""
        plugins = ["FILE"] if self.distribution == FILE else []
        return command("run", self.name, method, seeds=seeds, settings=self.config_passed, plugins=plugins)


class MethodInfo(_Part):
    """The method that was run."""

    name: Name
    """The registered name."""
    role: Literal["method", "reference", "cheat"]
    """Reference and cheat rows frame the board."""
    source_sha256: Sha256
    """Of the file that defines it; of weights that were made elsewhere, of their file."""
    distribution: str
    """The package and version that it came from, ``file``, or ``weights``."""
    config: Config
    """The resolved configuration."""
    config_passed: Config
    """What the user set."""
    settings_from: Literal["tuned", "paper", "set"] | None = None
    """``tuned`` by a search on requests of no board, the ``paper``'s defaults, or ``set`` by hand; null in earlier records."""
    trials: int | None = None
    """Trials of that search."""


class Provenance(_Part):
    """Where the numbers come from. No host name, no user name, no paths."""

    suite_version: str
    """The release of this package."""
    git_commit: str | None
    """The suite's own commit when it runs from a clone."""
    git_dirty: bool | None
    """Whether that clone held uncommitted changes."""
    python: str
    """Its version."""
    system: str
    """Operating system and architecture."""
    packages: dict[str, str]
    """Versions of the packages that the numbers depend on."""
    cores: int
    """Of the machine."""
    memory_bytes: int
    """Of the machine."""


class Record(_Part):
    """One run: one method on one task with one seed."""

    schema_version: Literal[2] = 2
    """The version of this schema."""
    run_id: Sha256
    """The hash of what decides the outcome: task, method, their configurations and sources, seed, device."""
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    """When the run ended, UTC; never earlier than another record of its task and method in its folder."""
    task: TaskInfo
    """What was run on."""
    method: MethodInfo
    """What was run."""
    seed: Annotated[int, Field(ge=0)]
    """Of everything that is random in the run."""
    status: Status
    """How it ended."""
    reason: str | None = None
    """Why the status is not ``ok``, in one line."""
    device: Device
    """What it ran on."""
    cost: Cost | None
    """What it took; null if the process did not live to tell, and for weights that were made elsewhere."""
    weights: Weights | None = None
    """What was judged; null if the run left nothing to judge, and in records of earlier releases."""
    metrics: list[Metric]
    """What the judges found; empty unless the status is ``ok``."""
    gallery: Gallery | None = None
    """Samples to look at."""
    provenance: Provenance
    """Versions and the machine's size."""

    @property
    def filename(self) -> str:
        """The record's path inside a results folder."""
        return record_filename(self.task.name, self.method.name, self.seed, self.run_id)

    @property
    def settings(self) -> Config:
        """What the user set of the task and the method."""
        return {**self.task.config_passed, **self.method.config_passed}

    def metrics_by_key(self) -> dict[tuple[str, str | None, int | None], Metric]:
        """Returns the metrics by name, judge and class.

        The class is None where there is a single value: that of the worst class may be another one in another run.
        """
        count = Counter((metric.name, metric.judge) for metric in self.metrics)
        return {
            (metric.name, metric.judge, metric.label if count[metric.name, metric.judge] > 1 else None): metric
            for metric in self.metrics
        }

    @property
    def is_run(self) -> bool:
        """Whether a method was run; else weights that were made elsewhere were evaluated, and what they cost is not known."""
        return self.method.distribution != WEIGHTS

    def rerun_command(self) -> str:
        """Returns the command that makes this run again, quoted for a shell.

        FILE stands for a plugin's file, WEIGHTS_FILE for weights that were made elsewhere.
        """
        words = ["run", self.task.name, self.method.name]
        if not self.is_run:
            words = ["evaluate", self.task.name, "WEIGHTS_FILE", "--seed", str(self.seed), "--name", self.method.name]
        elif self.method.settings_from == "paper" and self.method.role == "method":
            words += ["--settings", "paper"]
        if self.device.kind != "cpu" or self.device.threads != 1:
            words += ["--device", self.device.kind, "--threads", str(self.device.threads)]
        sources = {part.source_sha256 for part in (self.task, self.method) if part.distribution == FILE}
        names = ["FILE"] if len(sources) < 2 else ["TASK_FILE", "METHOD_FILE"]
        # What were defaults in an earlier release may be others now.
        then = {**self.task.config, **self.method.config} if self.is_run and self.method.settings_from is None else {}
        settings, plugins = {**then, **self.settings}, names if sources else []
        return command(*words, seeds=[self.seed] * self.is_run, settings=settings, plugins=plugins)


def record_filename(task: str, method: str, seed: int, run_id: str) -> str:
    """Returns a record's path inside a results folder."""
    return f"{task}/{method}/seed{seed}-{run_id[:12]}.json"


_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> str:
    """Returns the time as a record shows it."""
    return datetime.now(UTC).strftime(_MOMENT)


def moment_after(moment: str) -> str:
    """Returns the time one second after a record's, or now if that is no time at all, as 9999-99-99 is not."""
    try:
        return (datetime.strptime(moment, _MOMENT) + timedelta(seconds=1)).strftime(_MOMENT)
    except (ValueError, OverflowError):
        return utc_now()


def parse_record(text: str | bytes, where: str) -> Record:
    """Reads a record.

    Args:
        text: The JSON.
        where: What to call it in an error, usually its path.

    Raises:
        BenchmarkError: It is too large, not JSON, of another schema version, or does not fit the schema.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise BenchmarkError(f"{where} is larger than {MAX_RECORD_BYTES:,} bytes, which no record is; remove it.")
    try:
        # Strict: a text of digits is no number, and may be one of any size.
        earlier = read_earlier(text)
        return Record.model_validate_json(text, strict=True) if earlier is None else _validated(earlier)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "json_invalid":
            what = "is not whole JSON"
        elif place == "schema_version":
            what = f"is of schema version {problem['input']!r}, and this release reads versions up to {SCHEMA_VERSION}"
        else:
            what = f"does not fit the record schema at '{place}' ({problem['msg']})"
        raise BenchmarkError(f"{where} {what}; run it again or remove the file.") from None
    except RecursionError:
        raise BenchmarkError(f"{where} is nested too deeply for a record; remove it.") from None


def _validated(value: dict[str, Any]) -> Record:
    """A record of what was read from JSON, as strictly as the text itself would be taken."""
    with suppress(KeyError, ValueError, TypeError):
        value["status"] = Status(value["status"])
    return Record.model_validate(value, strict=True)


def record_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a record, as published in ``docs/record.schema.json``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}
