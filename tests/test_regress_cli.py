"""`unlearnbench regress` as a user calls it, and the files it writes."""

import json
from xml.etree import ElementTree

import pytest

from helpers import GOOD, anchors, make_record
from unlearnbench.benchmark.records.record import Status
from unlearnbench.benchmark.records.store import write_record
from unlearnbench.leaderboard.regression.regress import compare
from unlearnbench.leaderboard.regression.report import junit, markdown

HOSTILE = '<script>alert(1)</script> | `x` ]]> & " \x00\x1b[31m @everyone [/red] ![i](u)\nnew'


@pytest.fixture
def folders(tmp_path):
    """A baseline with its oracle and what came after it, by how much accuracy was lost."""

    def make(lost=0.0, noise=0.001, **changes):
        # Folders named for what is in them, so that a test may make several.
        now = tmp_path / f"now-{lost}-{noise}"
        for record in (*anchors(), *(_run(seed, 0.0, noise) for seed in range(3))):
            write_record(tmp_path / f"before-{noise}", record)
        for record in (*anchors(), *(_run(seed, lost, -noise, **changes) for seed in range(3))):
            write_record(now, record)
        return "--baseline", tmp_path / f"before-{noise}", "--current", now

    return make


def _run(seed, lost, noise, **changes):
    values = GOOD | {"retain_accuracy": 0.95 - lost + noise * (seed - 1)}
    return make_record("mine", seed, values, **changes)


def test_exit_codes_and_what_is_printed(cli, folders):
    done = cli("regress", *folders())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("nothing got worse by its margin.")
    done = cli("regress", *folders(lost=0.04))
    assert done.returncode == 1
    assert "regression: digits-ddpm · mine: retain_accuracy went from 0.95 to 0.91, a loss of 0.0400" in done.stdout
    done = cli("regress", *folders(lost=0.04), "--margin", "retain_accuracy=0.1")
    assert done.returncode == 0
    done = cli("regress", *folders(lost=0.02, noise=0.05))
    assert done.returncode == 2
    assert "so run more seeds" in done.stdout
    baseline = folders()
    (baseline[3] / "digits-ddpm" / "mine").rename(baseline[3].parent / "elsewhere")
    done = cli("regress", *baseline)
    assert done.returncode == 3
    assert "was not run now" in done.stdout
    assert cli("regress", *baseline, "--partial").returncode == 0


def test_json_junit_and_markdown(cli, folders, tmp_path):
    done = cli("regress", *folders(lost=0.04), "--json", "--junit", "reports/junit.xml", "--markdown", "reports/r.md")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["verdict"], found["exit_code"]) == ("regression", 1)
    (bad,) = [row for row in found["findings"] if row["verdict"] == "regression"]
    assert (bad["task"], bad["method"], bad["what"]) == ("digits-ddpm", "mine", "retain_accuracy")
    assert bad["loss"] == pytest.approx(0.04)
    assert bad["low"] < 0.04 < bad["high"]
    root = ElementTree.parse(tmp_path / "reports" / "junit.xml").getroot()
    cases = root.findall("./testsuite/testcase")
    assert int(root.get("tests")) == len(cases) == len(found["findings"])
    assert (root.get("failures"), root.get("errors")) == ("1", "0")
    (failure,) = root.findall("./testsuite/testcase/failure")
    assert failure.get("message") == bad["sentence"]
    assert int(root.get("skipped")) == sum(row["verdict"] == "not judged" for row in found["findings"])
    assert sum(int(suite.get("tests")) for suite in root) == len(cases)
    report = (tmp_path / "reports" / "r.md").read_text()
    assert report.startswith("## Unlearning: regression\n")
    assert "| **regression** |" in report
    printed = cli("regress", *folders(lost=0.04), "--markdown", "-")
    assert printed.stdout == report


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--baseline", "nowhere"), "There is no results folder nowhere"),
        (("--margin", "retain_acuracy=0.1"), "did you mean retain_accuracy"),
        (("--margin", "retain_accuracy=much"), "The margin of 'retain_accuracy' cannot be 'much'"),
        (("--margin", "retain_accuracy"), "write --margin metric=number"),
        (("--cost", "maybe"), "choose auto, required, off"),
        (("--junit", "/dev/null/x.xml"), "could not be written"),
    ],
)
def test_a_users_mistake_is_one_sentence(cli, folders, arguments, says):
    done = cli("regress", *folders(), *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_file_that_is_no_record_is_not_passed_over(cli, folders):
    arguments = folders()
    (arguments[3] / "broken.json").write_text("{")
    done = cli("regress", *arguments)
    assert done.returncode == 2
    assert "broken.json is not whole JSON" in done.stderr


def hostile():
    before = [make_record("mine", seed, passed={"note": HOSTILE}) for seed in range(2)]
    failed = [make_record("mine", s, passed={"note": HOSTILE}, status=Status.FAILED, reason=HOSTILE) for s in range(2)]
    return compare(before, failed)


def test_hostile_text_stays_text_in_xml():
    root = ElementTree.fromstring(junit(hostile()))
    messages = [failure.get("message") for failure in root.iter("failure")]
    assert len(messages) == 2
    assert all("<script>alert(1)</script>" in message and "\x00" not in message for message in messages)
    assert b"<script>" not in junit(hostile())
    assert {child.tag for child in root.iter()} == {"testsuites", "testsuite", "testcase", "failure"}


def test_hostile_text_stays_text_in_markdown():
    table = [line for line in markdown(hostile()).splitlines() if line.startswith("|")]
    assert len(table) == 4
    # Five cells, whatever bars the text has.
    assert all(line.replace("\\|", "").count("|") == 6 for line in table)
    text = markdown(hostile())
    assert not any(mark in text for mark in ("<script", " `x`", "![i]", "@everyone", "\x1b"))


def test_hostile_text_is_printed_as_it_is(cli, tmp_path):
    for record in [make_record("mine", 0, passed={"note": "[/red][bold]"})]:
        write_record(tmp_path / "a", record)
        write_record(
            tmp_path / "b", record.model_copy(update={"status": Status.FAILED, "reason": "[/x]", "metrics": []})
        )
    done = cli("regress", "--baseline", "a", "--current", "b")
    assert done.returncode == 1, done.stderr
    assert "[/red][bold]" in done.stdout
    assert "[/x]" in done.stdout


def test_python_has_the_same_verb(folders):
    import unlearnbench

    _, before, _, now = folders(lost=0.04)
    found = unlearnbench.regress(before, now, margins={"coverage": 0.2})
    assert found.exit_code == 1
    assert found.as_json()["sentence"] == found.sentence
