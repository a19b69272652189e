"""The plot of paired differences: whole without a network, nothing on top of anything else, on light and on dark."""

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from helpers import anchors, between, make_record
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.leaderboard.comparison.compare import compare_records

SVG = "{http://www.w3.org/2000/svg}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONG = {"alpha": 0.25, "noise": "uniform", "schedule": "cosine-with-restarts", "steps": 2000}


def comparison(*shares, **changes):
    records = [*anchors()]
    for index, share in enumerate(shares):
        name = f"method-{index}"
        records += [make_record(name, seed, between(share + 0.01 * (seed == index)), **changes) for seed in range(3)]
    return compare_records(records, [f"method-{index}" for index in range(len(shares))])


@pytest.fixture(params=[{}, {"passed": LONG}], ids=["short names", "long names"])
def plotted(request):
    found = comparison(0.9, 0.91, 0.5, **request.param)
    return found, ElementTree.fromstring(found.plot().svg)


def test_every_pair_stands_where_its_difference_says(plotted):
    found, tree = plotted
    ticks = {
        float(text.text.replace("−", "-")): float(text.get("x"))
        for text in tree.iter(f"{SVG}text")
        if re.fullmatch(r"[+−]?\d(\.\d+)?", text.text)
    }
    (low, left), (high, right) = min(ticks.items()), max(ticks.items())

    def across(value):
        return left + (value - low) / (high - low) * (right - left)

    groups = list(tree.iter(f"{SVG}g"))
    pairs = [pair for board in found.boards for pair in board.pairs]
    assert len(groups) == len(pairs) == 3
    for group, pair in zip(groups, pairs, strict=True):
        assert float(group.find(f"{SVG}circle").get("cx")) == pytest.approx(across(pair.score.value), abs=0.1)
        reach = group.find(f"{SVG}line")
        assert float(reach.get("x1")) == pytest.approx(across(pair.score.interval.low), abs=0.1)
        assert float(reach.get("x2")) == pytest.approx(across(pair.score.interval.high), abs=0.1)
        assert group.get("class") == ("apart" if pair.better else "open")
        assert group.find(f"{SVG}title").text.startswith(f"{pair.first} minus {pair.second}: ")
    (zero,) = {line.get("x1") for line in tree.iter(f"{SVG}line") if line.get("class") == "zero"}
    assert float(zero) == pytest.approx(across(0), abs=0.1)


def test_the_winner_is_set_bold(plotted):
    found, tree = plotted
    for group, pair in zip(tree.iter(f"{SVG}g"), found.boards[0].pairs, strict=True):
        bold = [text.text for text in group.iter(f"{SVG}text") if text.get("class") == "winner"]
        expected = {None: [], pair.first: [pair.first], pair.second: [f"− {pair.second}"]}[pair.better]
        assert len(bold) == len(expected)
        assert all(name.startswith(shown.rstrip("…")) for name, shown in zip(expected, bold, strict=True))


def test_it_has_a_title_both_colour_schemes_and_asks_for_nothing(plotted):
    _, tree = plotted
    source = ElementTree.tostring(tree, encoding="unicode")
    assert tree.find(f"{SVG}title").text == "Paired differences of scores: digits-ddpm · forgetting"
    assert "prefers-color-scheme: dark" in source
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|href|<script|url\(", source)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_no_text_covers_another_or_leaves_the_picture(plotted, tmp_path):
    found, _ = plotted
    measure = """<script>
const boxes = [...document.querySelectorAll("svg text")].map(t => [t.textContent, t.getBoundingClientRect()]);
const frame = document.querySelector("svg").getBoundingClientRect();
const circles = [...document.querySelectorAll("svg circle")].map(c => ["point", c.getBoundingClientRect()]);
const grid = Math.min(...[...document.querySelectorAll("svg .grid")].map(l => l.getBoundingClientRect().left));
const hit = (a, b) => a.left < b.right && b.left < a.right && a.top + 1 < b.bottom && b.top + 1 < a.bottom;
const bad = [];
for (const [i, [name, box]] of boxes.entries()) {
  for (const [other, at] of [...boxes.slice(i + 1), ...circles]) if (hit(box, at)) bad.push(name + " / " + other);
  if (box.left < frame.left || box.right > frame.right || box.bottom > frame.bottom) bad.push("outside: " + name);
}
for (const g of document.querySelectorAll("svg g")) for (const t of [...g.querySelectorAll("text")].slice(0, 2))
  if (t.getBoundingClientRect().right > grid) bad.push("on the grid: " + t.textContent);
document.body.innerHTML = "<pre>" + boxes.length + " texts; " + JSON.stringify(bad) + "</pre>";
</script>"""
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{found.plot().svg}{measure}</body>")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *options, str(page)], capture_output=True, text=True, timeout=120)
    assert re.search(r"<pre>\d\d texts; \[\]</pre>", done.stdout), done.stdout[-2000:]


def test_equal_scores_leave_a_scale_to_draw_on():
    tree = ElementTree.fromstring(comparison(-0.5, -0.5).plot().svg)
    assert [text.text for text in tree.iter(f"{SVG}text") if text.text == "the same on every seed"]


def test_saving_takes_an_svg_name_and_a_folder_that_can_be_written(tmp_path):
    figure = comparison(0.9, 0.5).plot()
    assert figure.save(tmp_path / "new" / "x.svg").read_text() == figure.svg
    with pytest.raises(BenchmarkError, match=r"does not end in \.svg; name it x\.svg"):
        figure.save(tmp_path / "x.png")
    with pytest.raises(BenchmarkError, match="could not be written"):
        figure.save(tmp_path / "new" / "x.svg" / "y.svg")
