"""Builds the static site: Jinja pages, one style sheet, one small script, pictures; no request leaves its folder."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment

from ...benchmark.errors import BenchmarkError
from ...benchmark.family import Quantity
from ...benchmark.records.files import canonical_sha256, write_atomically
from ...benchmark.records.record import Record
from ...benchmark.records.store import without_collector
from ..attestations import Attestations, load_attestations
from ..boards import case_of, request_of
from ..by_request import by_request, flat_parts
from ..columns import Where, columns_of
from ..ranking import Ranking, load_boards, rank_all
from ..row import Row
from ..rows import left_out
from ..scoring import RunScore
from ..stability import stability
from ..templating import make_environment
from ..text import byte_size, level, number, seconds, sortable, words
from ..work import reference_step, unsteady
from . import front, plots
from .docs_pages import doc_files, doc_pages
from .metric_table import metric_rows
from .preview import preview
from .search_index import PAGES, Place, entries, index_script

_HERE = Path(__file__).parent
GALLERY_ROWS = ("original", "oracle")
"""Rows whose samples stand beside a method's."""


class Site(NamedTuple):
    """What was built."""

    page: Path
    rankings: list[Ranking]
    problems: list[str]
    """One sentence for every file that is no readable record."""
    notes: list[str]
    """What else is worth a word of the records."""
    new: frozenset[str]
    """The runs of the folders that were read, but for the shipped one."""


def build_board(
    folders: list[Path],
    out: Path,
    verifications: Iterable[Path] = (),
    shipped: Path | None = None,
    *,
    base_url: str | None = None,
) -> Site:
    """Builds the site from folders of records; later folders win over earlier ones.

    Args:
        folders: Where the records are.
        out: Where the site goes.
        verifications: Folders of attestations, which become badges.
        shipped: The folder whose records are nobody's news.
        base_url: Where the site will be served from; services that show a picture beside a link want its whole address.

    Raises:
        BenchmarkError: A folder does not exist, there is no record at all, or the site cannot be written.
    """
    with without_collector():
        return _build(folders, out, verifications, shipped, base_url)


def _build(
    folders: list[Path], out: Path, verifications: Iterable[Path], shipped: Path | None, base_url: str | None
) -> Site:
    loaded = load_boards(folders, shipped)
    if not loaded.records:
        reason = loaded.problems[0] if loaded.problems else "Run `unlearnbench suite quick` first."
        raise BenchmarkError(f"There is no record to build a board from. {reason}")
    attestations, problems = load_attestations(verifications)
    rankings = rank_all(loaded.records, loaded.own)
    for name, data in _files(rankings, attestations, base_url):
        # A site is made again in seconds; to wait for the disk after each of thousands of pages takes longer.
        write_atomically(out / name, data, durable=False)
    notes = loaded.notes + left_out(loaded.records, loaded.own)
    return Site(out / "index.html", rankings, loaded.problems + problems, notes, loaded.new)


def _files(rankings: list[Ranking], attestations: Attestations, base_url: str | None) -> Iterator[tuple[str, bytes]]:
    """Yields every file of the site with its path, one at a time: all of them together may not fit into memory."""
    environment = make_environment(_HERE / "templates")
    pictures = PageImages()
    environment.filters |= {"number": number, "seconds": seconds, "bytes": byte_size, "words": words, "level": level}
    environment.filters["sortable"] = sortable
    environment.filters |= {
        "picture": pictures.name,
        "unsteady": unsteady,
        "case": case_of,
        "reference_step": reference_step,
        "request": request_of,
    }
    environment.globals["base_url"] = base_url
    for file in sorted((_HERE / "static").iterdir()):
        yield file.name, file.read_bytes()
    boards = []
    template = environment.get_template("method.html.j2")
    most = front.rows_of_each(rankings)
    for index, ranking in enumerate(rankings):
        links = {row.name: _page_name(index, ranking, row) for row in ranking.rows}
        badges = {row.name: attestations.badge(row.records) for row in ranking.rows}
        board = front.Shown.of(index, ranking, links, badges)
        boards.append(board.first(most))
        if boards[-1].page or index >= front.BOARDS:
            whole = environment.get_template("board.html.j2").render(board=board.below("../"), plots=plots, root="../")
            yield board.own_page, whole.encode()
        head = columns_of(ranking, Where.HEAD)
        anchors = {row.method: row for row in reversed(ranking.rows) if row.method in GALLERY_ROWS and not row.config}
        for row in ranking.rows:
            page = template.render(
                ranking=ranking,
                row=row,
                badge=badges[row.name],
                sheets=_sheets(row, anchors),
                tables=metric_rows(row, ranking.track.destination),
                parts=by_request(ranking, row),
                several=len(row.requests) > 1,
                head=head,
                destinations=_destinations(row, ranking.track.destination),
                root="../",
            )
            yield links[row.name], page.encode()
            yield from pictures.take()
    index_page = environment.get_template("index.html.j2").render(
        boards=boards, plots=plots, root="", shown=front.BOARDS
    )
    yield "index.html", index_page.encode()
    steady = [(ranking, found) for ranking in rankings if (found := stability(ranking))]
    rules = environment.get_template("rules.html.j2").render(rankings=rankings, steady=steady, root="")
    yield "rules.html", rules.encode()
    yield from _data_files(rankings, attestations)
    # The front page has an anchor for a board that it shows.
    places = [
        Place(board.ranking, f"index.html#{board.anchor}" if index < front.BOARDS else board.own_page, board.links)
        for index, board in enumerate(boards)
    ]
    yield from _beside(environment, places)


