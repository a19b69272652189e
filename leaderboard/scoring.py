"""The score of one run: oracle-normalized components, gates, and what sampling leaves open."""

from __future__ import annotations

import copy
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..benchmark.family import Component, Gate, Track
from ..benchmark.metrics.intervals import Floats
from ..benchmark.records.record import Metric, Record, Status, TaskInfo
from .boards import Case, case_of

DRAWS = 500
"""Draws of the metrics from their intervals, for boards with a single seed."""
FLOOR = 0.01
"""What a component counts at least in the geometric mean, so that the noise of one that is near zero does not decide alone."""
SPREADS = 2.0
"""Spreads between oracles within which a model cannot be told from them."""
LEAST_SPREAD = 0.02
"""Of the way from the oracles to the original: what a few oracles that agree by chance count as their spread."""
REFERENCES = ("original", "oracle")
"""The rows that others are scored by."""
ROUNDING = 1e-9
"""A gate's margin may be overrun by as much: a value right on it passes, however its difference was rounded."""
Z95 = float(special.ndtri(0.975))
"""Half the width of a normal variable's 95 % interval, in standard deviations."""


@dataclass(frozen=True)
class RunScore:
    """One run, scored."""

    record: Record
    score: float
    components: dict[str, float]
    harm: float
    """The largest share of a gate's margin that was used; from one on, nothing scores."""
    failed_gates: list[str]
    sampling_error: Callable[[], float] = field(default=lambda: 0.0, repr=False, compare=False)

    @functools.cached_property
    def case(self) -> Case:
        """The request and the seed."""
        return case_of(self.record)

    @property
    def utility(self) -> float:
        """What the harm leaves of the score."""
        return max(0.0, 1 - self.harm)

    @property
    def forgotten(self) -> float:
        """See ``combined``."""
        return float(combined(self.components.values()))

    @functools.cached_property
    def by_name(self) -> dict[str, list[Metric]]:
        """The record's metrics by name, for pages that ask for one after the other."""
        found: dict[str, list[Metric]] = defaultdict(list)
        for metric in self.record.metrics:
            found[metric.name].append(metric)
        return dict(found)

    @functools.cached_property
    def error(self) -> float:
        """The standard error that the sampling of the metrics leaves; it takes drawing, so only who asks pays for it."""
        return self.sampling_error()


class Anchors:
    """What original and oracle reached: the zero and the one of every component, and the reference of every gate.

    The original is compared seed by seed, since every run of a seed is sampled from the same noise; the oracles are
    averaged, since each is another retraining.

    Args:
        records: Of one request, the reference rows' among them.
        track: What is scored.
        task: Named where reference rows are missing; by default the records'.
    """

    def __init__(self, records: Sequence[Record], track: Track, task: TaskInfo | None = None) -> None:
        wanted = _scored_names(track)
        found = {name: [r for r in records if r.method.name == name and r.status is Status.OK] for name in REFERENCES}
        self._originals = {record.seed: _values(record, wanted) for record in found["original"]}
        self._oracles = {record.seed: _values(record, wanted) for record in found["oracle"]}
        self._scored_by_oracle = track.oracle
        lacking = [name for name, runs in found.items() if not runs and (name != "oracle" or self._scored_by_oracle)]
        asked = task or records[0].task
        command = " and ".join(f"`{asked.run_command(name)}`" for name in lacking)
        self.note = f"No scores: the reference rows are missing; run {command}." if lacking else None

    def original(self, key: tuple[str, str | None], seed: int) -> float:
        """Returns the original's value of a metric and judge, of the same seed if it was run."""
        if seed in self._originals:
            return self._originals[seed].get(key, math.nan)
        return _mean(values.get(key, math.nan) for values in self._originals.values())

    def without(self, seed: int) -> Anchors:
        """Returns the same without one oracle, whose own row is scored by the others; a single one has no others."""
        if len(self._oracles) < 2:
            return self
        other = copy.copy(self)
        other._oracles = {known: values for known, values in self._oracles.items() if known != seed}
        return other

    def oracle(self, key: tuple[str, str | None]) -> float:
        """Returns the oracles' mean value of a metric and judge."""
        return _mean(values.get(key, math.nan) for values in self._oracles.values())

    def spread(self, key: tuple[str, str | None]) -> float:
        """Returns the standard deviation of the oracles' values of a metric and judge, zero of a single one."""
        values = [values.get(key, math.nan) for values in self._oracles.values()]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def worse(self, key: tuple[str, str | None], seed: int, sign: float) -> float:
        """Returns the worse of original and oracle; the original alone on a track without an oracle.

        Args:
            key: Metric and judge.
            seed: Of the run.
            sign: 1 if more is worse, -1 if less is.
        """
        original = self.original(key, seed)
        return sign * max(sign * original, sign * self.oracle(key)) if self._scored_by_oracle else original


def anchor_records(records: Sequence[Record], own: Sequence[Record] = ()) -> list[Record]:
    """Returns the reference runs of a request that others are scored by: shipped ones as far as there are any.

    Args:
        records: The shipped ones of the request.
        own: The reader's. An original of a seed that was not shipped is used; another oracle where none was shipped.
    """
    shipped = [record for record in records if record.method.name in REFERENCES and record.status is Status.OK]
    seeds = {record.seed for record in shipped if record.method.name == "original"}
    has_oracle = any(record.method.name == "oracle" for record in shipped)
    added = [
        record
        for record in own
        if record.status is Status.OK
        and (
            (record.method.name == "original" and record.seed not in seeds)
            or (record.method.name == "oracle" and not has_oracle)
        )
    ]
    return [*shipped, *added]


