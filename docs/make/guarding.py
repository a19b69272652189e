"""How often the check of ``unlearnbench regress`` is wrong, measured on simulated histories with the committed records' noise.

``python -m unlearnbench.docs.make.guarding`` fits ``noise.json`` to the committed records and writes
``docs/guarding.json`` and the tables of ``docs/guarding.md``.

A history is a row of the committed records, run twice: each metric jitters around the row's mean as it does from seed to
seed, and the two sides share a part of that jitter or nothing. *Worse* histories have one metric moved by its margin.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ...benchmark import registry
from ...benchmark.metrics.intervals import wilson
from ...benchmark.records.files import write_atomically
from ...benchmark.records.record import Metric, Record, Status
from ...benchmark.records.store import load_records
from ...leaderboard.markdown import markdown_table
from ...leaderboard.regression.losses import Key, Series, detectable, overall, series, targets_of
from ...leaderboard.regression.margins import Measure, Target, measures
from ...leaderboard.regression.noise import ON_FILE, Moderated, Prior, fit_all, moderate, prior_for, priors
from ...leaderboard.regression.pairing import PairedRow, pair_runs
from ...leaderboard.regression.regress import compare
from ...leaderboard.regression.verdicts import Verdict
from ...leaderboard.rows import latest

RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"
DOCS = Path(__file__).parents[1]
RATES = DOCS / "guarding.json"
PAGE = DOCS / "guarding.md"
HISTORIES = 300
SEEDS = (3, 5)
SHARED = (0.0, 0.9, 0.999)
FEWEST_SEEDS = 3
_DECIDED = (Verdict.REGRESSION, Verdict.INCONCLUSIVE, Verdict.FINE)
MARGINS_MARK, RATES_MARK = "<!-- margins -->", "<!-- rates -->"

Kind = Literal["unchanged", "worse", "worse, too noisy", "better"]
KINDS: tuple[Kind, ...] = ("unchanged", "worse", "worse, too noisy", "better")


class Template(NamedTuple):
    """A committed row that histories are made of."""

    records: list[Record]
    references: list[Record]
    found: dict[str, tuple[Measure, Series]]
    """Every guarded metric, as it scatters between the committed seeds."""
    targets: dict[Key, Target]
    """What the reference rows reached."""
    spread: dict[tuple[str, str | None], tuple[float, float]]
    """Mean and deviation of every metric and judge over the committed seeds."""

    def resolves(self, metric: str, seeds: int, shared: float) -> bool:
        """Returns whether so many seeds of this noise catch a loss of the margin 95 times in 100."""
        measure, known = self.found[metric]
        variance, freedom = float(known.before.var(ddof=1)), 2 * (seeds - 1)
        pooled = moderate(variance, freedom, known.sampling, prior_for(metric))
        errors = [Moderated(2 * max(variance, pooled.variance) / seeds, pooled.freedom)]
        if variance > 0:
            errors.append(Moderated(2 * (1 - shared) * variance / seeds, seeds - 1))
        return min(detectable(error, 2, len(self.found)) for error in errors) <= measure.margin.value


def templates(records: Iterable[Record]) -> list[Template]:
    """Returns the rows of records that hold a method with enough seeds."""
    done = [record for record in latest(records) if record.status is Status.OK]
    targets = targets_of(done)
    made = []
    for pair in pair_runs(done, done).pairs:
        rows = list(pair.baseline.values())
        if len(rows) < FEWEST_SEEDS or rows[0].method.role != "method":
            continue
        references = [r for r in done if r.method.role == "reference" and r.task.sha256 == rows[0].task.sha256]
        found = _guarded(pair, targets)
        thin = [_thin(record, found) for record in rows]
        made.append(Template(thin, [_thin(r, found) for r in references], found, targets, _spread(thin)))
    return made


def fitted(rows: Sequence[Template]) -> dict[str, Prior]:
    """Returns the priors of ``noise.py``, fitted to some rows."""
    seeds = min(len(row.records) for row in rows)
    return fit_all(
        (
            (metric, float(known.before[:seeds].var(ddof=1)), known.sampling)
            for row in rows
            for metric, (_, known) in row.found.items()
        ),
        seeds - 1,
    )


def simulate(
    row: Template, kind: Kind, metric: str, seeds: int, shared: float, generator: np.random.Generator
) -> tuple[list[Record], list[Record]]:
    """Returns a made-up baseline and what came after it.

    Args:
        row: What to imitate.
        kind: What happened between the two.
        metric: What got better or worse by its margin.
        seeds: Runs a side.
        shared: The correlation of the two sides' jitter.
        generator: Of the jitter.
    """
    sizes = len(row.found), seeds
    common, *own = (generator.standard_normal(sizes) for _ in range(3))
    jitter = [np.sqrt(shared) * common + np.sqrt(1 - shared) * side for side in own]
    before, now = (
        [_drawn(row, seed, dict(zip(row.found, column.tolist(), strict=True))) for seed, column in enumerate(noise.T)]
        for noise in jitter
    )
    move = {"unchanged": 0.0, "better": -1.0}.get(kind, 1.0)
    return before, _with_move(row, metric, move, before, now) if move else now


def rates(
    rows: Sequence[Template], kind: Kind, seeds: int, shared: float, histories: int, seed: int = 0
) -> Counter[Verdict]:
    """Returns what was found of some histories: the verdict on the metric that moved, on everything if none did."""
    generator = np.random.default_rng([seed, KINDS.index(kind), seeds, round(100 * shared)])
    noisy = kind == "worse, too noisy"
    choices = [
        (row, metric)
        for row in rows
        for metric in row.found
        if kind in ("unchanged", "better") or (_movable(row, metric) and row.resolves(metric, seeds, shared) != noisy)
    ]
    verdicts: Counter[Verdict] = Counter()
    for index in generator.integers(len(choices), size=histories):
        row, metric = choices[index]
        before, now = simulate(row, kind, metric, seeds, shared, generator)
        found = compare(before, now, references=row.references, cost="off")
        if kind in ("worse", "worse, too noisy"):
            verdicts[next(finding.verdict for finding in found.findings if finding.what == metric)] += 1
        else:
            verdicts[found.verdict] += 1
    return verdicts


def measured(rows: Sequence[Template], histories: int = HISTORIES) -> list[dict[str, Any]]:
    """Returns the rates of every kind of history."""
    found: list[dict[str, Any]] = []
    for seeds in SEEDS:
        for shared in SHARED:
            for kind in KINDS:
                verdicts = rates(rows, kind, seeds, shared, histories)
                counts = {verdict.value: verdicts[verdict] for verdict in tuple(Verdict)[:3]}
                found.append({"kind": kind, "seeds": seeds, "shared": shared, "histories": histories, **counts})
    return found


def resolved(rows: Sequence[Template]) -> dict[str, dict[str, float]]:
    """Returns for every metric the share of rows whose noise lets so many seeds catch a loss of the margin."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric in sorted({metric for row in rows for metric in row.found}):
        having = [row for row in rows if metric in row.found]
        for seeds in (3, 5, 10):
            found[metric][str(seeds)] = float(np.mean([row.resolves(metric, seeds, 0.0) for row in having]))
        found[metric]["rows"] = len(having)
    return found


