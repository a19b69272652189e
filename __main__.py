"""The command line: ``unlearnbench`` or ``python -m unlearnbench``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import unlearnbench

from .benchmark.errors import BenchmarkError
from .benchmark.terminal import RunProgress, task_progress

USER_ERROR = 2
RUNS_FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    help="Benchmark machine unlearning in generative image models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Results = Annotated[Path, typer.Option("--results", help="Folder of records.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="File that defines methods or tasks; repeatable.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value of the task or the method; repeatable.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Runs at a time [default: one a core, or one on a GPU].")]
Threads = Annotated[int, typer.Option(min=1, help="PyTorch threads in each run; part of a number's identity.")]
TimeLimit = Annotated[float | None, typer.Option(min=1, help="Seconds for one run [default: 1800].")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Make failed runs again.")]


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods or suites.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plugin: Plugins = None,
) -> None:
    """Shows the tasks, methods or suites that are there."""
    from .benchmark.catalogue import catalogue

    rows = catalogue(kind, plugin or [])
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
    else:
        for row in rows:
            out.print(f"[bold]{escape(row['name'])}[/bold]  {escape(row['summary'])}")


@app.command()
def prepare(
    task: Annotated[str, typer.Argument(help="The task.")],
    set_: Settings = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder to make everything in from scratch.")] = None,
    plugin: Plugins = None,
) -> None:
    """Makes what a task lacks: base model, oracles, judges."""
    with task_progress(err) as progress:
        folder = unlearnbench.prepare(
            task, settings=parse_settings(set_), out=out_dir, plugins=plugin or [], progress=progress
        )
    if progress.made:
        out.print(f"'{task}' is ready; what was made is in {folder}")
    else:
        out.print(f"'{task}' lacks nothing; to make it again from scratch: unlearnbench prepare {task} --out FOLDER")
    if out_dir is not None:
        out.print(f"To run with it: export UNLEARNBENCH_ASSETS={out_dir}")


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="The task.")],
    method: Annotated[str, typer.Argument(help="The method.")],
    seeds: Annotated[str, typer.Option(help="Comma-separated seeds, one run each.")] = "0",
    set_: Settings = None,
    device: Device = "auto",
    results: Results = Path("results"),
    plugin: Plugins = None,
    workers: Workers = None,
    threads: Threads = 1,
    time_limit: TimeLimit = None,
    retry_failed: Retry = False,
) -> None:
    """Runs a method on a task."""
    with RunProgress(err) as progress:
        records = unlearnbench.run(
            task,
            method,
            seeds=parse_seeds(seeds),
            settings=parse_settings(set_),
            device=device,
            results=results,
            plugins=plugin or [],
            workers=workers,
            threads=threads,
            time_limit=time_limit,
            retry_failed=retry_failed,
            on_plan=progress.plan,
            on_event=progress.event,
        )
    progress.print_records(out, records, results)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def suite(
    name: Annotated[str, typer.Argument(help="A built-in suite (`list suites`) or a TOML file.")],
    device: Device = "auto",
    results: Results = Path("results"),
    plugin: Plugins = None,
    workers: Workers = None,
    threads: Threads = 1,
    time_limit: TimeLimit = None,
    retry_failed: Retry = False,
) -> None:
    """Runs a matrix of tasks, methods and seeds; what is finished is not done again."""
    with RunProgress(err) as progress:
        records, refused = unlearnbench.suite(
            name,
            device=device,
            results=results,
            plugins=plugin or [],
            workers=workers,
            threads=threads,
            time_limit=time_limit,
            retry_failed=retry_failed,
            on_plan=progress.plan,
            on_event=progress.event,
        )
    for refusal in refused:
        out.print(f"not applicable: {escape(refusal.reason)}")
    out.print(f"{len(records)} records in {results}")
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def board(
    results: Annotated[list[Path] | None, typer.Option("--results", help="Folder of records; repeatable.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the site.")] = Path("site"),
    committed: Annotated[bool, typer.Option(help="Show the records that ship with the suite, too.")] = True,
    verifications: Annotated[Path, typer.Option(help="Folder of what `verify` attests.")] = Path("verifications"),
) -> None:
    """Builds the leaderboard's page and prints the ranking."""
    from .leaderboard.terminal import print_ranking

    folders = results if results is not None else [path for path in [Path("results")] if path.is_dir() or not committed]
    built = unlearnbench.board(folders, out=out_dir, committed=committed, verifications=[verifications])
    print_ranking(out, built)
    for problem in built.problems:
        err.print(f"[red]error:[/red] {escape(problem)}")
    out.print(f"The board is at {built.page}")
    if built.problems:
        raise typer.Exit(RUNS_FAILED)