def _values(record: Record, wanted: Set[str]) -> dict[tuple[str, str | None], float]:
    """A record's scored metrics by name and judge; an undefined one is NaN, which scores as badly as can be."""
    return {
        (metric.name, metric.judge): math.nan if metric.value is None else metric.value
        for metric in record.metrics
        if metric.name in wanted
    }


def _scored_names(track: Track) -> Set[str]:
    return {quantity.name for quantity in track.scored}


def score_run(record: Record, track: Track, anchors: Anchors) -> RunScore:
    """Scores a run on one track; an oracle's by the other oracles."""
    if record.method.name == "oracle":
        anchors = anchors.without(record.seed)
    wanted = _scored_names(track)
    metrics = [metric for metric in record.metrics if metric.name in wanted]
    components = {part.key: float(_component(part, metrics, record.seed, anchors, None)) for part in track.components}
    used = {gate: float(_margin_used(gate, metrics, record.seed, anchors, None)) for gate in track.gates}
    harm = max(used.values(), default=0.0)
    return RunScore(
        record=record,
        score=float(combined(components.values())) * max(0.0, 1 - harm),
        components=components,
        harm=harm,
        failed_gates=[gate.describe(track.oracle) for gate, share in used.items() if share > 1 + ROUNDING],
        sampling_error=lambda: float(np.std(_drawn_scores(metrics, track, record.seed, anchors), ddof=1)),
    )


def combined(components: Iterable[ArrayLike]) -> Floats:
    """Returns the geometric mean of components, each a hundredth at least: what the score would be if nothing was harmed."""
    mean: Floats = np.exp(np.mean(np.log(np.maximum(np.stack([np.asarray(one) for one in components]), FLOOR)), axis=0))
    return mean


def _component(
    part: Component, metrics: list[Metric], seed: int, anchors: Anchors, generator: np.random.Generator | None
) -> Floats:
    """The component, averaged over judges: a scalar, or draws of it."""
    scores = []
    for metric in _named(metrics, part.quantity.name):
        key = (metric.name, metric.judge)
        zero, one = anchors.original(key, seed), part.goal if part.kind == "goal" else anchors.oracle(key)
        distance, span = _sampled(metric, generator) - one, abs(zero - one)
        if not span > 0:
            scores.append(np.zeros_like(distance))
        elif part.kind == "alike":
            scores.append(_alikeness(np.abs(distance), span, anchors.spread(key)))
        else:
            # To go beyond a goal or an oracle is no worse than to reach it, on whichever side of the original it lies.
            ahead = -distance if part.kind in ("goal", "reach") and zero < one else distance
            off = np.abs(distance) if part.kind == "match" else np.maximum(ahead, 0.0)
            scores.append(np.clip(1 - off / span, 0, 1))
    return np.nan_to_num(np.mean(scores, axis=0)) if scores else np.zeros(())


def _alikeness(off: Floats, span: float, spread: float) -> Floats:
    """One within two spreads between oracles, zero as far away as the original is, and logarithmic in between."""
    near = SPREADS * max(spread, LEAST_SPREAD * span)
    if near >= span:
        return np.zeros_like(off)
    shares: Floats = np.log(span / np.maximum(off, near)) / math.log(span / near)
    return np.clip(shares, 0, 1)


def _margin_used(
    gate: Gate, metrics: list[Metric], seed: int, anchors: Anchors, generator: np.random.Generator | None
) -> Floats:
    """The largest share of a gate's margin that any judge's value uses up; more than one fails the gate."""
    sign = 1.0 if gate.quantity.direction == "min" else -1.0
    shares = []
    for metric in _named(metrics, gate.quantity.name):
        reference = anchors.worse((metric.name, metric.judge), seed, sign)
        scale = abs(reference) if gate.relative else 1.0
        behind = sign * (_sampled(metric, generator) - reference) / scale
        shares.append(np.maximum(behind - gate.noise, 0.0) / (gate.margin - gate.noise))
    return np.nan_to_num(np.max(shares, axis=0), nan=np.inf) if shares else np.full((), np.inf)


def _drawn_scores(metrics: list[Metric], track: Track, seed: int, anchors: Anchors) -> Floats:
    """Scores of metrics drawn from normal distributions as wide as their intervals."""
    generator = np.random.default_rng(0)
    parts = [np.broadcast_to(_component(part, metrics, seed, anchors, generator), DRAWS) for part in track.components]
    used = [np.broadcast_to(_margin_used(gate, metrics, seed, anchors, generator), DRAWS) for gate in track.gates]
    utility = np.maximum(0.0, 1 - np.max(used, axis=0, initial=0.0))
    return np.broadcast_to(combined(parts) * utility, DRAWS)


def _named(metrics: list[Metric], name: str) -> list[Metric]:
    return [metric for metric in metrics if metric.name == name]


def _sampled(metric: Metric, generator: np.random.Generator | None) -> Floats:
    value = math.nan if metric.value is None else metric.value
    if generator is None or metric.ci_low is None or metric.ci_high is None:
        return np.array(value)
    return generator.normal(value, abs(metric.ci_high - metric.ci_low) / (2 * Z95), DRAWS)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else math.nan