def render(found: Mapping[str, Any]) -> str:
    """Returns the tables of the page from what is on file."""
    rates = [
        [row["kind"], str(row["seeds"]), f"{row['shared']:.1%}", *(_rate(row, verdict) for verdict in _DECIDED)]
        for row in found["rates"]
    ]
    shares = [
        [f"`{metric}`", f"{share['rows']:.0f}", *(f"{share[seeds]:.0%}" for seeds in ("3", "5", "10"))]
        for metric, share in found["resolved"].items()
    ]
    first = markdown_table(("history", "seeds", "jitter shared", *(verdict.value for verdict in _DECIDED)), rates)
    return first + "\n\n" + markdown_table(("metric", "rows", "3 seeds", "5 seeds", "10 seeds"), shares)


def _rate(row: Mapping[str, Any], verdict: Verdict) -> str:
    count, n = row[verdict.value], row["histories"]
    low, high = wilson(count, n)
    return f"{count / n:.1%} ({low:.1%} to {high:.1%})"


def margin_table() -> str:
    """Returns what is guarded and by which margin, as the page shows it."""
    rows = []
    for family in registry.families.built_in():
        wanted = {quantity.name: "" for track in family.tracks for quantity in track.scored}
        for measure in measures(family, wanted):
            share = " of the baseline" if measure.margin.relative else ""
            rows.append([family.name, f"`{measure.metric}`", measure.worse, f"{measure.margin}{share}"])
    return markdown_table(("family", "metric", "worse is", "margin"), rows)


def with_tables(page: str, found: Mapping[str, Any]) -> str:
    """Returns the page with what stands between its marks made anew."""
    for mark, table in ((MARGINS_MARK, margin_table()), (RATES_MARK, render(found))):
        head, _, tail = page.split(mark)
        page = f"{head}{mark}\n{table}\n{mark}{tail}"
    return page


