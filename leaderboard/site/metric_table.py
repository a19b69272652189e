"""The table of all metrics of a row, as markup made here and not in the template: a board may have half a million cells."""

from __future__ import annotations

import functools

from markupsafe import Markup, escape

from ...benchmark.family import Quantity
from ...benchmark.records.record import Identity, Metric
from ..row import Row

_Key = tuple[str, str | None, int | None]


def metric_rows(row: Row, leave_out: Quantity | None) -> list[Markup]:
    """Returns a line of the table for every metric and judge, seed by seed; the worst class may differ between seeds.

    Args:
        row: The board's row.
        leave_out: What has a table of its own.
    """
    by_seed = [run.record.metrics_by_key() for run in row.runs]
    keys = dict.fromkeys(key for found in by_seed for key in found if leave_out is None or key[0] != leave_out.name)
    return [_line(key, [found.get(key) for found in by_seed]) for key in keys]


def _line(key: _Key, metrics: list[Metric | None]) -> Markup:
    name, judge, label = key
    known = next(metric for metric in metrics if metric is not None)
    cells = "".join(f'<td class="num">{_cell(metric)}</td>' for metric in metrics)
    heading = escape(name.replace("_", " ") + ("" if label is None else f" {label}"))
    measured = f"{_measured_by(known.identity)}; n = {known.n}; {known.ci_method} interval{_hashes(known.identity)}"
    return Markup(
        f'<tr><th scope="row">{heading}</th><td>{escape(judge or "")}</td>{cells}<td class="identity">{measured}</td></tr>\n'
    )


def _cell(metric: Metric | None) -> str:
    """Numbers alone: nothing in here needs to be escaped."""
    if metric is None or metric.value is None:
        return "–"
    if metric.ci_low is None or metric.ci_high is None:
        return f"{metric.value:.4f}"
    return f'{metric.value:.4f} <span class="span">{metric.ci_low:.4f} to {metric.ci_high:.4f}</span>'


@functools.lru_cache(maxsize=1024)
def _measured_by(identity: Identity) -> Markup:
    return escape(f"{identity.name} {identity.version}; {identity.protocol}")


@functools.lru_cache(maxsize=1024)
def _hashes(identity: Identity) -> str:
    """Hashes are hexadecimal by their schema."""
    parts = (("judge", identity.weights_sha256), ("reference", identity.reference_sha256))
    return "".join(f"; {name} <code>{value[:10]}</code>" for name, value in parts if value)
