"""Ten thousand records: time, memory, sizes, the same bytes again."""

import hashlib
import json
import random
import subprocess
import sys

import pytest

from helpers import GOOD, TASK, UNTOUCHED, anchors, between, make_record
from test_site import PIXEL, check
from unlearnbench.benchmark.records.record import Gallery
from unlearnbench.benchmark.records.store import record_bytes, write_record
from unlearnbench.leaderboard.site import front
from unlearnbench.leaderboard.site.build import build_board

TASKS, METHODS, SEEDS = 10, 200, 5
CODE = """
import json, resource, sys, time
from pathlib import Path
from unlearnbench.leaderboard.site.build import build_board
start = time.process_time()
build_board([Path(sys.argv[1])], Path(sys.argv[2]))
print(json.dumps([time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def write_many(folder, tasks=TASKS, methods=METHODS, seeds=SEEDS):
    generator = random.Random(0)
    gallery = Gallery(png_base64=PIXEL, rows=["3"], columns=1, tile=1)
    for number in range(tasks):
        task = TASK.model_copy(
            update={"name": f"digits-{number}", "sha256": hashlib.sha256(str(number).encode()).hexdigest()}
        )
        for method in ("original", "oracle", *(f"method-{index}" for index in range(methods - 2))):
            for seed in range(seeds):
                values = {"original": UNTOUCHED, "oracle": GOOD}.get(method)
                share = min(1.0, max(0.0, len(method) % 7 / 10 + generator.random() / 3))
                identity = hashlib.sha256(f"{number} {method} {seed}".encode()).hexdigest()
                seconds = 10 ** generator.uniform(-1, 3)
                record = make_record(
                    method, seed, values or between(share), task=task, run_id=identity, seconds=seconds, gallery=gallery
                )
                path = folder / record.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(record_bytes(record))


@pytest.mark.slow
@pytest.mark.alone
def test_ten_thousand_records_build_in_a_minute_and_a_gigabyte(tmp_path):
    write_many(tmp_path / "results")
    assert len(list((tmp_path / "results").rglob("*.json"))) == 10_000
    sites = [tmp_path / "one", tmp_path / "two"]
    for site in sites:
        command = [sys.executable, "-c", CODE, str(tmp_path / "results"), str(site)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        seconds, megabytes = json.loads(done.stdout)
        assert seconds < 60
        assert megabytes < 1000
    assert (sites[0] / "index.html").stat().st_size < 500_000
    files = [sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file()) for site in sites]
    assert files[0] == files[1]
    assert len(files[0]) > TASKS * METHODS
    assert all((sites[0] / name).read_bytes() == (sites[1] / name).read_bytes() for name in files[0])


def test_of_many_methods_the_front_page_shows_the_best_and_names_the_others_and_every_link_leads_somewhere(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(front, "CELLS", 30)
    for record in anchors():
        write_record(tmp_path / "results", record)
    for number in range(50):
        write_record(tmp_path / "results", make_record(f"method-{number}", 0, between(number / 60)))
    site = build_board([tmp_path / "results"], tmp_path / "site").page.parent
    first, whole = site / "index.html", site / "tasks" / "digits-ddpm.html"
    text = first.read_text()
    assert "<summary>20 more rows</summary>" in text
    assert text.count('<tr class="method"') == 30
    assert all(f'<a href="methods/method-{number}.html">' in text for number in range(50))
    assert (
        text.index("method-49.html") < text.index("method-20.html") < text.index("more rows") < text.index("-19.html")
    )
    assert whole.read_text().count('data-role="method"') == 50
    for page in (first, whole):
        for reference in check(page).references:
            if not reference.startswith("data:"):
                path = reference.partition("#")[0]
                assert not path or (page.parent / path).resolve().is_file(), reference


def test_a_picture_is_written_once_however_many_pages_show_it(tmp_path):
    gallery = Gallery(png_base64=PIXEL, rows=["3"], columns=1, tile=1)
    for record in [*anchors(), *(make_record(f"m-{number}", 0, between(0.5)) for number in range(5))]:
        write_record(tmp_path / "results", record.model_copy(update={"gallery": gallery}))
    site = build_board([tmp_path / "results"], tmp_path / "site").page.parent
    (picture,) = (site / "samples").iterdir()
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert f'src="../samples/{picture.name}"' in next(site.glob("rows/*m-3.html")).read_text()
