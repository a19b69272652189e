"""The search: the paper's setting, a scan of learning rates, then what Optuna proposes; the best few on a second request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...benchmark import registry
from ...benchmark.errors import BenchmarkError
from ...benchmark.method import Method
from ...benchmark.records.files import canonical_sha256
from ...benchmark.records.record import Status
from ...benchmark.running.planner import start_server
from ...benchmark.running.requests import Request
from ...benchmark.running.tuned import Found, Trial, keep_found, read_settings, settings_path
from ...benchmark.search_space import Choice, Dimension, LogRange, is_whole, search_space
from ...benchmark.seeds import derive_seed
from ..row import MOST_OF_RETRAINING
from .trials import Pair, Trials

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TRIALS = 16
"""Settings that are tried by default."""
SCANNED = 4
"""Settings that are tried between the paper's and those that follow from what was found, in one go."""
RATE, STEPS = "lr", "steps"
"""Fields that most scores hang on."""
LOST = 3.0
"""Below zero by as much stands what could not be judged, and what harmed a model twenty times as much as scores anything."""
FINALISTS = 3
"""The best settings, which are tried on the other requests, too; the paper's setting is, unless it did not end."""


class Told(NamedTuple):
    """How far a search has come."""

    done: int
    total: int
    best: float


class Outcome(NamedTuple):
    """What a search left."""

    file: Path
    found: Found
    before: Found | None = None
    """What the file held of the method, and holds no more."""


def search(
    pair: Pair, trials: int, out: Path, options: dict[str, Any], on_trial: Callable[[Told], None] = lambda told: None
) -> Outcome:
    """Searches a method's settings on a task and writes the best into the task's file. One that was ended goes on.

    Args:
        pair: What is tuned, on what.
        trials: Settings to try, the method's own defaults among them.
        out: The folder of the file; the trials' records go below it.
        options: See ``run_requests``.
        on_trial: Told how far it is.

    Raises:
        BenchmarkError: Nothing can be searched, a request is set, the pair does not fit, a run could not be made, or Optuna
            is not there.
    """
    registry.add_plugins(options.get("plugins", ()))
    method, task = registry.methods.get(pair.method), registry.tasks.get(pair.task)
    requests = task.tuning_requests
    space = {name: part for name, part in search_space(method, task.most_steps).items() if name not in pair.fixed}
    _check(pair, requests, space)
    # One server for all trials: on a small task, its imports would take longer than a trial.
    with start_server([Request(pair.task, pair.method, [], {})], options.get("threads", 1)) as server:
        made = Trials(pair, out / "trials", {**options, "server": server})
        history = _explored(space, method, pair, trials, made, requests[0], on_trial)
        if all(trial.status != Status.OK for trial in history):
            raise BenchmarkError(
                f"All {len(history)} trials of '{pair.method}' on '{pair.task}' failed, and nothing is kept; the last "
                f"one said: {made.reason}"
            )
        explored = len(history)
        best = _best([trial for trial in history if trial.score > 0], FINALISTS)
        finalists = best if {} in best else [*best, {}]
        again = [one for one in finalists if one or history[0].status == Status.OK]
        if again:
            history += [trial for request in requests[1:] for trial in made.make(again, request)]
    means = {canonical_sha256(one): _mean([t.score for t in history if t.settings == one]) for one in finalists}
    winner = max(finalists, key=lambda one: means[canonical_sha256(one)])
    fixed = {name: value for name, value in pair.fixed.items() if name in method.model_fields}
    found = Found(
        settings={**fixed, **winner},
        trials=explored,
        score=means[canonical_sha256(winner)],
        paper_score=means[canonical_sha256({})],
        seconds=round(made.seconds, 1),
        source_sha256=made.source_sha256,
        history=history,
    )
    file = settings_path(out, pair.task)
    before = read_settings(file).methods.get(pair.method) if file.is_file() else None
    keep_found(file, pair.task, pair.method, found)
    return Outcome(file, found, before)


def _check(pair: Pair, requests: Sequence[Mapping[str, Any]], space: Mapping[str, Any]) -> None:
    """Raises unless there is something to search, and the task alone says on which requests."""
    if not requests:
        raise BenchmarkError(
            f"The task '{pair.task}' names no requests to tune on; give its class `tuning_requests`, which no board uses."
        )
    if named := sorted(set(pair.fixed) & {name for request in requests for name in request}):
        raise BenchmarkError(
            f"A search on '{pair.task}' asks for the requests that the task keeps for it, and '{named[0]}' names one; "
            "leave it out."
        )
    if not space:
        raise BenchmarkError(
            f"The method '{pair.method}' declares nothing to search; write beside a field what may be set, as in "
            "`lr: Annotated[float, LogRange(1e-5, 1e-2)] = 1e-4`."
        )