def main() -> None:
    """Fits the noise, measures the rates, and writes both and the page."""
    records = load_records([RESULTS]).records
    fit = {metric: prior._asdict() for metric, prior in fitted(templates(records)).items()}
    _write(ON_FILE, {"records": len(records), "metrics": fit})
    priors.cache_clear()
    rows = templates(records)
    found = {"records": len(records), "rates": measured(rows), "resolved": resolved(rows)}
    _write(RATES, found)
    write_atomically(PAGE, with_tables(PAGE.read_text(), found).encode())


def _guarded(pair: PairedRow, targets: Mapping[Key, Target]) -> dict[str, tuple[Measure, Series]]:
    first = next(iter(pair.baseline.values()))
    directions = {metric.name: metric.direction for metric in overall(first).values()}
    found = {}
    for measure in measures(registry.family_of(first.task), directions):
        known = series(pair, measure, targets)
        if isinstance(known, Series):
            found[measure.metric] = measure, known
    return found


def _thin(record: Record, found: Mapping[str, object]) -> Record:
    kept = [metric for metric in overall(record).values() if metric.name in found]
    return record.model_copy(update={"metrics": kept, "gallery": None})


def _spread(records: Sequence[Record]) -> dict[tuple[str, str | None], tuple[float, float]]:
    values: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for metric in (metric for record in records for metric in record.metrics if metric.value is not None):
        values[metric.name, metric.judge].append(metric.value or 0.0)
    return {key: (float(np.mean(found)), float(np.std(found, ddof=1))) for key, found in values.items()}


def _drawn(row: Template, seed: int, jitter: Mapping[str, float]) -> Record:
    like = row.records[seed % len(row.records)]
    metrics = []
    for metric in like.metrics:
        mean, deviation = row.spread[metric.name, metric.judge]
        metrics.append(_at(metric, _within(metric, mean, mean + deviation * jitter[metric.name])))
    return like.model_copy(update={"seed": seed, "metrics": metrics, "run_id": f"{seed:064x}"})


def _with_move(row: Template, name: str, move: float, before: Sequence[Record], now: Sequence[Record]) -> list[Record]:
    """Makes a metric worse by so many margins; a relative margin is a share of what the baseline shows."""
    measure = row.found[name][0]
    shown = _spread(before)
    moved = []
    for record in now:
        metrics = []
        for metric in record.metrics:
            if metric.name == name and metric.value is not None:
                scale = abs(shown[name, metric.judge][0]) if measure.margin.relative else 1.0
                target = row.targets.get(_key(record, metric))
                metric = _at(metric, _moved(measure, metric.value, move * measure.margin.value * scale, target))
            metrics.append(metric)
        moved.append(record.model_copy(update={"metrics": metrics}))
    return moved


def _at(metric: Metric, value: float) -> Metric:
    """The metric at another value, with an interval as wide as before."""
    half = ((metric.ci_high or 0.0) - (metric.ci_low or 0.0)) / 2
    return metric.model_copy(update={"value": value, "ci_low": value - half, "ci_high": value + half})


def _key(record: Record, metric: Metric) -> Key:
    return record.task.sha256, metric.name, metric.judge, metric.identity


def _moved(measure: Measure, value: float, by: float, target: Target | None) -> float:
    """Makes a value worse by an amount, or better if that is negative; nothing gets better than at its target."""
    if measure.needs_target and target is not None:
        shown = value if measure.worse == "off target" or target.original is None else target.original
        away = 1.0 if shown >= target.oracle else -1.0
        short = measure.badness(value, target)
        if by < 0:
            return value - away * min(-by, short)
        # What lies beyond its target counts as if it had reached it.
        return (value if short else target.oracle) + away * by
    return value + (-by if measure.worse in ("less", "below goal") else by)


def _within(metric: Metric, mean: float, value: float) -> float:
    """Keeps shares in [0, 1], and distances and errors above zero; a difference may be below it."""
    share = metric.ci_method == "wilson" or metric.name == "coverage"
    if mean <= 0 or (metric.ci_low or 0.0) < 0:
        return value
    return float(np.clip(value, 0.0, 1.0)) if share else max(value, 0.05 * mean)


def _movable(row: Template, metric: str) -> bool:
    """Whether the metric can get worse by its margin at all: a coverage of 0.02 cannot lose 0.075."""
    measure, known = row.found[metric]
    return (
        measure.needs_target
        or measure.worse in ("more", "above goal")
        or bool(measure.badness(0.0, None) - known.before.max() > measure.margin.value)
    )


def _write(path: Path, found: Mapping[str, object]) -> None:
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
