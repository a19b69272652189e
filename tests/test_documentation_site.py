"""The documentation in the site: rendered as on GitHub, every link followed, every page reachable, nothing from elsewhere."""

import io
import json
import re
import tomllib
from functools import cache
from urllib.parse import unquote, urldefrag

import pytest
from PIL import Image

import unlearnbench
from helpers import ROOT, anchors
from test_site import PHONE, check, dump, needs_chromium, results, site, width_on_a_phone, with_script  # noqa: F401
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.site.docs_pages import doc_pages
from unlearnbench.leaderboard.site.documents import ORDER, chapters
from unlearnbench.leaderboard.site.markdown_page import render, slug
from unlearnbench.leaderboard.site.preview import preview
from unlearnbench.leaderboard.verbs import COMMITTED_RESULTS, COMMITTED_VERIFICATIONS

FRONT_PAGE = 500_000


def rendered(text, **targets):
    return render(text, lambda link: targets.get(link.partition(".")[0]))


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("Weights out, weights in", "weights-out-weights-in"),
        ("The task `digits-ddpm`", "the-task-digits-ddpm"),
        ("digits-ddpm · forgetting", "digits-ddpm--forgetting"),
        ("What's in it?", "whats-in-it"),
        ("Über_uns", "über_uns"),
    ],
)
def test_anchors_are_githubs(title, anchor):
    assert rendered(f"# {title}").sections[0].anchor == anchor


def test_headings_that_are_alike_get_anchors_of_their_own():
    taken = {}
    assert [slug(name, taken) for name in ("Cost", "cost", "Cost")] == ["cost", "cost-1", "cost-2"]


def test_a_link_leads_to_the_page_and_what_is_not_there_keeps_its_words():
    page = rendered("# T\n\n[*a*](there.md#x) and [`b`](gone.py)", there="there.html#x")
    assert '<a href="there.html#x"><em>a</em></a> and <code>b</code></p>' in page.body


def test_html_is_text_and_comments_are_left_out():
    body = rendered("# T\n\n<!-- mark -->\n\n<script>alert(1)</script>\n\nA <b>word</b> <!-- no -->").body
    assert "mark" not in body
    assert "no --" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "&lt;b&gt;word" in body


def test_no_link_runs_a_script_and_no_picture_from_elsewhere_is_loaded():
    page = rendered("# T\n\n[x](javascript:alert(1)) ![plot](https://example.org/x.png)")
    assert 'href="javascript' not in page.body
    assert "<img" not in page.body
    assert "plot" in page.body


def test_a_picture_of_the_documentation_is_shown_and_one_that_is_not_there_is_its_words():
    page = rendered("# T\n\n![a plot](there.png) and ![another](gone.png)", **{"there": "there.png"})
    assert '<img src="there.png" alt="a plot" loading="lazy"' in page.body
    assert page.body.count("<img") == 1
    assert "and another" in page.body


def test_a_table_scrolls_in_a_region_with_a_name_and_numbers_stand_right():
    body = rendered("# T\n\n## Costs & more\n\n| a | b |\n|---|--:|\n| x | 1 |").body
    assert '<div class="scroll" tabindex="0" role="region" aria-label="Table: Costs &amp; more"><table>' in body
    assert '<th scope="col" class="num">b</th>' in body
    assert '<td class="num">1</td>' in body


def test_two_tables_of_a_section_are_announced_by_names_of_their_own():
    body = rendered("# T\n\n## Costs\n\n| a |\n|---|\n| x |\n\nMore.\n\n| b |\n|---|\n| y |").body
    assert 'aria-label="Table: Costs"' in body
    assert 'aria-label="Table 2: Costs"' in body


def test_what_is_folded_away_in_a_document_is_folded_away_on_its_page():
    body = rendered("# T\n\n<details><summary>Why (2)</summary>\n\n- one\n- two\n\n</details>\n").body
    assert "<details><summary>Why (2)</summary>" in body
    assert "</ul>\n</details>" in body


def test_code_is_coloured_where_its_language_is_known_and_escaped_where_not():
    body = rendered('# T\n\n```python\nfor x in "<b>":\n```\n\n```nonsense\n<i>\n```\n\n    a < b').body
    assert '<span class="k">for</span>' in body
    assert "&lt;i&gt;" in body
    assert "a &lt; b" in body
    assert body.count('<pre tabindex="0">') == 3


def test_a_sections_text_is_searched_without_its_numbers():
    sections = rendered("# T\n\nFirst *words*.\n\n## S\n\n| m | v |\n|---|---|\n| uno | 0.25 |\n\n    run it").sections
    assert [section.text for section in sections] == ["First words.", "uno run it"]


