"""The page on comparing, as a reader follows it."""

import json
import re
import shlex

import pytest

from helpers import ROOT, anchors, between, make_record
from unlearnbench.benchmark.records.store import write_record

PAGE = (ROOT / "docs" / "comparing.md").read_text()
COMMANDS = [line.split("#")[0].strip() for line in PAGE.splitlines() if line.startswith("    unlearnbench ")]


def test_the_notebooks_cell_runs_word_for_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (cell,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    *lines, last = cell.strip().splitlines()
    names: dict = {}
    exec("\n".join(lines), names)
    shown = eval(last, names)
    assert names["scores"].index[-1] == "oracle"
    assert names["scores"]["oracle"] > 0.9
    assert "salun" in shown._repr_html_()
    assert "| `salun` | `relabel` |" in shown._repr_markdown_()
    assert set(names["table"]["first"]) == {"salun", "relabel"}
    assert (tmp_path / "salun.svg").read_text() == names["picture"]._repr_svg_()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_pages_commands_work_as_they_stand(cli, tmp_path, command):
    for record in (
        *anchors(),
        *(make_record(name, seed, between(0.9 - seed / 50)) for name in ("mine", "sfron") for seed in range(3)),
    ):
        write_record(tmp_path / "results", record)
    words = shlex.split(command.split(">")[0])
    done = cli(*words[1:])
    assert done.returncode == 0, done.stderr
    assert words[2] in done.stdout
    if "--json" in words:
        assert {pair["first"] for board in json.loads(done.stdout)["boards"] for pair in board["pairs"]} == {"mine"}
    if "--plot" in words:
        assert (tmp_path / "mine.svg").read_text().startswith("<svg")