def _beside(environment: Environment, places: Sequence[Place]) -> Iterator[tuple[str, bytes]]:
    """Yields what the site holds beside its boards: a picture for links, documentation, search."""
    yield "preview.png", preview([place.ranking for place in places])
    yield from doc_files(environment)
    docs = doc_pages()
    yield "search.html", environment.get_template("search.html.j2").render(pages=PAGES, docs=docs, root="").encode()
    yield "search-index.js", index_script(entries(places, docs))


class PageImages:
    """The pictures that pages show, each written once however many pages show it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._unwritten: list[tuple[str, str]] = []

    def name(self, png: str) -> str:
        """Returns the path of a picture, given as base64."""
        name = f"samples/{hashlib.sha256(png.encode()).hexdigest()[:20]}.png"
        if name not in self._known:
            self._known.add(name)
            self._unwritten.append((name, png))
        return name

    def take(self) -> Iterator[tuple[str, bytes]]:
        """Yields the pictures that were named for the first time since the last call."""
        for name, png in self._unwritten:
            yield name, base64.b64decode(png)
        self._unwritten.clear()


def _page_name(index: int, ranking: Ranking, row: Row) -> str:
    parts = [ranking.title, row.method, *([row.config] if row.config else [])]
    slug = "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
    # Settings that differ by a sign or past the cut still get pages of their own.
    mark = f"-{canonical_sha256(row.config)[:8]}" if row.config else ""
    mark += "-yours" * row.namesake
    return f"methods/{index}-{slug[:80]}{mark}.html"


class Sheet(NamedTuple):
    """A gallery of one run."""

    title: str
    record: Record


def _sheets(row: Row, anchors: dict[str, Row]) -> list[list[Sheet]]:
    """For each run of a row: the samples of original, oracle and method of its request, drawn from the same noise."""
    found = []
    for run in row.runs:
        line = []
        for name in GALLERY_ROWS:
            beside = anchors[name].runs if name in anchors and name != row.method else []
            line += [Sheet(name, other.record) for other in beside if other.case == run.case]
        line.append(Sheet(row.name, run.record))
        found.append([sheet for sheet in line if sheet.record.gallery is not None])
    return [line for line in found if line]


class Destinations(NamedTuple):
    """Where the forgotten mass of a request went."""

    request: str
    judges: list[str]
    shares: dict[int, list[float]]
    """By class: the share that each judge sees, mean over seeds."""


def _destinations(row: Row, destination: Quantity | None) -> list[Destinations]:
    """What a row's samples show, request by request."""
    runs: dict[str, list[RunScore]] = {}
    for run in row.runs if destination else ():
        runs.setdefault(run.case.request, []).append(run)
    found = [_destinations_of(request, these, destination) for request, these in runs.items() if destination]
    return [one for one in found if one.shares]


def _destinations_of(request: str, runs: Sequence[RunScore], destination: Quantity) -> Destinations:
    found: dict[int, dict[str, list[float]]] = {}
    for run in runs:
        for metric in run.by_name.get(destination.name, ()):
            if metric.label is not None and metric.value is not None:
                found.setdefault(metric.label, {}).setdefault(metric.judge or "", []).append(metric.value)
    judges = list(dict.fromkeys(judge for shares in found.values() for judge in shares))
    means = {
        label: [sum(values) / len(values) if (values := shares.get(judge)) else 0.0 for judge in judges]
        for label, shares in sorted(found.items())
    }
    return Destinations(request, judges, means)


def _data_files(rankings: Sequence[Ranking], attestations: Attestations) -> Iterator[tuple[str, bytes]]:
    """Yields the boards as plain data: every row, and every row request by request."""
    rows, parts = [], []
    for ranking in rankings:
        board = {"task": ranking.task, "task_config": ranking.task_config, "track": ranking.track.name}
        columns = columns_of(ranking, Where.DATA)
        for row in ranking.rows:
            whole = board | {column.key: column.value(row) for column in columns}
            each = list(flat_parts(ranking, row))
            rows.append(whole | {"checked": attestations.badge(row.records).text, "by_request": each})
            parts += [
                board | {"method": row.method, "settings": row.config, "own": int(row.own)} | part for part in each
            ]
    yield (
        "board.csv",
        _csv([{key: value for key, value in row.items() if key != "by_request"} for row in rows]).encode(),
    )
    yield "board.json", json.dumps(rows, indent=1).encode()
    yield "requests.csv", _csv(parts).encode()


def _csv(rows: list[dict[str, Any]]) -> str:
    fields = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def _inert(value: Any) -> Any:
    """Keeps a spreadsheet from reading text of a record as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
