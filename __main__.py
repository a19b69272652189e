"""The command line: ``unlearnbench`` or ``python -m unlearnbench``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import unlearnbench

from .benchmark.command_line import command, from_pairs, parse_seeds
from .benchmark.commands import options
from .benchmark.commands.terminal import RunProgress, print_remarks, task_progress, write_whatever_there_is
from .benchmark.errors import BenchmarkError
from .benchmark.records import places

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


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods or suites.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plugin: options.Plugins = None,
) -> None:
    """Shows the tasks, methods or suites that are there."""
    from .benchmark.commands.catalogue import catalogue

    rows = catalogue(kind, plugin or [])
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
    else:
        for row in rows:
            out.print(f"[bold]{escape(row['name'])}[/bold]  {escape(row['summary'])}")


@app.command()
def prepare(
    task: Annotated[str, typer.Argument(help="The task.")],
    set_: options.Settings = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder to make everything in from scratch.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Time for all of it: base model and oracles are trained as long as fits."),
    ] = None,
    plugin: options.Plugins = None,
) -> None:
    """Makes what a task lacks: base model, oracles, judges."""
    asked: dict[str, Any] = {"settings": from_pairs(set_ or []), "plugins": plugin or []}
    with task_progress(err) as progress:
        folder = unlearnbench.prepare(task, out=out_dir, minutes=minutes, progress=progress, **asked)
    if progress.made:
        out.print(f"'{task}' is ready; what was made is in {folder}", markup=False)
    else:
        again = command("prepare", task, "--out", "FOLDER", **asked)
        out.print(f"'{task}' lacks nothing; to make it again from scratch: {again}", markup=False)
    if out_dir is not None:
        out.print(f"To run with it: export {places.ASSETS}={shlex.quote(str(out_dir))}", markup=False)


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="The task.")],
    method: Annotated[str, typer.Argument(help="The method.")],
    seeds: Annotated[str, typer.Option(help="Seeds, one run each: 0,1,2 or 0-4.")] = "0",
    set_: options.Settings = None,
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    plugin: options.Plugins = None,
    workers: options.Workers = None,
    threads: options.Threads = 1,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    retry_failed: options.Retry = False,
    keep_model: options.KeepModel = False,
    executor: options.Executor = "local",
    slurm: options.Slurm = None,
) -> None:
    """Runs a method on a task."""
    with RunProgress(err) as progress:
        records = unlearnbench.run(
            task,
            method,
            seeds=parse_seeds(seeds),
            settings=from_pairs(set_ or []),
            device=device,
            results=results,
            plugins=plugin or [],
            workers=workers,
            threads=threads,
            time_limit=time_limit,
            memory_limit=memory_limit,
            retry_failed=retry_failed,
            keep_model=keep_model,
            executor=executor,
            slurm=from_pairs(slurm or [], "--slurm key=value"),
            on_plan=progress.plan,
            on_event=progress.event,
        )
    progress.print_records(out, records, results, kept=keep_model)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def evaluate(
    task: Annotated[str, typer.Argument(help="The task.")],
    file: Annotated[Path, typer.Argument(help="The state dict of its network, as safetensors.")],
    seed: Annotated[int, typer.Option(help="Seed of what is sampled.")] = 0,
    name: Annotated[str | None, typer.Option(help="What to call the weights; by default like their file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value of the task; repeatable.")] = None,
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    plugin: options.Plugins = None,
    threads: options.Threads = 1,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    retry_failed: options.Retry = False,
) -> None:
    """Judges weights that were made elsewhere."""
    with RunProgress(err) as progress:
        record = unlearnbench.evaluate(
            task,
            file,
            seed=seed,
            name=name,
            settings=from_pairs(set_ or []),
            device=device,
            results=results,
            plugins=plugin or [],
            threads=threads,
            time_limit=time_limit,
            memory_limit=memory_limit,
            retry_failed=retry_failed,
            on_plan=progress.plan,
            on_event=progress.event,
        )
    progress.print_records(out, [record], results)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def suite(
    name: Annotated[str, typer.Argument(help="A built-in suite (`list suites`) or a TOML file.")],
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    plugin: options.Plugins = None,
    workers: options.Workers = None,
    threads: options.Threads = 1,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    retry_failed: options.Retry = False,
    keep_model: options.KeepModel = False,
    executor: options.Executor = "local",
    slurm: options.Slurm = None,
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
            memory_limit=memory_limit,
            retry_failed=retry_failed,
            keep_model=keep_model,
            executor=executor,
            slurm=from_pairs(slurm or [], "--slurm key=value"),
            on_plan=progress.plan,
            on_event=progress.event,
        )
    for refusal in refused:
        out.print(f"not applicable: {escape(refusal.reason)}")
    out.print(f"{len(records)} records in {results}", markup=False)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def board(
    results: Annotated[list[Path] | None, typer.Option("--results", help="Folder of records; repeatable.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the site.")] = Path("site"),
    committed: Annotated[bool, typer.Option(help="Show the records that ship with the suite, too.")] = True,
    verifications: Annotated[Path, typer.Option(help="Folder of what `verify` attests.")] = Path("verifications"),
    plugin: options.Plugins = None,
) -> None:
    """Builds the leaderboard's page and prints the ranking."""
    from .leaderboard.terminal import print_ranking

    built = unlearnbench.board(
        results, out=out_dir, committed=committed, verifications=[verifications], plugins=plugin or []
    )
    print_ranking(out, built)
    print_remarks(err, built.problems, built.notes)
    out.print(f"The board is at {built.page}", markup=False)
    raise typer.Exit(RUNS_FAILED if built.problems else 0)


