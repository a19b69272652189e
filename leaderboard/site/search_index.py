"""The index that the search page reads: one entry for every section of the documentation, board, row and page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..ranking import Ranking
from ..text import number
from .docs_pages import DocPage

Entry = tuple[str, str, str, str]
"""What is found, where it stands, its address and its text."""
PAGES: Sequence[Entry] = (
    ("Boards", "Page", "index.html", "Which methods make a generative model forget: the ranked boards"),
    ("How the score works", "Page", "rules.html", "Rules: components, utility, gates, intervals, ranks, cost"),
    ("Documentation", "Page", "docs/index.html", "Every page of the documentation in the order a reader goes"),
)


class Place(NamedTuple):
    """Where a board stands on the site."""

    ranking: Ranking
    address: str
    links: Mapping[str, str]
    """The page of every row."""


def entries(places: Iterable[Place], docs: Iterable[DocPage]) -> Iterator[Entry]:
    """Yields all that can be found."""
    yield from PAGES
    for doc in docs:
        for section in doc.page.sections:
            top = section.level == 1
            address = doc.document.page + ("" if top else f"#{section.anchor}")
            yield doc.title if top else section.title, "Documentation" if top else doc.title, address, section.text
    for ranking, address, links in places:
        yield f"Board {ranking.title}", "Boards", address, f"{ranking.family}, {ranking.extent}"
        for row in ranking.rows:
            score = "no score" if row.score is None else f"score {number(row.score)}"
            rank = "" if row.rank is None else f"rank {row.rank}, "
            yield row.name, ranking.title, links[row.name], f"{row.role}, {rank}{score}"


def index_script(found: Iterable[Entry]) -> bytes:
    """Returns the index as a script: pages that are opened from a disk may not fetch a file, but may load one."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in found)
    return f"window.searchEntries = [\n{lines}\n];\n".encode()
