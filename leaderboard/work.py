"""What a run took, in units that mean the same on every machine: a share of retraining, and training steps of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..benchmark.measuring.work import work_of
from ..benchmark.records.record import Cost, Record
from .boards import case_of

COUNTS = (
    "steps",
    "forward_passes",
    "forward_samples",
    "backward_passes",
    "backward_samples",
    "forget_samples",
    "retain_samples",
)
"""What a run counts does not depend on how fast a machine is."""
UNSTEADY = 0.25
"""Reference steps that differ by a larger share say that something else used the machine."""


class Share(NamedTuple):
    """A share of the work of retraining."""

    value: float
    about: bool
    """Whether the samples that gradients flowed into are estimated from the passes, as in records of earlier releases."""

    def __str__(self) -> str:
        return f"{'about ' if self.about else ''}{percent(self.value)}"


def percent(share: float) -> str:
    """Returns a share for a reader: small ones are not rounded away."""
    return "0 %" if share == 0 else f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def work(cost: Cost) -> Share | None:
    """Returns the samples that passed forwards through the network, and twice those that passed backwards.

    None where the record cannot tell.
    """
    if cost.backward_samples is not None:
        return Share(float(work_of(cost.forward_samples, cost.backward_samples)), False)
    if cost.backward_passes == 0:
        return Share(float(cost.forward_samples), False)
    if cost.forward_passes == 0:
        return None
    estimated = cost.backward_passes * cost.forward_samples / cost.forward_passes
    return Share(work_of(cost.forward_samples, estimated), True)


def share_of_retraining(records: Sequence[Record], oracles: Mapping[str, Sequence[Record]]) -> Share | None:
    """Returns the work of runs as a share of retraining for the same request, mean over those that both are known of.

    Args:
        records: Runs that ended well.
        oracles: The oracles' records, by request.
    """
    known = {request: _mean([work(one.cost) for one in found if one.cost]) for request, found in oracles.items()}
    shares = []
    for record in records:
        whole, part = known.get(case_of(record).request), work(record.cost) if record.cost else None
        if whole is not None and part is not None and whole.value > 0:
            shares.append(Share(part.value / whole.value, part.value > 0 and (part.about or whole.about)))
    return _mean(shares)


def _mean(shares: Sequence[Share | None]) -> Share | None:
    known = [share for share in shares if share is not None]
    if not known:
        return None
    return Share(float(np.mean([share.value for share in known])), any(share.about for share in known))


def time_in_steps(costs: Sequence[Cost]) -> float | None:
    """Returns the median time of unlearning in reference steps, or None where some run timed none."""
    timed = [cost for cost in costs if cost.unlearn_seconds is not None]
    units = [float(np.median(cost.reference_step_seconds)) if cost.reference_step_seconds else 0.0 for cost in timed]
    if not timed or not all(unit > 0 for unit in units):
        return None
    return float(np.median([(cost.unlearn_seconds or 0.0) / unit for cost, unit in zip(timed, units, strict=True)]))


def reference_step(cost: Cost) -> str:
    """Returns the median of a run's reference steps for a reader; a dash for none."""
    return f"{1000 * np.median(cost.reference_step_seconds):.3g} ms" if cost.reference_step_seconds else "–"


def unsteady(cost: Cost) -> str | None:
    """Returns one sentence on a run while which the machine's speed changed, or None.

    The first half of the reference steps was taken just before the timed phases, the second just after.
    """
    steps = cost.reference_step_seconds
    if len(steps) < 2:
        return None
    half = (len(steps) + 1) // 2
    before, after = np.median(steps[:half]), np.median(steps[half:])
    if min(before, after) <= 0 or max(before, after) > (1 + UNSTEADY) * min(before, after):
        return (
            f"A training step took {1000 * before:.3g} ms before the run and {1000 * after:.3g} ms after it: "
            "something else used the machine, and its time tells little."
        )
    quartiles = [np.quantile(part, (0.25, 0.75)) for part in (steps[:half], steps[half:])]
    if any(high > (1 + UNSTEADY) * low for low, high in quartiles):
        return (
            f"Its training steps took {1000 * min(steps):.3g} to {1000 * max(steps):.3g} ms: "
            "something else used the machine, and its time tells little."
        )
    return None