@app.command()
def compare(
    methods: Annotated[list[str], typer.Argument(help="Two methods or more, named as on the board.")],
    task: Annotated[list[str] | None, typer.Option("--task", help="Task to compare on; repeatable.")] = None,
    results: Annotated[list[Path] | None, typer.Option("--results", help="Folder of records; repeatable.")] = None,
    committed: Annotated[bool, typer.Option(help="Read the records that ship with the suite, too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    plot: Annotated[Path | None, typer.Option(help="SVG file to draw the differences into.")] = None,
    plugin: options.Plugins = None,
) -> None:
    """Says which of some methods is better, seed by seed, and how many seeds would tell."""
    if as_json and as_markdown:
        raise BenchmarkError("--json and --markdown exclude each other; choose one.")
    compared = unlearnbench.compare(methods, task, folders=results, committed=committed, plugins=plugin or [])
    if plot is not None:
        compared.plot().save(plot)
    if as_json or as_markdown:
        print(compared.json() if as_json else compared.markdown())
    else:
        compared.print(out)
    print_remarks(err, compared.problems, compared.notes)
    raise typer.Exit(RUNS_FAILED if compared.problems else 0)


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="What to write: method or task.")],
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and hyphens.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the files.")] = Path(),
) -> None:
    """Writes the first file of a method or a task, which works as it stands, and its test."""
    written = unlearnbench.new(kind, name, out=out_dir)
    out.print(f"Wrote {written.file} and {written.test}. Next:", markup=False)
    for then in written.next:
        out.print(f"  {then}", markup=False)


@app.command()
def check(
    what: Annotated[str, typer.Argument(help="A file that defines a method or a task, or a registered name.")],
    task: Annotated[str | None, typer.Option(help="A task to try a method on, instead of the toy problem.")] = None,
    set_: options.Settings = None,
    plugin: options.Plugins = None,
    time_limit: options.CheckTimeLimit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Holds a method (on a toy problem) or a task (on few samples) to its contract: on the CPU, in about a minute."""
    from .benchmark.commands.terminal import check_progress, print_report

    with check_progress(err) as progress:
        report = unlearnbench.check(
            what,
            task=task,
            settings=from_pairs(set_ or []),
            plugins=plugin or [],
            time_limit=time_limit,
            progress=progress,
        )
    print(report.to_json()) if as_json else print_report(out, report)
    raise typer.Exit(RUNS_FAILED if report.failures else 0)


@app.command()
def regress(
    baseline: Annotated[Path, typer.Option(help="Folder of records to compare with.")],
    current: Annotated[Path, typer.Option(help="Folder of records of now.")] = Path("results"),
    margin: Annotated[list[str] | None, typer.Option(help="metric=number instead of the default; repeatable.")] = None,
    cost: Annotated[str, typer.Option(help="Whether time is judged: auto, required or off.")] = "auto",
    same_device: Annotated[bool, typer.Option("--same-device", help="Compare nothing across devices.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Leave out what was not run now.")] = False,
    junit: Annotated[Path | None, typer.Option(help="File for JUnit's XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for Markdown, - for the terminal.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plugin: options.Plugins = None,
) -> None:
    """Says whether methods got worse: exit code 0 fine, 1 regression, 2 inconclusive or a mistake, 3 not comparable."""
    from .leaderboard.regression.report import write_reports

    compared = unlearnbench.regress(
        baseline,
        current,
        margins=from_pairs(margin or [], "--margin metric=number"),
        cost=cost,
        same_device=same_device,
        partial=partial,
        plugins=plugin or [],
    )
    write_reports(out, compared, junit_file=junit, markdown_file=markdown, as_json=as_json)
    raise typer.Exit(compared.exit_code)


@app.command()
def submit(
    method: Annotated[str, typer.Argument(help="The method, with all the settings that there are runs of.")],
    task: Annotated[list[str] | None, typer.Option(help="A task to submit; repeatable [default: all].")] = None,
    results: options.Results = Path("results"),
    plugin: options.Plugins = None,
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
    plugin: options.Plugins = None,
) -> None:
    """Checks a submission, without running anything of it."""
    from .leaderboard.submission.terminal import print_validation

    found = unlearnbench.validate(folder, base=base, own=own or [], attest=attest, plugins=plugin or [])
    print_validation(out, err, found)
    raise typer.Exit(RUNS_FAILED if found.problems else 0)


@app.command()
def verify(
    record: Annotated[Path, typer.Argument(help="The record's file.")],
    weights: Annotated[Path | None, typer.Option(help="The file of weights that were made elsewhere.")] = None,
    plugin: options.Plugins = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [default: the record's].")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder to keep the new record in [default: none].")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of attestations.")] = Path("verifications"),
    time_limit: options.TimeLimit = None,
) -> None:
    """Makes a record's run again and says whether the numbers agree."""
    from .leaderboard.submission.terminal import print_verification

    with RunProgress(err) as progress:
        found = unlearnbench.verify(
            record,
            weights=weights,
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
def doctor(
    plugin: options.Plugins = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Says what this machine can run and what is missing."""
    findings = unlearnbench.doctor(plugin or [])
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
        return
    for finding in findings:
        mark = "[green]ok  [/green]" if finding.ok else "[yellow]lack[/yellow]"
        out.print(f"{mark}  {escape(finding.what)}: {escape(finding.detail)}")


def main() -> None:
    """Runs the command line; a user's mistake ends as one sentence and exit code 2."""
    write_whatever_there_is()
    try:
        app()
    except BenchmarkError as error:
        err.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
