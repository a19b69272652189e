"""The index that the search page reads: one entry for every section of the documentation, board, row and page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from ..columns import rank_text
from ..text import number
from .docs_pages import DocPage
from .facts import method_facts
from .shown import Shown, method_page

Entry = tuple[str, str, str, str]
"""What is found, where it stands, its address and its text."""
PAGES: Sequence[Entry] = (
    ("Boards", "Page", "index.html", "Which methods make a generative model forget: every method on every task"),
    (
        "How the score works, and why to doubt it",
        "Page",
        "rules.html",
        "Rules: components, utility, gates, intervals, ranks, cost; meta-evaluation, attacks, second looks, stability, limits",
    ),
    (
        "Data",
        "Page",
        "data.html",
        "CSV, JSON, Parquet: boards, requests, columns; earlier versions and what became of rows",
    ),
    ("Documentation", "Page", "docs/index.html", "Every page of the documentation in the order a reader goes"),
)


def entries(boards: Sequence[Shown], docs: Iterable[DocPage]) -> Iterator[Entry]:
    """Yields all that can be found."""
    yield from PAGES
    for doc in docs:
        for section in doc.page.sections:
            top = section.level == 1
            address = doc.document.page + ("" if top else f"#{section.anchor}")
            yield doc.title if top else section.title, "Documentation" if top else doc.title, address, section.text
    for method in dict.fromkeys(row.method for board in boards for row in board.ranking.rows):
        facts = method_facts(method)
        yield method, "Methods", method_page(method), facts.does if facts is not None else ""
    for board in boards:
        ranking = board.ranking
        yield f"Board {ranking.title}", "Tasks", board.address, f"{ranking.family}, {ranking.extent}"
        for row in ranking.rows:
            score = "no score" if row.score is None else f"score {number(row.score)}"
            rank = "" if row.rank is None else f"rank {rank_text(row)}, "
            yield row.name, ranking.title, board.links[row.name], f"{row.role}, {rank}{score}"


def index_script(found: Iterable[Entry]) -> bytes:
    """Returns the index as a script: pages that are opened from a disk may not fetch a file, but may load one."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in found)
    return f"window.searchEntries = [\n{lines}\n];\n".encode()
