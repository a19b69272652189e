"""The verbs of the command line that read records; those that make runs are in ``__main__``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..benchmark.command_line import from_pairs
from ..benchmark.commands import completion, options
from ..benchmark.commands.consoles import RUNS_FAILED, err, out, print_json
from ..benchmark.commands.terminal import RunProgress, print_remarks
from ..benchmark.errors import BenchmarkError
from . import verbs


def board(
    results: Annotated[list[Path] | None, typer.Option("--results", help="Folder of records; repeatable.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the site.")] = Path("site"),
    committed: Annotated[bool, typer.Option(help="Show the records that ship with the suite, too.")] = True,
    verifications: Annotated[Path, typer.Option(help="Folder of what `verify` attests.")] = Path("verifications"),
    plugin: options.Plugins = None,
    full: Annotated[bool, typer.Option("--full", help="Print the ranked tables instead of the rows of yours.")] = False,
    base_url: Annotated[
        str | None, typer.Option(help="Where the site will be served from, for pictures of links.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Builds the leaderboard's page and says where the rows of yours stand."""
    from .digest import digest_data, print_digest
    from .terminal import print_ranking

    built = verbs.board(
        results,
        out=out_dir,
        committed=committed,
        verifications=[verifications],
        plugins=plugin or [],
        base_url=base_url,
    )
    print_remarks(err, built.problems, built.notes)
    if as_json:
        print_json(digest_data(built))
    elif full:
        print_ranking(out, built)
        out.print(f"The board is at {built.page}", markup=False)
    else:
        print_digest(out, built)
    raise typer.Exit(RUNS_FAILED if built.problems else 0)


def compare(
    methods: Annotated[
        list[str],
        typer.Argument(help="Two methods or more, named as on the board.", autocompletion=completion.methods),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Task to compare on; repeatable.", autocompletion=completion.tasks),
    ] = None,
    results: Annotated[list[Path] | None, typer.Option("--results", help="Folder of records; repeatable.")] = None,
    committed: Annotated[bool, typer.Option(help="Read the records that ship with the suite, too.")] = True,
    as_json: options.Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    plot: Annotated[Path | None, typer.Option(help="SVG file to draw the differences into.")] = None,
    plugin: options.Plugins = None,
) -> None:
    """Says which of some methods is better, seed by seed, and how many seeds would tell."""
    if as_json and as_markdown:
        raise BenchmarkError("--json and --markdown exclude each other; choose one.")
    compared = verbs.compare(methods, task, folders=results, committed=committed, plugins=plugin or [])
    if plot is not None:
        compared.plot().save(plot)
    if as_json or as_markdown:
        out.file.write((compared.json() if as_json else compared.markdown()) + "\n")
    else:
        compared.print(out)
    print_remarks(err, compared.problems, compared.notes)
    raise typer.Exit(RUNS_FAILED if compared.problems else 0)


def regress(
    baseline: Annotated[Path, typer.Option(help="Folder of records to compare with.")],
    current: Annotated[Path, typer.Option(help="Folder of records of now.")] = Path("results"),
    margin: Annotated[list[str] | None, typer.Option(help="metric=number instead of the default; repeatable.")] = None,
    cost: Annotated[str, typer.Option(help="Whether time is judged: auto, required or off.")] = "auto",
    same_device: Annotated[bool, typer.Option("--same-device", help="Compare nothing across devices.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Leave out what was not run now.")] = False,
    junit: Annotated[Path | None, typer.Option(help="File for JUnit's XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for Markdown, - for the terminal.")] = None,
    as_json: options.Json = False,
    plugin: options.Plugins = None,
) -> None:
    """Says whether methods got worse: exit code 0 fine, 1 regression, 2 inconclusive or a mistake, 3 not comparable."""
    from .regression.report import write_reports

    compared = verbs.regress(
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


def submit(
    method: Annotated[
        str,
        typer.Argument(
            help="The method, with all the settings that there are runs of.", autocompletion=completion.methods
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task to submit; repeatable (default: all).", autocompletion=completion.tasks),
    ] = None,
    results: options.Results = Path("results"),
    plugin: options.Plugins = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to pack into.")] = Path("submission"),
    as_json: options.Json = False,
) -> None:
    """Packs a method's runs and its file for the leaderboard, or says all that is missing."""
    from .submission.terminal import print_submission, submission_data

    packed = verbs.submit(method, results=results, out=out_dir, tasks=task or [], plugins=plugin or [])
    print_json(submission_data(packed)) if as_json else print_submission(out, err, packed)
    raise typer.Exit(RUNS_FAILED if packed.problems else 0)


def validate(
    folder: Annotated[Path, typer.Argument(help="A submission; with --base, all records as they would be after it.")],
    base: Annotated[
        Path | None, typer.Option(help="All accepted records before it (default: the shipped ones).")
    ] = None,
    own: Annotated[list[str] | None, typer.Option(help="A method whose rows may change; repeatable.")] = None,
    attest: Annotated[Path | None, typer.Option(help="File to write the attestation to.")] = None,
    plugin: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """Checks a submission, without running anything of it."""
    from .submission.terminal import print_validation, validation_data

    found = verbs.validate(folder, base=base, own=own or [], attest=attest, plugins=plugin or [])
    print_json(validation_data(found)) if as_json else print_validation(out, err, found)
    raise typer.Exit(RUNS_FAILED if found.problems else 0)


def verify(
    record: Annotated[Path, typer.Argument(help="The record's file.")],
    weights: Annotated[Path | None, typer.Option(help="The file of weights that were made elsewhere.")] = None,
    plugin: options.Plugins = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda (default: the record's).")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder to keep the new record in (default: none).")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of attestations.")] = Path("verifications"),
    time_limit: options.TimeLimit = None,
    as_json: options.Json = False,
) -> None:
    """Makes a record's run again and says whether the numbers agree."""
    from .submission.terminal import print_verification, verification_data

    with RunProgress(err) as progress:
        found = verbs.verify(
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
    print_json(verification_data(found)) if as_json else print_verification(out, found)
    raise typer.Exit(0 if found.agrees else RUNS_FAILED)


def tune(
    task: options.TaskName,
    method: options.MethodName,
    trials: Annotated[int, typer.Option(min=1, help="Settings to try, the method's own defaults among them.")] = 16,
    set_: options.Settings = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of what is found; `run` looks in ./settings.")] = Path(
        "settings"
    ),
    device: options.Device = "auto",
    plugin: options.Plugins = None,
    workers: options.Workers = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    as_json: options.Json = False,
) -> None:
    """Searches a method's settings for a task, on requests that no board uses; `run` takes what it finds."""
    from .tuning.terminal import print_outcome, print_told

    outcome = verbs.tune(
        task,
        method,
        trials=trials,
        settings=from_pairs(set_ or []),
        out=out_dir,
        on_trial=lambda told: print_told(err, told),
        device=device,
        plugins=plugin or [],
        workers=workers,
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    if as_json:
        print_json({"file": outcome.file, "method": method, **outcome.found.model_dump(mode="json")})
    else:
        print_outcome(out, outcome, task, method, plugin or [])


VERBS = (board, compare, regress, submit, tune, validate, verify)
