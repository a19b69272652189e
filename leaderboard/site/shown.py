"""A board as the site shows it: where its page is, where each row's page is, what was checked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...benchmark.records.files import canonical_sha256
from ..attestations import Attestations, Badge
from ..ranking import Ranking
from ..row import Row


class Shown(NamedTuple):
    """A board with its addresses, all from the site's root."""

    ranking: Ranking
    page: str
    """The page of its task."""
    anchor: str
    """Its place on that page."""
    links: Mapping[str, str]
    """The page of every row."""
    badges: Mapping[str, Badge]

    @property
    def address(self) -> str:
        """Where it stands."""
        return f"{self.page}#{self.anchor}"

    @property
    def name(self) -> str:
        """What it is called on the page of its task."""
        return " · ".join(part for part in (self.ranking.track.name, self.ranking.task_config) if part) or "Board"


def shown_boards(rankings: Sequence[Ranking], attestations: Attestations) -> list[Shown]:
    """Returns the boards with their addresses, which depend on nothing but what they are called."""
    taken: dict[str, int] = {}
    found = []
    for ranking in rankings:
        anchor = slug(f"{ranking.track.name} {ranking.task_config}") or "board"
        # Of several protocols of one task the newest comes first, and keeps the plain name.
        count = taken[ranking.title] = taken.get(ranking.title, 0) + 1
        anchor += f"-{count}" * (count > 1)
        links = {row.name: _row_page(ranking, anchor, row) for row in ranking.rows}
        badges = {row.name: attestations.badge(row.records) for row in ranking.rows}
        found.append(Shown(ranking, task_page(ranking.task), anchor, links, badges))
    return found


def task_page(task: str) -> str:
    """Returns the address of a task's page."""
    return f"tasks/{task}.html"


def method_page(method: str) -> str:
    """Returns the address of a method's page."""
    return f"methods/{method}.html"


def _row_page(ranking: Ranking, anchor: str, row: Row) -> str:
    # Settings that differ by a sign still get pages of their own.
    mark = f"-{canonical_sha256(row.config)[:8]}" if row.config else ""
    return f"rows/{ranking.task}-{anchor[:100]}-{row.method}{mark}{'-yours' * row.namesake}.html"


def slug(text: str) -> str:
    """Returns a text as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