def _explored(
    space: dict[str, Dimension],
    method: type[Method],
    pair: Pair,
    trials: int,
    made: Trials,
    request: dict[str, Any],
    on_trial: Callable[[Told], None],
) -> list[Trial]:
    """All settings on the first request."""
    optuna = _optuna()
    history: list[Trial] = []

    def make(settings: Sequence[dict[str, Any]]) -> None:
        history.extend(made.make([_rounded(one) for one in settings], request))
        on_trial(Told(len(history), trials, max(trial.score for trial in history)))

    paper = {name: method.model_fields[name].default for name in space}
    make([{}])
    if scan := rate_scan(space, paper)[: trials - 1]:
        make(scan)
    affordable = within_cost(space, paper, history)
    distributions = {name: _distribution(method, name, part) for name, part in affordable.items()}
    # Of ten trials, a Gaussian process makes more than Optuna's default, which draws the first ten blindly.
    seed = derive_seed("tune", pair.task, pair.method) % 2**32
    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=SCANNED)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in history:
        params = paper | trial.settings
        if all(_holds(distributions[name], params[name]) for name in space):
            known = optuna.trial.create_trial(params=params, distributions=distributions, value=promise(trial))
            study.add_trial(known)
    while len(history) < trials:
        asked = study.ask(distributions)
        make([asked.params])
        study.tell(asked, promise(history[-1]))
    return history


def within_cost(space: dict[str, Dimension], paper: dict[str, Any], history: Sequence[Trial]) -> dict[str, Dimension]:
    """Returns the space without the steps that cost more than is ranked, as far as trials tell.

    Args:
        space: What may be set.
        paper: The method's own defaults of that.
        history: What was tried, with its cost.
    """
    steps = space.get(STEPS)
    if not isinstance(steps, LogRange):
        return space
    most = steps.high
    for trial in history:
        tried = (paper | trial.settings)[STEPS]
        if trial.share and trial.status == Status.OK:
            most = min(most, math.floor(tried * MOST_OF_RETRAINING / trial.share))
        elif trial.share and trial.share > MOST_OF_RETRAINING:
            most = min(most, tried - 1)
    return {**space, STEPS: LogRange(steps.low, max(most, steps.low + 1))}


def promise(trial: Trial) -> float:
    """Returns what a search goes by: the score, and below zero by how much a model was harmed that scores nothing.

    Where all scores are zero, this still tells a little too much from far too much.
    """
    if trial.score > 0:
        return trial.score
    return -LOST if trial.harm is None else -min(math.log(max(trial.harm, 1.0)), LOST)


def rate_scan(space: dict[str, Dimension], paper: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns learning rates spread over their range, at two thirds of the steps' range, with all else as in the paper.

    A rate that is off by ten wrecks a model or leaves it as it was, whatever else is set: few trials must not miss it.

    Args:
        space: What may be set.
        paper: The method's own defaults of that.
    """
    rate, steps = space.get(RATE), space.get(STEPS)
    if not isinstance(rate, LogRange):
        return []
    found = []
    for number in range(SCANNED):
        settings = paper | {RATE: rate.at((number + 0.5) / SCANNED)}
        if isinstance(steps, LogRange):
            settings[STEPS] = round(steps.at(2 / 3))
        found.append(settings)
    return found


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    return bool(distribution._contains(distribution.to_internal_repr(value)))


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise BenchmarkError("A search needs Optuna; install it with `pip install 'unlearnbench[tune]'`.") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _distribution(method: type[Method], name: str, part: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(part, Choice):
        return CategoricalDistribution(part.values)
    logarithmic = isinstance(part, LogRange)
    if is_whole(method, name):
        return IntDistribution(round(part.low), round(part.high), log=logarithmic)
    return FloatDistribution(part.low, part.high, log=logarithmic)


def _rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Three digits are as many as a setting is known to: they can be read, typed and published."""
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in params.items()}


def _best(history: Sequence[Trial], count: int) -> list[dict[str, Any]]:
    """The settings with the highest scores; among equal ones those that cost less, and then the earlier."""
    order = sorted(history, key=lambda trial: (-trial.score, trial.share if trial.share is not None else 1.0))
    return list({canonical_sha256(trial.settings): trial.settings for trial in order}.values())[:count]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
