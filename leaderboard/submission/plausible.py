"""What a record may hold beyond its schema: numbers, texts, dates and pictures of a sane size."""

from __future__ import annotations

import base64
import json
import math
import struct
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from ...benchmark.records.record import Gallery, Record, Status

MAX_DEPTH = 12
MAX_TEXT = 8_000
MAX_NUMBER = 2**53
"""Up to here every program reads a JSON number as the same number."""
_FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(days=1)
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_SAMPLES, _LARGEST_TILE = 64, 512


def implausible(record: Record, text: bytes) -> list[str]:
    """Returns what a record holds that no run writes, one sentence each.

    Args:
        record: The record, which fits the schema.
        text: The bytes that it was read from.
    """
    try:
        raw = json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_repetition)
    except RecursionError:
        return ["is nested too deeply."]
    except ValueError as error:
        return [f"is not JSON as the suite writes it: {error}."]
    return [*dict.fromkeys(_walk(raw, "", 0)), *_date(record), *_ending(record), *_picture(record.gallery)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _walk(value: Any, place: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"is nested more than {MAX_DEPTH} deep at '{place}'."
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _text(key, place)
            yield from _walk(inner, f"{place}.{key}" if place else key, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, place, depth + 1)
    elif isinstance(value, str):
        if place != "gallery.png_base64":
            yield from _text(value, place)
    elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_NUMBER):
        yield f"holds a number at '{place}' that is larger than 2^53 or not finite."


def _text(text: str, place: str) -> Iterator[str]:
    if len(text) > MAX_TEXT:
        yield f"holds a text of {len(text):,} characters at '{place}'."
    if any(unicodedata.category(character).startswith("C") for character in text):
        yield f"holds a control character or an invisible one at '{place}'."


def _date(record: Record) -> Iterator[str]:
    try:
        created = datetime.strptime(record.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        yield f"was made on {record.created}, which is no date."
        return
    if not _FIRST_DAY <= created <= datetime.now(UTC) + _CLOCKS_DIFFER:
        yield f"was made on {record.created}, which cannot be; set the clock and run it again."


def _ending(record: Record) -> Iterator[str]:
    good = record.status is Status.OK
    if good == (record.reason is not None):
        yield f"ended as {record.status.value} {'with' if good else 'without'} a reason."
    if good and ((record.is_run and record.cost is None) or not record.metrics):
        yield "ended as ok without its cost or its metrics."
    if not record.is_run and record.cost is not None:
        yield "holds a cost, though its weights were made elsewhere."
    if not record.is_run and good and (record.weights is None or record.weights.sha256 != record.method.source_sha256):
        yield "does not hold the hash of the weights that it says were judged."
    if not good and record.metrics:
        yield f"ended as {record.status.value} with metrics."


def _picture(gallery: Gallery | None) -> Iterator[str]:
    if gallery is None:
        return
    counts = 0 < gallery.columns <= _MOST_SAMPLES and 0 < len(gallery.rows) <= _MOST_SAMPLES
    if not counts or not 0 < gallery.tile <= _LARGEST_TILE:
        yield "has a gallery of an impossible size."
        return
    data = base64.b64decode(gallery.png_base64)
    size = gallery.columns * gallery.tile, len(gallery.rows) * gallery.tile
    if data[:8] != _PNG or data[12:16] != b"IHDR" or struct.unpack(">II", data[16:24]) != size:
        yield f"has a gallery that is no PNG picture of {size[0]} x {size[1]} pixels."
