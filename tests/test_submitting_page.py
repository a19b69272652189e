"""The page on submitting, run word for word as a newcomer does."""

import re
import shlex
import time

import pytest

from helpers import ROOT
from unlearnbench.benchmark.measuring.provenance import git_state

PAGE = ROOT / "docs" / "submitting.md"
MINUTES = 10


def commands() -> list[str]:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.S)
    return block.strip().splitlines()


def test_the_page_names_only_verbs_that_there_are(cli):
    verbs = {shlex.split(line)[1] for line in commands()}
    assert verbs == {"new", "check", "tune", "run", "submit", "validate", "board"}
    known = cli("--help").stdout
    for verb in verbs:
        assert verb in known


@pytest.mark.slow
def test_from_an_empty_folder_to_a_row_on_the_board(fresh_cli, tmp_path):
    if git_state(ROOT)[1]:
        pytest.skip("this clone holds uncommitted changes, and records of such a one cannot be submitted; commit first")
    start = time.perf_counter()
    for line in commands():
        program, *arguments = shlex.split(line)
        assert program == "unlearnbench"
        done = fresh_cli(*arguments)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert time.perf_counter() - start < 60 * MINUTES
    assert (tmp_path / "submission" / "methods" / "mine.py").is_file()
    rows = re.findall(r'<th scope="row"><a href="[^"]*">mine</a>', (tmp_path / "site" / "index.html").read_text())
    assert len(rows) >= 1
