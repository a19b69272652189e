"""The options that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion

TaskName = Annotated[str, typer.Argument(help="The task.", autocompletion=completion.tasks)]
MethodName = Annotated[str, typer.Argument(help="The method.", autocompletion=completion.methods)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of records.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", autocompletion=completion.devices)]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="File that defines methods, tasks or families; repeatable.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value of the task or the method; repeatable.")]
SettingsFrom = Annotated[
    str,
    typer.Option(
        "--settings",
        help="Of a method that nothing is set of: tuned (by a search, else the paper's), paper, or a file that `tune` wrote.",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Runs at a time (default: one a core, or one a GPU).")]
Threads = Annotated[int, typer.Option(min=1, help="PyTorch threads in each run; part of a number's identity.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=1, help="Seconds for one run (default: the task's, mostly 1800)."),
]
MemoryLimit = Annotated[
    float | None, typer.Option(min=0.1, help="Gigabytes for one run (default: nine tenths of the machine's).")
]
Executor = Annotated[str, typer.Option(help="local or slurm.")]
Slurm = Annotated[
    list[str] | None, typer.Option("--slurm", help="key=value that jobs ask for: partition, time (minutes), mem, …")
]
Minutes = Annotated[
    float | None, typer.Option(min=0.01, help="Time for all of it: base model and oracles are trained as long as fits.")
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Make failed runs again.")]
KeepModel = Annotated[
    bool, typer.Option("--keep-model", help="Leave the weights beside each record, as safetensors; see `evaluate`.")
]
CheckTimeLimit = Annotated[
    float | None,
    typer.Option(min=1, help="Seconds for one of a method's five runs (default: 180), or a task's two (900)."),
]
