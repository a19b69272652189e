"""The static site: whole without a network and without JavaScript, safe against what records may hold."""

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from helpers import ROOT, anchors, between, make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.records.record import Gallery, Status
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.docs.make.results import results_text
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.site.docs_pages import doc_pages

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TASK_PAGE = "tasks/digits-ddpm.html"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    gallery = Gallery(png_base64=PIXEL, rows=["3 (forgotten)"], columns=1, tile=1)
    records = [record.model_copy(update={"gallery": gallery}) for record in anchors()]
    for seed, share in enumerate((0.9, 0.91, 0.92)):
        records.append(make_record("sfron", seed, between(share), gallery=gallery))
        records.append(make_record("ascent", seed, between(share, retain_accuracy=0.2), seconds=100.0))
    records.append(make_record("salun", 0, status=Status.FAILED, reason="<script>alert(1)</script> & more"))
    for record in records:
        write_record(folder, record)
    return folder


@pytest.fixture
def site(results, tmp_path):
    return build_board([results], tmp_path / "site").page.parent


class Checker(HTMLParser):
    """Collects references, identifiers and whether every element is closed."""

    VOID = {"meta", "link", "img", "input", "br", "hr", "line", "circle", "path"}

    def __init__(self):
        super().__init__()
        self.open, self.references, self.ids, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("href", "src"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)
            assert not name.startswith("on"), name
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def check(page):
    checker = Checker()
    checker.feed(page.read_text())
    return checker


def test_every_page_is_well_formed_and_every_link_leads_somewhere(site):
    pages = sorted(site.rglob("*.html"))
    # Front page, rules, data, search, the index of the documentation; the task; a page a method, and a page a row.
    assert len(pages) == 5 + 1 + 5 + 5 + len(doc_pages())
    for page in pages:
        checker = check(page)
        assert checker.open == []
        assert len(checker.ids) == len(set(checker.ids))
        for reference in checker.references:
            if reference.startswith(("data:", "https://")):
                continue
            path, _, anchor = reference.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), (page.name, reference)
            assert not anchor or anchor in check(target).ids


def test_nothing_is_requested_from_anywhere(site):
    for file in site.rglob("*"):
        if file.suffix not in (".html", ".css", ".js") or file.name == "search-index.js":
            continue
        text = re.sub(r"^\s*//.*$", "", file.read_text(), flags=re.M)
        assert "@import" not in text
        # Who reads the documentation may follow a link; nothing is loaded from there.
        if file.parent.name == "docs":
            text = re.sub(r'<a href="https://[^"]*">', "", text)
            assert not re.search(r'(src|href|action)="[^"]*//', text), file
        else:
            assert "//" not in text, file


def test_what_a_record_says_is_text_not_markup(site):
    page = next(site.glob("rows/*-salun.html")).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script>alert" not in page


def test_the_front_page_is_small_and_readable_without_javascript(site):
    text = (site / "index.html").read_text()
    assert len(text) < 500_000
    for expected in ("sfron", "oracle", "ascent", "salun", "<svg", "<table"):
        assert expected in text


def test_a_method_page_shows_samples_of_original_oracle_and_method_side_by_side(site):
    text = next(site.glob("rows/*-sfron.html")).read_text()
    assert re.findall(r"<figcaption>(\w+)</figcaption>", text) == ["original", "oracle", "sfron"] * 3
    assert "unlearnbench run digits-ddpm sfron --seeds 0" in text


def test_what_no_row_was_measured_by_has_no_column(results, site, tmp_path):
    def titles(page):
        return re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', (page.parent / TASK_PAGE).read_text())

    assert "Relearned" in titles(site / "index.html")
    assert not {"Inverted acc.", "Benign acc."} & set(titles(site / "index.html"))
    assert "benign_accuracy" not in json.loads((site / "board.json").read_text())[0]
    record = make_record("salun", 1)
    benign = record.metrics[0].model_copy(update={"name": "benign_accuracy", "direction": "info"})
    write_record(results, record.model_copy(update={"metrics": [*record.metrics, benign]}))
    assert "Benign acc." in titles(build_board([results], tmp_path / "other").page)


def test_the_rules_hold_every_gate_with_its_noise_and_every_component(site):
    rules = (site / "rules.html").read_text()
    assert "retain loss at most the worse of original and oracle + 25% of it (1% is noise)" in rules
    for part in ("asked", "unasked", "inverted", "relearned"):
        assert f'<th scope="row">{part}</th>' in rules


def test_a_failed_run_has_a_page_with_its_reason(site):
    assert "ended as failed" in next(site.glob("rows/*-salun.html")).read_text()