@app.command()
def submit(
    method: Annotated[str, typer.Argument(help="The method, with all the settings that there are runs of.")],
    task: Annotated[list[str] | None, typer.Option(help="A task to submit; repeatable [default: all].")] = None,
    results: Results = Path("results"),
    plugin: Plugins = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to pack into.")] = Path("submission"),
) -> None:
    """Packs a method's runs and its file for the leaderboard, or says all that is missing."""
    from .leaderboard.submission.terminal import print_submission

    packed = unlearnbench.submit(method, results=results, out=out_dir, tasks=task or [], plugins=plugin or [])
    print_submission(out, err, packed)
    raise typer.Exit(RUNS_FAILED if packed.problems else 0)


@app.command()
def validate(
    folder: Annotated[Path, typer.Argument(help="A submission; with --base, all records as they would be after it.")],
    base: Annotated[
        Path | None, typer.Option(help="All accepted records before it [default: the shipped ones].")
    ] = None,
    own: Annotated[list[str] | None, typer.Option(help="A method whose rows may change; repeatable.")] = None,
    attest: Annotated[Path | None, typer.Option(help="File to write the attestation to.")] = None,
) -> None:
    """Checks a submission, without running anything of it."""
    from .leaderboard.submission.terminal import print_validation

    found = unlearnbench.validate(folder, base=base, own=own or [], attest=attest)
    print_validation(out, err, found)
    raise typer.Exit(RUNS_FAILED if found.problems else 0)


@app.command()
def verify(
    record: Annotated[Path, typer.Argument(help="The record's file.")],
    plugin: Plugins = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [default: the record's].")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder to keep the new record in [default: none].")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of attestations.")] = Path("verifications"),
    time_limit: TimeLimit = None,
) -> None:
    """Makes a record's run again and says whether the numbers agree."""
    from .leaderboard.submission.terminal import print_verification

    with RunProgress(err) as progress:
        found = unlearnbench.verify(
            record,
            plugins=plugin or [],
            results=results,
            out=out_dir,
            device=device,
            time_limit=time_limit,
            on_plan=progress.plan,
            on_event=progress.event,
        )
    print_verification(out, found)
    raise typer.Exit(0 if found.agrees else RUNS_FAILED)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Says what this machine can run and what is missing."""
    from .benchmark.doctor import diagnose

    findings = diagnose()
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
        return
    for finding in findings:
        mark = "[green]ok  [/green]" if finding.ok else "[yellow]lack[/yellow]"
        out.print(f"{mark}  {escape(finding.what)}: {escape(finding.detail)}")


def parse_seeds(text: str) -> list[int]:
    """Reads ``0,1,2``.

    Raises:
        BenchmarkError: It is not a list of whole numbers from 0.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise BenchmarkError(
            f"'{text}' is no list of seeds; give different whole numbers from 0, such as --seeds 0,1,2."
        )
    return seeds


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """Reads ``key=value`` pairs; values are JSON where they can be, else text.

    Raises:
        BenchmarkError: A pair has no equals sign.
    """
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BenchmarkError(f"'{pair}' is no setting; write --set key=value.")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError:
            settings[key] = value
    return settings


def main() -> None:
    """Runs the command line; a user's mistake ends as one sentence and exit code 2."""
    try:
        app()
    except BenchmarkError as error:
        err.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
