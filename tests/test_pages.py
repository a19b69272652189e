"""What the pages of the site say: the matrix, a page a task, a page a method, and what speaks against the score."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from helpers import ROOT, TASK, anchors, between, make_record
from test_site import CHROMIUM, PIXEL, check, dump, needs_chromium, with_script
from unlearnbench.benchmark.records.record import Gallery
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.benchmark.running.tuned import Found, SettingsFile, Trial
from unlearnbench.docs.make.facts import facts_text
from unlearnbench.leaderboard.columns import ranks_between
from unlearnbench.leaderboard.overall import standard_boards
from unlearnbench.leaderboard.ranking import rank_all
from unlearnbench.leaderboard.site import method_pages
from unlearnbench.leaderboard.site.build import build_board
from unlearnbench.leaderboard.site.doubts import doubts
from unlearnbench.leaderboard.site.facts import method_facts, not_applicable, task_facts
from unlearnbench.leaderboard.site.news import latest_changes
from unlearnbench.leaderboard.site.plots import harm_chart
from unlearnbench.leaderboard.site.sensitivity import search_of

FRONT_PAGE = 500_000
REQUESTS = (0, 3)


def of_request(record, digit, name="digits-ddpm"):
    """A record of another request of one task."""
    task = TASK.model_copy(
        update={
            "name": name,
            "sha256": f"{digit + 10:064x}",
            "shared_sha256": "7" * 64,
            "request": {"forget_class": digit},
            "config": {"forget_class": digit},
        }
    )
    return record.model_copy(update={"task": task, "run_id": f"{digit}{len(name) % 10}{record.run_id[2:]}"})


def with_curve(record, start):
    """A record whose attack is known step by step, with a gallery."""
    curve = [(0, start), (10, start / 2)]
    metrics = [
        one.model_copy(update={"curve": curve}) if one.name == "inverted_loss" else one for one in record.metrics
    ]
    gallery = Gallery(png_base64=PIXEL, rows=["3 (forgotten)"], columns=1, tile=1)
    return record.model_copy(update={"metrics": metrics, "gallery": gallery})


@pytest.fixture(scope="module")
def records():
    found = []
    for digit in REQUESTS:
        runs = [with_curve(record, 0.4 if record.method.name == "oracle" else 0.1) for record in anchors()]
        for seed in range(3):
            runs.append(with_curve(make_record("sfron", seed, between(0.9 - seed / 100)), 0.3))
            runs.append(make_record("ascent", seed, between(0.9, retain_accuracy=0.8)))
            runs.append(make_record("ebu", seed, between(0.3)))
            runs.append(make_record("cheat-remap", seed, between(0.05), role="cheat"))
            runs.append(make_record("salun", seed, between(0.5), passed={"lr": 0.1}))
            runs.append(make_record("salun", seed, between(0.6), passed={"lr": 0.2}))
        found += [of_request(record, digit) for record in runs]
    found += [of_request(record, 5, "digits-dit") for record in (*anchors(), make_record("salun", 0, between(0.4)))]
    return found


@pytest.fixture(scope="module")
def site(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for record in records:
        write_record(folder / "results", record)
    return build_board([folder / "results"], folder / "site").page.parent


class Text(HTMLParser):
    """The tables of a page as text, row by row, with the titles of cells."""

    def __init__(self):
        super().__init__()
        self.rows, self.titles, self._cell = [], [], None

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True
            self.titles.append(dict(attributes).get("title", ""))

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data):
        if self._cell:
            self.rows[-1][-1] += data


def rows_of(page):
    """The first cells of table rows, with the others; text alone."""
    text = Text()
    text.feed(page.read_text())
    return {
        " ".join(row[0].split()): [" ".join(cell.split()) for cell in row[1:]] for row in text.rows if row
    }, text.titles


def test_every_ranked_row_of_a_tasks_first_board_is_in_the_matrix_with_its_ranks(site, records):
    rows, titles = rows_of(site / "index.html")
    boards = standard_boards(rank_all(records))
    assert [board.task for board in boards] == ["digits-ddpm", "digits-dit"]
    for index, board in enumerate(boards):
        for row in board.rows:
            if row.rank is not None and not row.config:
                name = next(name for name in rows if name.split()[0] == row.method)
                assert re.fullmatch(f"{row.score:.2f}1?{ranks_between(row)}", rows[name][1 + index]), row.name
                assert any(title.startswith(f"{row.name}, defaults of then: score {row.score:.3f}") for title in titles)
    assert rows["sfron"][0].startswith("100 %")
    assert list(rows)[1] == "sfron"


def test_an_empty_cell_says_why_and_a_row_set_by_hand_says_so(site):
    rows, titles = rows_of(site / "index.html")
    assert rows["sfron"][2] == "not run"
    assert re.match(r"0\.\d\dh", rows["salun"][1])
    assert any(title.startswith("salun (lr=0.2) set by hand: score") for title in titles)
    assert re.match(r"0\.\d\d1", rows["salun"][2])
    assert not_applicable("digits-ddpm", "li2024") == "an encoder"
    assert not_applicable("digits-ddpm", "sfron") is None
    assert not_applicable("a-plugins-task", "li2024") is None


def test_the_front_page_shows_pictures_of_the_same_noise_and_what_forgetting_costs(site):
    text = (site / "index.html").read_text()
    figures = re.findall(r"<figcaption>([\w-]+)", text[text.index('class="strips"') :])
    assert figures == ["original", "oracle", "sfron"]  # the others left no pictures
    assert "Forgetting against harm" in text
    assert "Score against cost" in text
    assert "Newest results" in text
    assert "Since the last release" in text
    assert "Small: pictures of 8 × 8 pixels" in text


def test_the_front_page_is_small_with_all_that_it_loads(site):
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^":]+)"', (site / "index.html").read_text())
    assert sum((site / name).stat().st_size for name in {"index.html", *loaded}) < FRONT_PAGE


def test_harm_is_what_is_used_up_of_the_utility_and_the_front_of_the_best_is_its_upper_left(records):
    board = standard_boards(rank_all(records))[0]
    rows = {row.name: row for row in board.rows}
    assert rows["ascent"].harm == pytest.approx(1 - rows["ascent"].component("utility"))
    assert rows["ascent"].forgotten > rows["ascent"].score
    assert rows["sfron"].forgotten == pytest.approx(rows["sfron"].score / rows["sfron"].component("utility"), abs=0.01)
    chart = harm_chart(board.rows, dict.fromkeys(rows, "#"))
    best = max((row for row in board.rows if row.role == "method" and row.rank), key=lambda row: row.forgotten)
    assert best.name in chart.leaders
    assert "oracle" not in chart.leaders
    heights = {point.name: point.y for point in chart.points}
    assert [heights[name] for name in chart.leaders] == sorted((heights[name] for name in chart.leaders), reverse=True)


def test_a_tasks_page_has_the_essential_columns_first_and_every_request_apart(site):
    text = (site / "tasks" / "digits-ddpm.html").read_text()
    heads = re.findall(r'<th scope="col" role="columnheader"([^>]*)>([^<]+)</th>', text.partition("</thead>")[0])
    essential = [title for kind, title in heads if "extra" not in kind]
    assert essential == [
        "Rank",
        "Method",
        "Score",
        "Asked",
        "Unasked",
        "Inverted",
        "Relearned",
        "Harm",
        "Cost",
        "Tuning",
    ]
    assert {"Time", "Memory", "Runs"} <= {title for kind, title in heads if "extra" in kind}
    apart = text[text.index("Each request apart") :]
    assert re.findall(r'<th scope="col" class="cell">(forget_class=\d)</th>', apart)[:2] == [
        "forget_class=0",
        "forget_class=3",
    ]


def test_what_a_browser_sets_side_by_side_is_beside_the_page(site):
    data = json.loads((site / "tasks" / "digits-ddpm.json").read_text())
    assert (
        site / "tasks" / "digits-ddpm.js"
    ).read_text() == f"window.taskBoards = {json.dumps(data, separators=(',', ':'))};\n"
    board = data["forgetting"]
    assert board["cases"][0] == "forget_class=0, seed 0"
    assert board["quantiles"][4] == pytest.approx(2.5706, abs=1e-4)  # Student's with five degrees of freedom
    rows = {row["name"]: row for row in board["rows"]}
    assert len(rows["sfron"]["scores"]) == 6
    assert rows["ebu"]["name"] in {board["rows"][index]["name"] for index in rows["sfron"]["better_than"]}
    assert rows["sfron"]["curves"]["forget_class=3"] == {"inverted loss (resnet)": [[0, 0.3], [10, 0.15]]}
    assert (site / rows["sfron"]["galleries"][0]).is_file()


def test_a_methods_page_holds_all_its_tasks_its_rule_and_its_curves(site):
    text = (site / "methods" / "salun.html").read_text()
    for expected in (
        method_facts("salun").does,
        "digits-ddpm · forgetting",
        "digits-dit · forgetting",
        "lr=0.1",
        "lr=0.2",
    ):
        assert expected in text, expected
    assert "unlearnbench run digits-dit salun" in text
    curves = (site / "methods" / "sfron.html").read_text()
    assert "sfron: 0.3 after 0, 0.15 after 10" in curves
    assert "oracle: 0.4 after 0, 0.2 after 10" in curves
    assert curves.count("<details") == 6  # a gallery a run
    assert "rebuilt from descriptions" in (site / "methods" / "ebu.html").read_text()
    assert "rebuilt from descriptions" not in curves


def test_the_rules_say_what_speaks_against_the_score(site):
    text = (site / "rules.html").read_text()
    for anchor in ("rules", "telling", "attacks", "looks", "stability", "limits", "tracks"):
        assert f'id="{anchor}"' in text
    found = doubts(ROOT)
    assert f"{found.tried} tricks on weights were tried" in text
    assert found.tricks[0].name in text
    assert all(0 <= one.auc <= 1 for one in found.telling)
    assert 'href="docs/meta-evaluation.html"' in text


def test_doubts_without_their_files_are_none(tmp_path):
    found = doubts(tmp_path)
    assert (found.telling, found.tricks, found.looks, found.tried) == ([], [], [], 0)
    assert latest_changes(tmp_path) == []


def test_what_a_search_tried_is_laid_out_setting_by_setting(tmp_path, monkeypatch):
    history = [
        Trial(settings={"lr": lr, "mask": mask}, request={"forget_class": 7}, seed=0, score=score)
        for lr, mask, score in ((1e-4, "a", 0.1), (1e-3, "b", 0.9), (1e-2, "a", 0.5))
    ]
    found = Found(
        settings=history[1].settings,
        trials=3,
        score=0.9,
        paper_score=0.1,
        seconds=1.0,
        source_sha256="2" * 64,
        history=history,
    )
    file = SettingsFile(task="toy", methods={"mine": found})
    (tmp_path / "toy.json").write_text(file.model_dump_json())
    search = search_of("toy", "mine", tmp_path)
    lr, mask = search.panels
    assert (lr.setting, mask.setting) == ("lr", "mask")
    left, middle, right = (dot.x for dot in lr.dots)
    assert middle - left == pytest.approx(right - middle)  # by the logarithm
    assert mask.dots[0].x == mask.dots[2].x < mask.dots[1].x
    assert [dot.best for dot in lr.dots] == [False, True, False]
    assert lr.dots[1].y < lr.dots[2].y < lr.dots[0].y
    assert search_of("toy", "other", tmp_path) is None
    (tmp_path / "digits-ddpm.json").write_text(SettingsFile(task="digits-ddpm", methods={"a": found}).model_dump_json())
    monkeypatch.setattr(method_pages, "search_of", lambda task, method: search_of(task, method, tmp_path))
    for record in [*anchors(), make_record("a", 0, between(0.5)), make_record("b", 0, between(0.4))]:
        write_record(tmp_path / "results", record)
    pages = build_board([tmp_path / "results"], tmp_path / "site").page.parent / "methods"
    assert "3 settings tried, score 0.90, the paper&#39;s 0.10" in (pages / "a.html").read_text().replace("'", "&#39;")
    assert (pages / "a.html").read_text().count('<circle class="best"') == 2
    assert "settings tried" not in (pages / "b.html").read_text()
    assert search_of("absent", "mine", tmp_path) is None
    # A reader's own run of the method has a column of its own, and no search.
    write_record(tmp_path / "mine", make_record("a", 1, between(0.6)))
    folders = [tmp_path / "results", tmp_path / "mine"]
    pages = build_board(folders, tmp_path / "both", shipped=folders[0]).page.parent / "methods"
    text = (pages / "a.html").read_text()
    assert text.count("settings tried") == 1
    assert len(re.findall(r'<th scope="col">digits-ddpm <span class="badge[^>]*>yours', text)) == 1


def test_what_the_site_knows_of_methods_and_tasks_is_what_their_classes_say():
    assert (ROOT / "leaderboard" / "site" / "facts.json").read_text() == facts_text(), "run `make docs`"
    assert task_facts("digits-ddpm").tier == "embedded"


def test_every_link_and_anchor_of_the_pages_leads_somewhere(site):
    pages = [path for path in site.rglob("*.html") if path.parent.name != "docs"]
    known = {page: check(page) for page in site.rglob("*.html")}
    for page in pages:
        for reference in known[page].references:
            if not reference.startswith("data:"):
                path, _, anchor = reference.partition("#")
                target = (page.parent / path).resolve() if path else page
                assert target.is_file(), (page.name, reference)
                assert not anchor or anchor in known[target].ids, (page.name, reference)


def test_pages_have_one_heading_landmarks_of_their_own_names_and_regions_that_the_keyboard_reaches(site):
    for page in (path for path in site.rglob("*.html") if path.parent.name != "docs"):
        text = page.read_text()
        assert len(re.findall("<h1", text)) == 1, page
        levels = [int(level) for level in re.findall(r"<h(\d)", text)]
        assert all(after <= before + 1 for before, after in pairwise(levels)), (page, levels)
        labels = re.findall(r'<(?:nav|div)[^>]*aria-label="([^"]*)"', text)
        assert len(labels) == len(set(labels)), (page, labels)
        for scroll in re.findall(r'<div class="scroll"[^>]*>', text):
            assert 'tabindex="0"' in scroll, page
            assert "aria-label=" in scroll, page
        assert not [image for image in re.findall("<img[^>]*>", text) if 'alt="' not in image], page


def luminance(colour):
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(scheme):
    css = (ROOT / "leaderboard" / "site" / "static" / "style.css").read_text()
    values = re.findall(r"--(\w+): (#[0-9a-f]{6}|\d+ \d+ \d+)", css[: css.index("* { box-sizing")])
    half = len(values) // 2
    named = dict(values[:half] if scheme == "light" else values[half:])
    colours = {
        name: tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))
        if text[0] == "#"
        else tuple(map(int, text.split()))
        for name, text in named.items()
    }
    for ground in ("page", "panel"):
        for text in ("ink", "soft", "link", "method", "cheat", "reference", "gate", "bad", "good"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    deepest = max(float(share) for share in re.findall(r"\.l\d+ \{ background: rgb\(var\(--heat\) / ([\d.]+)\)", css))
    shaded = [
        deepest * heat + (1 - deepest) * panel for heat, panel in zip(colours["heat"], colours["panel"], strict=True)
    ]
    assert contrast(colours["ink"], shaded) >= 4.5


@pytest.mark.slow
@needs_chromium
def test_a_link_shows_the_rows_that_were_chosen_side_by_side(site, tmp_path):
    assert CHROMIUM
    page = site / "tasks" / "digits-ddpm.html"
    with_script(
        page,
        """<script>
addEventListener("load", () => {
  location.hash = "forgetting.rows=sfron|ebu&forgetting.sort=method&forgetting.find=s";
  setTimeout(() => {
    const rows = [...document.querySelectorAll("#forgetting table.ranking tbody tr:not([hidden]) th a")];
    const pairs = [...document.querySelectorAll("#forgetting .beside table")].at(-1);
    const boxes = [...document.querySelectorAll("#forgetting th input")];
    boxes.find((box) => box.value === "ebu").click();
    document.title = JSON.stringify([rows.map((a) => a.textContent), pairs.textContent, location.hash]);
  }, 800);
});
</script>""",
    )
    title = re.search(r"<title>(.*?)</title>", dump(page, tmp_path, "--virtual-time-budget=4000")).group(1)
    names, pairs, address = json.loads(title.replace("&amp;", "&"))
    assert names == sorted(names)
    assert "ebu" not in names
    assert "sfron is better beyond doubt" in pairs
    assert "forgetting.rows=sfron&" in address