def test_the_data_files_hold_the_same_rows(site):
    rows = json.loads((site / "board.json").read_text())
    table = list(csv.DictReader(io.StringIO((site / "board.csv").read_text())))
    assert [row["method"] for row in rows] == [row["method"] for row in table]
    assert {row["method"] for row in rows} == {"original", "oracle", "sfron", "ascent", "salun"}


def test_a_build_repeated_gives_the_same_bytes(results, site, tmp_path):
    again = build_board([results], tmp_path / "again").page.parent
    files = sorted(file.relative_to(site) for file in site.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(again) for file in again.rglob("*") if file.is_file())
    assert all((site / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_the_board_is_the_same_whatever_record_was_lost_and_made_again(results, site, tmp_path):
    for path in sorted(results.rglob("*.json"))[:4]:
        kept = path.read_bytes()
        path.unlink()
        build_board([results], tmp_path / "lost")
        path.write_bytes(kept)
    again = build_board([results], tmp_path / "again").page
    assert again.read_bytes() == (site / "index.html").read_bytes()


def test_broken_records_are_reported_and_the_rest_is_built(results, tmp_path):
    (results / "digits-ddpm" / "broken.json").write_text("{")
    board = build_board([results], tmp_path / "site")
    assert board.page.is_file()
    assert len(board.problems) == 1


def test_no_record_at_all_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkError, match="There is no record to build a board from"):
        build_board([tmp_path / "empty"], tmp_path / "site")


def test_the_published_results_are_those_of_the_committed_records():
    assert (ROOT / "docs" / "results.md").read_text() == results_text(), "run `make results`"


def with_script(page, script):
    """Adds a script to a page, and drops the policy that forbids it."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    page.write_text(text.replace("</body>", script + "</body>"))


def test_the_pages_policy_forbids_scripts_that_a_record_could_bring(site):
    for page in site.rglob("*.html"):
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.read_text())
        assert "script-src 'self'" in policy.group(1)
        assert "default-src 'none'" in policy.group(1)
        assert not re.search(r"<script>", page.read_text())


def dump(page, tmp_path, *flags):
    """The page's DOM after its scripts ran, in a real browser without a network."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.mark.slow
@needs_chromium
def test_sorting_and_filtering_work_in_a_browser(site, tmp_path):
    page = site / TASK_PAGE
    driver = """
<script>
addEventListener("load", () => {
  const shown = () => [...document.querySelectorAll("table.ranking tbody tr:not([hidden]) th a")];
  const names = () => shown().map((a) => a.textContent).join(",");
  const log = [names()];
  const header = [...document.querySelectorAll("table.ranking thead button")];
  const find = (text) => header.find((button) => button.textContent.trim() === text);
  find("Method").click(); log.push(names());
  find("Method").click(); log.push(names());
  find("Time").click(); log.push(names());
  const box = document.querySelector(".board input[type=search]");
  box.value = "SF"; box.dispatchEvent(new Event("input", { bubbles: true })); log.push(names());
  box.value = ""; box.dispatchEvent(new Event("input", { bubbles: true }));
  const references = document.querySelector("input[value=reference]");
  references.click(); log.push(names());
  document.title = JSON.stringify([log, find("Time").closest("th").getAttribute("aria-sort")]);
});
</script>"""
    with_script(page, driver)
    title = re.search(r"<title>(.*?)</title>", dump(page, tmp_path)).group(1)
    log, sort = json.loads(title)
    first, ascending, descending, by_time, found, without = (entry.split(",") for entry in log)
    assert first[0] == "oracle"
    assert ascending == sorted(ascending)
    assert descending == sorted(descending, reverse=True)
    assert (by_time[-2:], sort) == (["ascent", "salun"], "ascending")  # a missing time comes last
    assert found == ["sfron"]
    assert not {"original", "oracle"} & set(without)


PHONE = 390


def width_on_a_phone(page, tmp_path):
    """How wide a page becomes in a window of a phone's width, in pixels."""
    probe = (
        "<script>addEventListener('load', () => parent.postMessage(document.documentElement.scrollWidth, '*'))</script>"
    )
    with_script(page, probe)
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<script>addEventListener('message', (event) => { document.title = event.data })</script>"
        f'<iframe src="{page.as_uri()}" width="{PHONE}" height="800"></iframe>'
    )
    html = dump(frame, tmp_path, "--virtual-time-budget=3000")
    return int(re.search(r"<title>(\d+)</title>", html).group(1))


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("name", ["index.html", "rules.html", TASK_PAGE, "methods/sfron.html", "rows"])
def test_no_page_is_wider_than_a_phone(site, tmp_path, name):
    page = next((site / "rows").glob("*-sfron.html")) if name == "rows" else site / name
    assert width_on_a_phone(page, tmp_path) <= PHONE
