"""Builds the static site: Jinja pages, style sheets, small scripts, pictures; no request leaves its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

from ...benchmark.errors import BenchmarkError
from ...benchmark.records.files import write_atomically
from ...benchmark.records.store import without_collector
from ..attestations import Attestations, load_attestations
from ..boards import case_of, request_of
from ..by_request import by_request
from ..columns import Where, columns_of, rank_text
from ..ranking import Ranking, load_boards, rank_all
from ..rows import left_out
from ..stability import stability
from ..templating import make_environment
from ..text import byte_size, from_to, level, number, seconds, words
from ..work import reference_step, unsteady
from . import plots
from .data_files import data_files, data_page
from .destinations import destinations
from .docs_pages import doc_files, doc_pages
from .doubts import doubts
from .front import front_of
from .method_pages import method_pages
from .metric_table import metric_rows
from .pictures import PageImages, anchor_rows, sheets
from .preview import preview
from .search_index import PAGES, entries, index_script
from .shown import Shown, shown_boards
from .task_pages import task_pages

_HERE = Path(__file__).parent


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
    environment, pictures = make_environment(_HERE / "templates"), PageImages()
    _furnish(environment, pictures, base_url)
    for file in sorted((_HERE / "static").iterdir()):
        yield file.name, file.read_bytes()
    boards = shown_boards(rankings, attestations)
    index_page = environment.get_template("index.html.j2").render(front=front_of(boards), plots=plots, root="")
    yield "index.html", index_page.encode()
    yield from pictures.take()
    yield from task_pages(environment, boards, pictures)
    yield from method_pages(environment, boards, pictures)
    for board in boards:
        yield from _row_pages(environment, board)
        yield from pictures.take()
    steady = [(ranking, found) for ranking in rankings if (found := stability(ranking))]
    rules = environment.get_template("rules.html.j2").render(
        rankings=rankings, steady=steady, doubts=doubts(), docs={doc.document.source for doc in doc_pages()}, root=""
    )
    yield "rules.html", rules.encode()
    yield from data_files(rankings, attestations)
    yield from data_page(environment, rankings)
    yield from _beside(environment, boards)


def _furnish(environment: Environment, pictures: PageImages, base_url: str | None) -> None:
    """Gives the templates what they show numbers and records with."""
    environment.filters |= {"number": number, "seconds": seconds, "bytes": byte_size, "words": words, "level": level}
    environment.filters |= {
        "picture": pictures.name,
        "unsteady": unsteady,
        "case": case_of,
        "reference_step": reference_step,
        "request": request_of,
        "ranks": rank_text,
        "from_to": from_to,
    }
    environment.globals["base_url"] = base_url


def _row_pages(environment: Environment, board: Shown) -> Iterator[tuple[str, bytes]]:
    """Yields the page of every row of a board: all that its records hold."""
    ranking = board.ranking
    template, head = environment.get_template("row.html.j2"), columns_of(ranking, Where.HEAD)
    anchors = anchor_rows(ranking)
    for row in ranking.rows:
        page = template.render(
            board=board,
            ranking=ranking,
            row=row,
            badge=board.badges[row.name],
            sheets=sheets(row, anchors),
            tables=metric_rows(row, ranking.track.destination),
            parts=by_request(ranking, row),
            several=len(row.requests) > 1,
            head=head,
            destinations=destinations(row, ranking.track.destination),
            root="../",
        )
        yield board.links[row.name], page.encode()


def _beside(environment: Environment, boards: Sequence[Shown]) -> Iterator[tuple[str, bytes]]:
    """Yields what the site holds beside its boards: a picture for links, documentation, search."""
    yield "preview.png", preview([board.ranking for board in boards])
    yield from doc_files(environment)
    docs = doc_pages()
    yield "search.html", environment.get_template("search.html.j2").render(pages=PAGES, docs=docs, root="").encode()
    yield "search-index.js", index_script(entries(boards, docs))
