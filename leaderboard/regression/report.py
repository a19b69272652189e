"""A comparison for readers and for machines: a table on the terminal, Markdown, and JUnit's XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...benchmark.commands.consoles import say
from ...benchmark.records.files import write_atomically
from ..markdown import markdown_table, plain, printable
from .verdicts import Finding, Verdict, Verdicts

_STYLES = {Verdict.FINE: "green", Verdict.REGRESSION: "red", Verdict.NOT_JUDGED: "dim"}


def write_reports(
    console: Console,
    comparison: Verdicts,
    *,
    junit_file: Path | None = None,
    markdown_file: Path | None = None,
    as_json: bool = False,
) -> None:
    """Prints a comparison and writes the files that are asked for.

    Args:
        console: Where to print.
        comparison: What was found.
        junit_file: File for JUnit's XML.
        markdown_file: File for Markdown; ``-`` prints it instead of the table.
        as_json: Whether to print JSON instead of the table.

    Raises:
        BenchmarkError: A file cannot be written.
    """
    if junit_file is not None:
        write_atomically(junit_file, junit(comparison))
    to_terminal = markdown_file == Path("-")
    if markdown_file is not None and not to_terminal:
        write_atomically(markdown_file, markdown(comparison).encode())
    if as_json:
        console.file.write(json.dumps(comparison.as_json(), indent=1) + "\n")
    elif to_terminal:
        console.file.write(markdown(comparison))
    else:
        print_comparison(console, comparison)


def print_comparison(console: Console, comparison: Verdicts) -> None:
    """Prints every finding, the notes and the verdict."""
    for row in _by_row(comparison):
        say(console, f"{row[0].row} · {row[0].device}", style="bold")
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in row:
            style = _STYLES.get(finding.verdict, "yellow")
            table.add_row(escape(finding.what), f"[{style}]{finding.verdict}[/{style}]", escape(_further(finding)))
        console.print(table)
        console.print()
    for note in comparison.notes:
        say(console, f"note: {note}")
    say(console, comparison.sentence, style=_STYLES.get(comparison.verdict, "yellow"))


def _further(finding: Finding) -> str:
    """The sentence without the name that stands before it."""
    return finding.sentence.removeprefix(f"{finding.what} ")


def markdown(comparison: Verdicts) -> str:
    """Returns the comparison as Markdown, for a pull request or a job's summary."""
    lines = [f"## Unlearning: {comparison.verdict}", "", plain(comparison.sentence), ""]
    lines += [markdown_table(("row", "device", "what", "verdict", "why"), map(_cells, comparison.findings)), ""]
    lines += [f"- {plain(note)}" for note in comparison.notes]
    return "\n".join(lines).rstrip() + "\n"


def _cells(finding: Finding) -> tuple[str, ...]:
    verdict = f"**{finding.verdict}**" if finding.verdict is Verdict.REGRESSION else str(finding.verdict)
    return plain(str(finding.row)), plain(finding.device), plain(finding.what), verdict, plain(finding.sentence)


def junit(comparison: Verdicts) -> bytes:
    """Returns the comparison as JUnit's XML: a suite a row, a case a metric.

    A regression is a ``failure``, what is not comparable an ``error``, what is not decided ``skipped``.
    """
    root = ElementTree.Element("testsuites", {"name": "unlearnbench regress", **_counts(comparison.findings)})
    for row in _by_row(comparison):
        name = printable(f"{row[0].row} · {row[0].device}")
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_counts(row)})
        for finding in row:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=printable(finding.what), time="0")
            if tag := _tag(finding):
                outcome = ElementTree.SubElement(case, tag, message=printable(finding.sentence))
                if tag != "skipped":
                    outcome.set("type", finding.verdict.value)
                outcome.text = printable(finding.sentence)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _by_row(comparison: Verdicts) -> list[list[Finding]]:
    return [list(found) for _, found in groupby(comparison.findings, key=lambda finding: (finding.row, finding.device))]


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    tags = [_tag(finding) for finding in findings]
    return {
        "tests": str(len(tags)),
        "failures": str(tags.count("failure")),
        "errors": str(tags.count("error")),
        "skipped": str(tags.count("skipped")),
        "time": "0",
    }


def _tag(finding: Finding) -> str:
    tags = {Verdict.FINE: "", Verdict.REGRESSION: "failure", Verdict.NOT_COMPARABLE: "error"}
    return tags.get(finding.verdict, "skipped")
