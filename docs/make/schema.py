"""Prints the JSON Schema of a record: ``python -m unlearnbench.docs.make.schema``."""

from __future__ import annotations

import json
import sys

from ...benchmark.records.record import record_schema


def schema_text() -> str:
    """Returns the schema as it is published."""
    return json.dumps(record_schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
