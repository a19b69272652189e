"""The pages of the documentation, their index, and the data that they link."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

from .documents import ABOUT, ROOT, Chapter, Document, chapters, data_files, picture_files
from .markdown_page import Page, Section, render

LONG = 3
"""Headings from which on a page has a table of contents beside it."""
LONGEST = 40
"""Headings of a table of contents; a page with more shows those of the upper level alone."""


class DocPage(NamedTuple):
    """A document and its page."""

    document: Document
    page: Page
    chapter: str

    @property
    def title(self) -> str:
        """What it is called in lists."""
        return ABOUT if self.document.source == "README.md" else self.page.title

    @property
    def contents(self) -> list[Section]:
        """The sections that a table of contents names; none for a short page."""
        upper = [section for section in self.page.sections if section.level == 2]
        both = [section for section in self.page.sections if section.level in (2, 3)]
        found = both if len(both) <= LONGEST else upper
        return found if len(found) >= LONG else []


@cache
def doc_pages(root: Path = ROOT) -> tuple[DocPage, ...]:
    """Returns every document as a page, in the order a reader goes; made once, since files of a release do not change."""
    found = chapters(root)
    targets = _targets(found, [*data_files(root), *picture_files(root)])
    return tuple(
        DocPage(document, render(document.text, partial(_resolve, document.source, targets)), chapter.title)
        for chapter in found
        for document in chapter.documents
    )


def _targets(found: Sequence[Chapter], files: Sequence[Path]) -> dict[str, str]:
    """Where in the site the files of the repository are."""
    pages = {document.source: document.page for chapter in found for document in chapter.documents}
    return pages | {f"docs/{path.name}": f"docs/{path.name}" for path in files}


def _resolve(source: str, targets: dict[str, str], link: str) -> str | None:
    """Returns where a link leads from a page in ``docs/``, or None if its target is no part of the site."""
    if link.startswith(("https://", "http://", "#")):
        return link
    path, _, anchor = link.partition("#")
    target = targets.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
    if target is None:
        return None
    return posixpath.basename(target) + (f"#{anchor}" if anchor else "")


def doc_files(environment: Environment, root: Path = ROOT) -> Iterator[tuple[str, bytes]]:
    """Yields the pages of the documentation with their paths."""
    pages = doc_pages(root)
    template = environment.get_template("doc.html.j2")
    for index, page in enumerate(pages):
        before = pages[index - 1] if index else None
        after = pages[index + 1] if index + 1 < len(pages) else None
        html = template.render(doc=page, before=before, after=after, root="../")
        yield page.document.page, html.encode()
    by_chapter: dict[str, list[DocPage]] = {}
    for page in pages:
        by_chapter.setdefault(page.chapter, []).append(page)
    data = data_files(root)
    index_page = environment.get_template("docs.html.j2").render(chapters=by_chapter, data=data, root="../")
    yield "docs/index.html", index_page.encode()
    for path in [*data, *picture_files(root), root / "CITATION.cff"]:
        yield f"docs/{path.name}", path.read_bytes()
