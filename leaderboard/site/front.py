"""How much of each board stands on the front page, so that it stays small however many rows there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..attestations import Badge
from ..columns import Column, Where, columns_of
from ..ranking import Ranking
from ..row import Row
from . import plots

ROWS = 200
"""Rows on the front page, of all boards together. A row takes about 1.3 kB."""
BOARDS = 20
"""Boards on the front page; the table of contents names the others."""
_REFERENCES = ("original", "oracle")


class Shown(NamedTuple):
    """A board as one page shows it."""

    ranking: Ranking
    columns: Sequence[Column]
    rows: Sequence[Row]
    links: Mapping[str, str]
    """The page of every row."""
    badges: Mapping[str, Badge]
    plot: plots.CostPlot | None
    anchor: str
    own_page: str
    """The path of the page with all rows, where there is one."""
    page: str = ""
    """The link to it, if rows are left out here."""

    @classmethod
    def of(cls, index: int, ranking: Ranking, links: Mapping[str, str], badges: Mapping[str, Badge]) -> Shown:
        """Returns a board with all of its rows."""
        slug = re.sub(r"[^a-z0-9]+", "-", ranking.title.lower()).strip("-")[:80]
        columns = columns_of(ranking, Where.SITE)
        return cls(ranking, columns, ranking.rows, links, badges, None, f"board-{index}", f"boards/{index}-{slug}.html")

    def first(self, most: int) -> Shown:
        """Returns the board as the front page shows it: its first rows and the reference rows, or all with the plot."""
        if len(self.rows) <= most:
            return self._replace(plot=plots.cost_plot(self.ranking, dict(self.links)))
        kept = [
            row for index, row in enumerate(self.rows) if index < most or (row.method in _REFERENCES and not row.config)
        ]
        return self._replace(rows=kept, page=self.own_page)

    def below(self, root: str) -> Shown:
        """Returns the board with all rows for a page in a folder of its own."""
        links = {name: root + link for name, link in self.links.items()}
        return self._replace(links=links, plot=plots.cost_plot(self.ranking, links))


def rows_of_each(rankings: Sequence[Ranking]) -> int:
    """Returns how many rows of each board the front page has room for: all where that is no more than it holds."""
    sizes = [len(ranking.rows) for ranking in rankings[:BOARDS]]
    if sum(sizes) <= ROWS:
        return max(sizes)
    # The largest cut that fits: small boards stay whole, and what they leave is the large ones'.
    return max([cut for cut in range(1, max(sizes) + 1) if sum(min(cut, size) for size in sizes) <= ROWS])