def test_every_document_has_its_place_and_one_that_is_new_is_not_left_out(tmp_path):
    sources = {doc.source for chapter in chapters() for doc in chapter.documents}
    assert sources == {source for files in ORDER.values() for source in files}, "give docs/*.md a place and a sentence"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "new.md").write_text("# New")
    assert [doc.source for chapter in chapters(tmp_path) for doc in chapter.documents] == ["docs/new.md"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The site of the committed records."""
    out = tmp_path_factory.mktemp("whole") / "site"
    return build_board([COMMITTED_RESULTS], out, [COMMITTED_VERIFICATIONS], COMMITTED_RESULTS).page.parent


@pytest.mark.slow
def test_every_link_of_every_page_leads_somewhere_and_every_page_is_reached(whole):
    checked = cache(check)
    pages = set(whole.rglob("*.html"))
    links = {page: set() for page in pages}
    for page in pages:
        assert len(checked(page).ids) == len(set(checked(page).ids)), page
        for reference in checked(page).references:
            if reference.startswith(("data:", "https://")):
                continue
            path, anchor = urldefrag(reference)
            target = (page.parent / unquote(path)).resolve() if path else page
            assert target.is_file(), (page, reference)
            assert not anchor or unquote(anchor) in checked(target).ids, (page, reference)
            links[page].add(target)
    reached, ahead = set(), [whole / "index.html"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += links.get(page, ())
    assert pages - reached == {whole / "search.html"}  # where the form of every page leads
    assert 'action="search.html"' in (whole / "index.html").read_text()
    assert {path for path in whole.rglob("*") if path.suffix in (".csv", ".json")} <= reached


@pytest.mark.slow
def test_nothing_is_loaded_from_another_host_and_links_there_are_the_documentations(whole):
    for page in whole.rglob("*.html"):
        text = page.read_text()
        assert not re.findall(r"<(?:script|link|img|iframe|form|source)\b[^>]*(?:https?:)?//[^>]*>", text), page
        if page.parent != whole / "docs":
            assert 'href="http' not in text, page
    for name in ("style.css", "pages.css"):
        assert "url(" not in (whole / name).read_text()


@pytest.mark.slow
def test_the_front_page_is_small_with_all_that_it_loads(whole):
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^":]+)"', (whole / "index.html").read_text())
    assert {"style.css", "pages.css"} <= set(loaded)
    assert sum((whole / name).stat().st_size for name in {"index.html", *loaded}) < FRONT_PAGE


def entries(folder):
    script = (folder / "search-index.js").read_text()
    return json.loads(script.removeprefix("window.searchEntries = ").removesuffix(";\n"))


def test_all_that_can_be_found_is_there(site):
    found = entries(site)
    titles = {title for title, *_ in found}
    assert {"About unlearnbench", "sfron", "How the score works, and why to doubt it"} <= titles
    assert any(title.startswith("Board digits-ddpm") for title in titles)
    for _, _, address, _ in found:
        path, anchor = urldefrag(address)
        assert not anchor or f'id="{anchor}"' in (site / path).read_text()
    docs = {address.partition("#")[0] for _, _, address, _ in found if address.startswith("docs/")}
    assert docs == {"docs/index.html", *(doc.document.page for doc in doc_pages())}


def test_without_javascript_the_search_page_lists_every_page(site):
    page = (site / "search.html").read_text()
    listed = page[page.index("<noscript>") : page.index("</noscript>")]
    assert "needs JavaScript" in listed
    for doc in doc_pages():
        assert f'href="{doc.document.page}"' in listed


def test_every_page_has_a_search_box_and_says_what_it_is_beside_a_link(site):
    for page in site.rglob("*.html"):
        text, root = page.read_text(), "" if page.parent == site else "../"
        assert f'action="{root}search.html" role="search"' in text
        assert f'<meta property="og:image" content="{root}preview.png">' in text
        title = re.search("<title>(.*?)</title>", text).group(1)
        assert f'<meta property="og:title" content="{title}">' in text


def test_where_the_site_will_be_is_in_the_address_of_the_picture(results, tmp_path):
    page = build_board([results], tmp_path / "site", base_url="https://example.org/board").page
    assert '<meta property="og:image" content="https://example.org/board/preview.png">' in page.read_text()


def test_an_address_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchmarkError, match=r"'example\.org' is no address of a site; write it whole, like https://"):
        unlearnbench.board(base_url="example.org")


@pytest.mark.slow
@needs_chromium
def test_the_search_finds_in_a_browser(site, tmp_path):
    page = site / "search.html"
    driver = """
<script>
addEventListener("load", () => setTimeout(async () => {
  const log = [];
  for (const words of ["SFRon", "kept weights", "c++ (", "zzzz"]) {
    box.value = words; box.dispatchEvent(new Event("input"));
    await load(); await new Promise((done) => setTimeout(done));
    log.push([document.querySelector("#count").textContent, list.querySelector("a")?.textContent]);
  }
  document.title = JSON.stringify(log);
}, 100));
</script>"""
    with_script(page, driver)
    title = re.search(r"<title>(.*?)</title>", dump(page, tmp_path, "--virtual-time-budget=5000")).group(1)
    (sfron, first), (kept, _), (odd, _), (nothing, none) = json.loads(title)
    assert (first, none) == ("sfron", None)
    assert re.match(r"\d+ found", sfron)
    assert re.match(r"\d+ found", kept)
    assert "does not work" not in odd
    assert nothing == "Nothing holds “zzzz”."


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(
    "name", ["docs/protocol.html", "docs/results.html", "docs/readme.html", "docs/index.html", "search.html"]
)
def test_no_page_of_text_is_wider_than_a_phone(site, tmp_path, name):
    assert width_on_a_phone(site / name, tmp_path) <= PHONE


def test_what_the_documentation_is_made_of_is_all_there():
    assert len(list((ROOT / "docs").glob("*.md"))) + 3 == len(doc_pages())


def test_the_citation_is_of_this_version():
    citation = dict(re.findall(r'^([a-z-]+): "?(.+?)"?$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert {"message", "title", "abstract"} <= citation.keys()
    assert not {"doi", "url", "repository-code"} & citation.keys()


def test_the_picture_beside_a_link_is_of_the_size_that_is_asked_for_and_the_same_again(site):
    picture = (site / "preview.png").read_bytes()
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.size == (1200, 630)
        assert len(opened.getcolors()) > 2
    assert preview(rank_all(anchors())) == preview(rank_all(anchors()))
