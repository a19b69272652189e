"""Markdown as a page of the site: headings with GitHub's anchors, links within the site, tables and code that scroll."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

Resolve = Callable[[str], str | None]
"""What a link of the source leads to on the site; None for what is not there."""

WRAPPED = 8
_FOLD = re.compile(r"<details><summary>[^<>]*</summary>")
"""Columns up to which a table's cells wrap; one with more scrolls anyway, and reads better with a line a row."""


class Section(NamedTuple):
    """A heading and what stands below it, up to the next."""

    level: int
    title: str
    anchor: str
    text: str


class Page(NamedTuple):
    """A document as a page."""

    title: str
    body: Markup
    sections: list[Section]


def render(text: str, resolve: Resolve) -> Page:
    """Returns a document as a page.

    HTML in the source is shown as text, and comments are left out, so that no page holds more than Markdown can say.

    Args:
        text: Markdown of GitHub's kind.
        resolve: Called with every target of a link; where it returns None, the words stay and the link goes.
    """
    tokens = _PARSER.parse(text)
    sections = list(_sections(tokens))
    for token in tokens:
        if token.type == "inline":
            token.children = list(_resolved(token.children or [], resolve))
    body = Markup(_PARSER.renderer.render(tokens, _PARSER.options, {}))  # Every rule below escapes what it shows.
    return Page(sections[0].title if sections else "", body, sections)


def slug(title: str, taken: dict[str, int]) -> str:
    """Returns a heading's anchor as GitHub makes it.

    Args:
        title: The heading without its markup.
        taken: How often each anchor came up before; counted on.
    """
    plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    count = taken.get(plain, 0)
    taken[plain] = count + 1
    return f"{plain}-{count}" if count else plain


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    """Yields the sections; gives headings their anchors, and tables and code the names that they are announced by."""
    taken: dict[str, int] = {}
    tables: Counter[str] = Counter()
    level, title, anchor = 0, "", ""
    words: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            if title:
                yield Section(level, title, anchor, " ".join(words))
            level, title, words = int(token.tag[1]), _plain(tokens[index + 1]), []
            anchor = slug(title, taken)
            token.attrSet("id", anchor)
        elif token.type == "table_open":
            tables[title] += 1
            token.meta["label"] = f"Table {tables[title]}: {title}" if tables[title] > 1 else f"Table: {title}"
        elif token.type == "inline" and tokens[index - 1].type != "heading_open":
            found = _plain(token)
            in_table = tokens[index - 1].type in ("th_open", "td_open")
            # A cell of numbers is nothing that anybody searches for.
            if not in_table or re.search(r"[^\W\d_]{2}", found):
                words.append(found)
        elif token.type in ("fence", "code_block"):
            words.append(" ".join(token.content.split()))
    if title:
        yield Section(level, title, anchor, " ".join(words))


def _plain(token: Token) -> str:
    """The words of a line without their markup."""
    shown = {"softbreak": " ", "hardbreak": " "}
    parts = [
        child.content if child.type in ("text", "code_inline", "image") else shown.get(child.type, "")
        for child in token.children or []
    ]
    return "".join(parts).strip()


def _resolved(children: Sequence[Token], resolve: Resolve) -> Iterator[Token]:
    """Yields what stands in a line; what would lead nowhere is only its words, and so is every picture from elsewhere."""
    dropped: list[bool] = []
    for token in children:
        if token.type == "link_open":
            target = resolve(str(token.attrGet("href")))
            dropped.append(target is None)
            if target is None:
                continue
            token.attrSet("href", target)
        elif token.type == "link_close" and dropped.pop():
            continue
        elif token.type == "image":
            token = _image(token, resolve)
        yield token


def _image(token: Token, resolve: Resolve) -> Token:
    """A picture of the site's own; of any other only its words."""
    target = resolve(str(token.attrGet("src")))
    if target is None or "://" in target:
        return Token("text", "", 0, content=token.content)
    token.attrSet("src", target)
    token.attrSet("loading", "lazy")
    return token


def _table_open(tokens: Sequence[Token], index: int) -> str:
    label = escape(tokens[index].meta["label"])
    row_end = next(place for place in range(index, len(tokens)) if tokens[place].type == "tr_close")
    columns = sum(token.type == "th_open" for token in tokens[index:row_end])
    kind = ' class="wide"' if columns > WRAPPED else ""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table{kind}>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _cell_open(tokens: Sequence[Token], index: int) -> str:
    token = tokens[index]
    kind = ' class="num"' if "right" in str(token.attrGet("style")) else ""
    scope = ' scope="col"' if token.tag == "th" else ""
    return f"<{token.tag}{scope}{kind}>"


def _heading_close(tokens: Sequence[Token], index: int) -> str:
    anchor = escape(str(tokens[index - 2].attrGet("id")))
    name = escape(_plain(tokens[index - 1]))
    return f' <a class="anchor" href="#{anchor}" aria-label="Link to {name}">#</a></{tokens[index].tag}>\n'


def _code(tokens: Sequence[Token], index: int) -> str:
    token = tokens[index]
    language = (token.info.split() or [""])[0]
    return f'<pre tabindex="0"><code>{_coloured(token.content, language)}</code></pre>\n'


def _coloured(code: str, language: str) -> str:
    try:
        lexer = get_lexer_by_name(language) if language else None
    except ClassNotFound:
        lexer = None
    return str(escape(code)) if lexer is None else str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


def _html(tokens: Sequence[Token], index: int) -> str:
    """HTML is text, but for what folds a part of a page away."""
    content = tokens[index].content.strip()
    if content == "</details>" or _FOLD.fullmatch(content):
        return f"{content}\n"
    return str(escape(re.sub(r"<!--.*?-->", "", tokens[index].content, flags=re.DOTALL).strip()))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    rules = {
        "table_open": _table_open,
        "table_close": _table_close,
        "th_open": _cell_open,
        "td_open": _cell_open,
        "heading_close": _heading_close,
        "fence": _code,
        "code_block": _code,
        "html_block": _html,
        "html_inline": _html,
    }
    for name, rule in rules.items():
        parser.add_render_rule(name, _bound(rule))
    return parser


def _bound(rule: Callable[[Sequence[Token], int], str]) -> Callable[..., str]:
    """A rule as the renderer calls it, with itself before and options behind."""
    return lambda _, tokens, index, *options: rule(tokens, index)


_PARSER = _parser()
