"""What verbs found, as plain data for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records.places import model_filename

if TYPE_CHECKING:
    from ..records.record import Record
    from ..running.plan import Refused


def records_data(
    records: Iterable[Record], results: Path, refused: Sequence[Refused] = (), *, kept: bool = False
) -> dict[str, Any]:
    """Returns what some runs left, and which pairs do not fit.

    Args:
        records: Of the runs.
        results: The folder of the records.
        refused: The pairs.
        kept: Whether the weights are beside the records.
    """
    return {
        "results": str(results),
        "records": [_record_data(record, results, kept) for record in records],
        "not_applicable": [refusal._asdict() for refusal in refused],
    }


def _record_data(record: Record, results: Path, kept: bool) -> dict[str, Any]:
    weights = str(results / model_filename(record.filename)) if kept and record.weights is not None else None
    shown = ("name", "judge", "label", "value", "ci_low", "ci_high")
    return {
        "task": record.task.name,
        "task_settings": record.task.config_passed,
        "method": record.method.name,
        "settings": record.method.config_passed,
        "seed": record.seed,
        "status": record.status.value,
        "reason": record.reason,
        "device": record.device.group,
        "run_id": record.run_id,
        "unlearn_seconds": record.cost.unlearn_seconds if record.cost is not None else None,
        "metrics": [metric.model_dump(include=set(shown)) for metric in record.metrics],
        "file": str(results / record.filename),
        "weights_file": weights,
    }
