"""What a run took, as a share of retraining: samples through the network, which are the same on every machine."""

from __future__ import annotations

from ..benchmark.records.record import Cost, Record

BACKWARD = 2
"""A pass back takes as much as two passes forward."""
MOST_RANKED = 0.25
"""What costs a larger share of retraining is shown and not ranked."""


def work(cost: Cost) -> float:
    """Returns samples through the network, a pass back counted as two forward.

    Records of earlier releases count passes back, and not their samples: as many are taken as a pass forward has on average.
    """
    backward: float
    if cost.backward_samples is not None:
        backward = cost.backward_samples
    else:
        backward = cost.backward_passes * cost.forward_samples / max(cost.forward_passes, 1)
    return cost.forward_samples + BACKWARD * backward


def share_of(record: Record, oracle: Record | None) -> float | None:
    """Returns a run's work as a share of its oracle's, or None where either is not known."""
    if record.cost is None or oracle is None or oracle.cost is None:
        return None
    whole = work(oracle.cost)
    return work(record.cost) / whole if whole > 0 else None
