"""The command line: ``unlearnbench`` or ``python -m unlearnbench``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import unlearnbench

from .benchmark.command_line import PROGRAM, command, from_pairs, parse_seeds
from .benchmark.commands import completion, options
from .benchmark.commands.consoles import INTERRUPTED, RUNS_FAILED, USER_ERROR, err, out, print_json, print_pairs, say
from .benchmark.commands.plain_data import records_data
from .benchmark.commands.terminal import RunProgress, task_progress, write_whatever_there_is
from .benchmark.errors import BenchmarkError
from .benchmark.records import places
from .benchmark.records.record import Record
from .leaderboard import commands as records_commands
from .leaderboard import verbs

# Typer carries a click of its own or takes the one that is installed, by its version; its public error leads to either's.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _say_version(asked: bool) -> None:
    if asked:
        out.print(f"{PROGRAM} {unlearnbench.__version__}", markup=False)
        raise typer.Exit


@app.callback()
def with_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Benchmark machine unlearning in generative image models."""


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods or suites.", autocompletion=completion.kinds)],
    as_json: options.Json = False,
    plugin: options.Plugins = None,
) -> None:
    """Shows the tasks, methods or suites that are there."""
    from .benchmark.commands.catalogue import catalogue

    rows = catalogue(kind, plugin or [])
    if as_json:
        print_json(rows)
    else:
        print_pairs(out, [(f"[bold]{escape(row['name'])}[/bold]", escape(row["summary"])) for row in rows])


@app.command()
def prepare(
    task: options.TaskName,
    set_: options.Settings = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder to make everything in from scratch.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Time for all of it: base model and oracles are trained as long as fits."),
    ] = None,
    short: Annotated[
        bool, typer.Option("--short", help="Only what a search's trials need, most often no oracles.")
    ] = False,
    plugin: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """Makes what a task lacks: base model, oracles, judges."""
    asked: dict[str, Any] = {"settings": from_pairs(set_ or []), "plugins": plugin or []}
    with task_progress(err) as progress:
        folder = unlearnbench.prepare(task, out=out_dir, minutes=minutes, short=short, progress=progress, **asked)
    if as_json:
        print_json({"task": task, "folder": folder, "made": progress.made})
        return
    if progress.made:
        out.print(f"'{task}' is ready; what was made is in {folder}", markup=False)
    else:
        again = command("prepare", task, "--out", "FOLDER", *["--short"] * short, **asked)
        out.print(f"'{task}' lacks nothing; to make it again from scratch: {again}", markup=False)
    if out_dir is not None:
        out.print(f"To run with it: export {places.ASSETS}={shlex.quote(str(out_dir))}", markup=False)


@app.command()
def run(
    task: options.TaskName,
    method: options.MethodName,
    seeds: Annotated[str, typer.Option(help="Seeds, one run each: 0,1,2 or 0-4.")] = "0",
    requests: Annotated[
        str, typer.Option(help="one: what --set says is to be forgotten; all: each of the task's standard requests.")
    ] = "one",
    set_: options.Settings = None,
    settings: options.SettingsFrom = "tuned",
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
    as_json: options.Json = False,
) -> None:
    """Runs a method on a task."""
    with RunProgress(err) as progress:
        records = unlearnbench.run(
            task,
            method,
            seeds=parse_seeds(seeds),
            settings=from_pairs(set_ or []),
            requests=requests,
            settings_from=settings,
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
    if as_json:
        print_json(records_data(records, results, kept=keep_model))
    else:
        _print_scored(records, results, kept=keep_model)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


def _print_scored(records: list[Record], results: Path, *, kept: bool = False) -> None:
    from .leaderboard.run_scores import run_scores

    scores = run_scores(records, results, verbs.COMMITTED_RESULTS)
    RunProgress.print_records(out, records, results, scores, kept=kept)


@app.command()
def evaluate(
    task: options.TaskName,
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
    as_json: options.Json = False,
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
    if as_json:
        print_json(records_data([record], results))
    else:
        _print_scored([record], results)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


@app.command()
def suite(
    name: Annotated[
        str, typer.Argument(help="A built-in suite (`list suites`) or a TOML file.", autocompletion=completion.suites)
    ],
    settings: options.SettingsFrom = "tuned",
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
    as_json: options.Json = False,
) -> None:
    """Runs a matrix of tasks, methods and seeds; what is finished is not done again."""
    with RunProgress(err) as progress:
        records, refused = unlearnbench.suite(
            name,
            settings_from=settings,
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
    if as_json:
        print_json(records_data(records, results, refused, kept=keep_model))
    else:
        for refusal in refused:
            say(out, f"not applicable: {refusal.reason}")
        out.print(f"{len(records)} records in {results}", markup=False)
    raise typer.Exit(progress.exit_code(RUNS_FAILED))


for verb in records_commands.VERBS:
    app.command()(verb)


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="What to write: method or task.", autocompletion=completion.written)],
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and hyphens.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the files.")] = Path(),
    as_json: options.Json = False,
) -> None:
    """Writes the first file of a method or a task, which works as it stands, and its test."""
    written = unlearnbench.new(kind, name, out=out_dir)
    if as_json:
        print_json(written._asdict())
        return
    out.print(f"Wrote {written.file} and {written.test}. Next:", markup=False)
    for then in written.next:
        out.print(f"  {then}", markup=False)


@app.command()
def check(
    what: Annotated[
        str,
        typer.Argument(
            help="A file that defines a method or a task, or a registered name.", autocompletion=completion.to_check
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(help="A task to try a method on, instead of the toy problem.", autocompletion=completion.tasks),
    ] = None,
    set_: options.Settings = None,
    plugin: options.Plugins = None,
    time_limit: options.CheckTimeLimit = None,
    as_json: options.Json = False,
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
    out.file.write(f"{report.to_json()}\n") if as_json else print_report(out, report)
    raise typer.Exit(RUNS_FAILED if report.failures else 0)


@app.command()
def doctor(plugin: options.Plugins = None, as_json: options.Json = False) -> None:
    """Says what this machine can run and what is missing."""
    findings = unlearnbench.doctor(plugin or [])
    if as_json:
        print_json([finding._asdict() for finding in findings])
        return
    marks = {True: "[green]ok  [/green]", False: "[yellow]lack[/yellow]"}
    print_pairs(out, [(marks[found.ok], f"{escape(found.what)}: {escape(found.detail)}") for found in findings])


def _misused(error: Exception) -> str:
    """What Typer says of words that it cannot read, and where the right ones are listed."""
    said = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    context = error.ctx  # type: ignore[attr-defined]
    stop = "" if said.endswith("?") else "."
    return f"{said}{stop} See `{context.command_path if context else PROGRAM} --help`."


def main() -> None:
    """Runs the command line; a user's mistake ends as one sentence and exit code 2."""
    write_whatever_there_is()
    try:
        sys.exit(app(prog_name=PROGRAM, standalone_mode=False))
    except (BenchmarkError, USAGE_ERROR) as error:
        # Without a word there is nothing to say but the help, which is on the screen already.
        if len(sys.argv) > 1:
            sentence = str(error) if isinstance(error, BenchmarkError) else _misused(error)
            say(err, f"[red]error:[/red] {escape(sentence)}", markup=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
