"""Writes data sets in the hub's layout, as parquet files that carry the columns' types."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_parquet(path: Path, columns: dict[str, list[Any]], types: dict[str, Any]) -> None:
    """Writes a file; ``types`` are those of ``datasets``."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pydict(columns, schema=datasets.Features(types).arrow_schema), path)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> dict[str, Any]:
    """Returns a picture as a row of such a file holds it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": None}
