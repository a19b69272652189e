"""Who vouches for a record's numbers: nobody but its author, a re-computation, or a run made again.

Attestations lie beside the records and not in them, so that only maintainers write them. Each is bound to the bytes of its
record: a record that changes loses what was said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..benchmark.records.files import canonical_sha256, write_atomically
from ..benchmark.records.record import MAX_RECORD_BYTES, Record, Sha256

Kind = Literal["recomputed", "rerun"]
MAX_BYTES = 8 * MAX_RECORD_BYTES


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Statement(_Part):
    """What was found for one record."""

    run_id: Sha256
    sha256: Sha256
    """Of the record, whatever the order of its keys."""
    agrees: bool
    """Whether all that was compared agrees."""
    compared: Annotated[int, Field(ge=0)]
    """How many numbers were compared."""
    differs: list[Annotated[str, Field(max_length=200)]] = []
    """What does not agree."""


class Attestation(_Part):
    """One check of some records."""

    schema_version: Literal[1] = 1
    kind: Kind
    """``recomputed``: the record's numbers follow from one another. ``rerun``: the run was made again."""
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    suite_version: str
    device: str | None = None
    """What the run was made again on."""
    statements: list[Statement]


class Badge(NamedTuple):
    """What the board says of a row."""

    kind: Literal["self-reported", "recomputed", "rerun", "disputed"]
    text: str
    title: str


class Attestations:
    """All that was said of records.

    Args:
        found: The attestations; later ones replace earlier ones of the same kind.
    """

    def __init__(self, found: Iterable[Attestation] = ()) -> None:
        self._by_record: dict[tuple[str, Kind], Statement] = {}
        for attestation in sorted(found, key=lambda item: item.created):
            for statement in attestation.statements:
                self._by_record[statement.run_id, attestation.kind] = statement

    def badge(self, records: Sequence[Record]) -> Badge:
        """Returns the badge of a row: the most that was checked, and for how many of its seeds."""
        rerun = [statement for record in records if (statement := self._of(record, "rerun"))]
        disputed = [statement for statement in rerun if not statement.agrees]
        if disputed:
            what = "; ".join(disputed[0].differs[:3]) or "numbers"
            return Badge("disputed", "disputed", f"Run again, {len(disputed)} of {len(records)} seeds differed: {what}")
        recomputed = [s for record in records if (s := self._of(record, "recomputed")) and s.agrees]
        for kind, agreed, title in (
            ("rerun", rerun, "Run again, every number fell into its stored interval"),
            ("recomputed", recomputed, "What follows from the record's own numbers was computed again and agrees"),
        ):
            if agreed:
                part = "" if len(agreed) == len(records) else f" {len(agreed)}/{len(records)}"
                return Badge(kind, kind + part, f"{title}: {len(agreed)} of {len(records)} seeds")  # type: ignore[arg-type]
        return Badge("self-reported", "self-reported", "Nobody but the author has checked these numbers")

    def _of(self, record: Record, kind: Kind) -> Statement | None:
        statement = self._by_record.get((record.run_id, kind))
        return statement if statement is not None and statement.sha256 == digest(record) else None


def digest(record: Record) -> str:
    """Returns the hash that binds a statement to a record."""
    return canonical_sha256(record.model_dump(mode="json"))


def load_attestations(folders: Iterable[Path]) -> tuple[Attestations, list[str]]:
    """Reads all attestations of some folders, and returns one sentence for each file that is none."""
    found, problems = [], []
    for path in sorted(path for folder in folders for path in folder.glob("*.json")):
        try:
            with path.open("rb") as file:
                found.append(Attestation.model_validate_json(file.read(MAX_BYTES + 1)))
        except (OSError, ValidationError):
            problems.append(f"{path} is no attestation of this release; make it again or remove it.")
    return Attestations(found), problems


def write_attestation(path: Path, attestation: Attestation) -> None:
    """Writes an attestation.

    Raises:
        BenchmarkError: It cannot be written.
    """
    write_atomically(path, attestation.model_dump_json(indent=1).encode() + b"\n")
