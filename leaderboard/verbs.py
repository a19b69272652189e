"""The verbs that read records. They are the package's own, ``unlearnbench.board`` and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark.errors import BenchmarkError
from ..benchmark.records.places import SHIPPED_RESULTS, named_folder, named_folders

if TYPE_CHECKING:
    import pandas as pd

    from .comparison.compare import Comparison
    from .ranking import Loaded
    from .regression.verdicts import Verdicts
    from .site.build import Site
    from .submission.pack import Submission
    from .submission.validate import Validation
    from .submission.verify import Verification
    from .tuning.search import Outcome, Told

COMMITTED_RESULTS = SHIPPED_RESULTS
"""The records of the full suite that ship with the package."""
COMMITTED_VERIFICATIONS = COMMITTED_RESULTS.parent / "verifications"
"""What maintainers checked of them."""


def board(
    results: Sequence[str | Path] | None = None,
    *,
    out: str | Path = "site",
    committed: bool = True,
    verifications: Sequence[str | Path] = (),
    plugins: Sequence[str | Path] = (),
    base_url: str | None = None,
) -> Site:
    """Builds the leaderboard's static site.

    Args:
        results: Folders of records; by default ``results`` if it is there.
        out: The folder that the site is written to.
        committed: Whether to show the records that ship with the package, too.
        verifications: Folders of what `verify` and `validate` attest.
        plugins: Files that declare the families of tasks that are not part of the suite.
        base_url: Where the site will be served from: services that show a picture beside a link want its whole address.

    Raises:
        BenchmarkError: A folder or a file does not exist, there is no record, the site cannot be written, or the address
            is none of the web.
    """
    from ..benchmark.registry import add_plugins
    from .site.build import build_board

    if base_url is not None and not base_url.startswith(("https://", "http://")):
        raise BenchmarkError(f"'{base_url}' is no address of a site; write it whole, like https://example.org/board.")
    add_plugins(plugins)
    checked = [COMMITTED_VERIFICATIONS, *named_folders(verifications)]
    folders = _folders(results, committed)
    built = build_board(folders, named_folder(out), checked, COMMITTED_RESULTS, base_url=base_url)
    built.notes.extend(_empty(folders))
    if results is None and not Path("results").is_dir():
        built.notes.append(
            "There is no folder 'results' here: the board shows the records that ship with the suite alone."
        )
    return built


def compare(
    methods: Sequence[str],
    tasks: Sequence[str] | None = None,
    *,
    folders: Sequence[str | Path] | None = None,
    committed: bool = True,
    plugins: Sequence[str | Path] = (),
) -> Comparison:
    """Compares methods over the requests and seeds that they share, on every board that holds two of them.

    Args:
        methods: Names as on the board, with or without what was set: ``"sfron"``, ``"uno (lr=0.001 steps=50)"``. A name
            without settings is the row of the defaults, or all of the method's rows on a board that has none. Where the
            shipped records hold the same method, the row of your own is ``"sfron (yours)"``.
        tasks: Names of tasks; by default all.
        folders: Folders of records; by default ``results`` if it is there.
        committed: Whether to read the records that ship with the package, too.
        plugins: See ``board``.

    Raises:
        BenchmarkError: A folder or a file does not exist, a name is unknown, or there is nothing to compare.
    """
    from .comparison.compare import compare_records

    loaded = _load(folders, committed, plugins)
    notes = [*loaded.notes, *_empty(_folders(folders, committed))]
    return compare_records(loaded.records, _texts(methods) or [], _texts(tasks), loaded.problems, notes, own=loaded.own)


def records(
    folders: Sequence[str | Path] | None = None, committed: bool = True, plugins: Sequence[str | Path] = ()
) -> pd.DataFrame:
    """Returns the runs that the boards show: one row each with its score, its cost and the headline metrics.

    Of a run that was made anew from another source only the newest counts, as on the board. A file that is no readable
    record is warned of.

    Args:
        folders: See ``compare``.
        committed: See ``compare``.
        plugins: See ``board``.

    Returns:
        ``score`` (with the track's name where a task has tracks: ``score_suppression``), the components and ``utility``
        likewise, and a column for each metric and judge (``forget_accuracy_resnet``). What a run has not is NaN. ``request``
        is what was to be forgotten, and ``own`` says which runs are not among the shipped records.

    Raises:
        BenchmarkError: A folder or a file does not exist.
    """
    from .frames import scored_frame

    loaded = _load(folders, committed, plugins, warn=True)
    return scored_frame(loaded.records, loaded.own)


def metrics(
    folders: Sequence[str | Path] | None = None, committed: bool = True, plugins: Sequence[str | Path] = ()
) -> pd.DataFrame:
    """Returns every metric of the runs that the boards show: one row a run, metric, judge and class, with its interval.

    Args:
        folders: See ``compare``.
        committed: See ``compare``.
        plugins: See ``board``.

    Raises:
        BenchmarkError: A folder or a file does not exist.
    """
    from .frames import long_frame

    loaded = _load(folders, committed, plugins, warn=True)
    return long_frame(loaded.records, loaded.own)


def _load(
    folders: Sequence[str | Path] | None, committed: bool, plugins: Sequence[str | Path], *, warn: bool = False
) -> Loaded:
    import warnings

    from ..benchmark.registry import add_plugins
    from .ranking import load_boards

    add_plugins(plugins)
    loaded = load_boards(_folders(folders, committed), COMMITTED_RESULTS)
    for problem in [*loaded.problems, *loaded.notes] if warn else []:
        warnings.warn(problem, stacklevel=3)
    return loaded


def _empty(folders: Sequence[Path]) -> list[str]:
    """What to say of folders without a record: they were named for some reason."""
    from ..benchmark.records.store import record_files

    return [f"{folder} holds no records." for folder in folders if not any(record_files(folder))]


def _texts(names: str | Sequence[str] | None) -> list[str] | None:
    """One name or several."""
    return [names] if isinstance(names, str) else None if names is None else list(names)


def _folders(folders: Sequence[str | Path] | None, committed: bool) -> list[Path]:
    """Returns the folders to read; later ones win over earlier ones."""
    shipped = [COMMITTED_RESULTS] if committed and COMMITTED_RESULTS.is_dir() else []
    if folders is None:
        # Without the shipped records there is nothing else to read, so that the folder's absence is worth a word.
        folders = [path for path in [Path("results")] if path.is_dir() or not shipped]
    return [*shipped, *named_folders(folders)]


def tune(
    task: str,
    method: str,
    *,
    trials: int | None = None,
    settings: dict[str, Any] | None = None,
    out: str | Path = "settings",
    on_trial: Callable[[Told], None] = lambda told: None,
    **options: Any,
) -> Outcome:
    """Searches a method's settings on a task, on requests that no board uses, and returns what it found and its file.

    Every trial is a run with a short evaluation, scored as a board scores. The first is the method's own defaults, Optuna
    proposes the others, and the best three are tried on the task's other tuning requests. A search that was ended goes on.

    Args:
        task: A registered task.
        method: A registered method.
        trials: Settings to try, 16 by default.
        settings: Of the task or the method, as with ``--set``: they are fixed and not searched.
        out: The folder that the file of settings goes to, and the trials below it.
        on_trial: Told how far it is.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: Nothing can be searched, the pair does not fit, a run could not be made, or Optuna is not there.
    """
    from ..benchmark.registry import add_plugins, methods, tasks
    from .tuning.search import TRIALS, search
    from .tuning.trials import Pair

    add_plugins(options.get("plugins", ()))
    methods.check(method)
    tasks.check(task)
    return search(Pair(task, method, dict(settings or {})), trials or TRIALS, named_folder(out), options, on_trial)


def regress(
    baseline: str | Path,
    current: str | Path = "results",
    *,
    margins: dict[str, float] | None = None,
    cost: str = "auto",
    same_device: bool = False,
    partial: bool = False,
    plugins: Sequence[str | Path] = (),
) -> Verdicts:
    """Compares a folder of records with a baseline and says whether any method got worse.

    Args:
        baseline: The folder to compare with.
        current: The folder of now.
        margins: Margins to use instead of the defaults, by metric.
        cost: ``auto`` judges time where it can be judged, ``required`` makes a point of it, ``off`` leaves it out.
        same_device: Whether another device than the baseline's is not comparable at all.
        partial: Whether rows of the baseline that were not run now are left out.
        plugins: See ``board``.

    Raises:
        BenchmarkError: A folder or a file does not exist, a file is no record, or a margin or ``cost`` is not valid.
    """
    from ..benchmark.errors import BenchmarkError
    from ..benchmark.records.store import load_records
    from ..benchmark.registry import add_plugins
    from .regression.margins import as_margin
    from .regression.regress import compare as compare_runs

    add_plugins(plugins)
    before, now = load_records([named_folder(baseline)]), load_records([named_folder(current)])
    # A file that cannot be read may be the very run that got worse.
    for problem in before.problems + now.problems:
        raise BenchmarkError(problem)
    tasks = sorted({record.task.name for record in before.records})
    rows = (COMMITTED_RESULTS / task / name for task in tasks for name in ("oracle", "original"))
    return compare_runs(
        before.records,
        now.records,
        references=load_records([folder for folder in rows if folder.is_dir()]).records,
        margins={name: as_margin(name, value) for name, value in (margins or {}).items()},
        cost=cost,
        same_device=same_device,
        partial=partial,
    )


def submit(
    method: str,
    *,
    results: str | Path = "results",
    out: str | Path = "submission",
    tasks: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
) -> Submission:
    """Packs a method's finished runs and its file for the leaderboard, or returns all that is missing.

    Args:
        method: A registered method.
        results: The folder of its records.
        out: The folder to pack them into, empty or not there yet.
        tasks: The tasks to submit; by default all that there are runs of.
        plugins: Files that define methods.

    Raises:
        BenchmarkError: A name is unknown, there is no run of the method, or the folder is not empty.
    """
    from .submission import pack

    accepted = COMMITTED_RESULTS if COMMITTED_RESULTS.is_dir() else None
    return pack.submit(
        method, named_folder(results), named_folder(out), accepted, _texts(tasks) or [], named_folders(plugins)
    )


def validate(
    folder: str | Path,
    *,
    base: str | Path | None = None,
    own: Sequence[str] = (),
    attest: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
) -> Validation:
    """Checks a submission without running anything of it.

    Args:
        folder: A submission to the records that ship with the package; with ``base``, all records as they would be after it.
        base: The folder of all accepted records before it.
        own: Methods whose accepted rows the submission may change or remove.
        attest: A file to write the attestation of what was computed again to.
        plugins: Files of your own that define tasks which are not part of the suite; they are run.

    Raises:
        BenchmarkError: A folder does not exist, or the attestation cannot be written.
    """
    from importlib.metadata import version

    from ..benchmark.registry import add_plugins
    from .attestations import write_attestation
    from .submission import validate as checks

    add_plugins(plugins)
    shipped = COMMITTED_RESULTS if COMMITTED_RESULTS.is_dir() else None
    accepted = named_folder(base) if base is not None else shipped
    found = checks.validate(named_folder(folder), accepted, whole=base is not None, own=_texts(own) or [])
    if attest is not None:
        write_attestation(named_folder(attest), checks.attest(found, version("unlearnbench")))
    return found


def verify(
    record: str | Path,
    *,
    weights: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    results: str | Path | None = None,
    out: str | Path = "verifications",
    device: str | None = None,
    **options: Any,
) -> Verification:
    """Makes a record's run again and compares every number with the stored interval.

    Args:
        record: The record's file.
        weights: The file of the weights, if they were made elsewhere.
        plugins: Files that define methods or tasks.
        results: Where the new record goes; by default it is thrown away.
        out: The folder that the attestation goes to, which `board` turns into a badge.
        device: ``auto``, ``cpu`` or ``cuda``; by default the record's kind.
        **options: See ``run_requests``.

    Raises:
        BenchmarkError: The file is no record, its task, method or weights are others, or the run cannot be made.
    """
    import tempfile

    from ..benchmark.commands.verbs import evaluate, run
    from ..benchmark.records.store import read_record
    from ..benchmark.registry import add_plugins
    from .attestations import write_attestation
    from .submission import verify as checks

    add_plugins(plugins)
    stored = read_record(named_folder(record))
    file = None if weights is None else named_folder(weights).absolute()
    checks.check_same_sources(stored, file)
    with tempfile.TemporaryDirectory() as folder:
        options |= {
            "settings": stored.settings,
            "results": results or folder,
            "plugins": plugins,
            "device": device or stored.device.kind,
            "threads": stored.device.threads,
            "retry_failed": True,
            "settings_from": "paper",
        }
        if file is not None:
            again = evaluate(stored.task.name, file, seed=stored.seed, name=stored.method.name, **options)
        else:
            (again,) = run(stored.task.name, stored.method.name, seeds=[stored.seed], **options)
    comparisons = checks.compare(stored, again)
    path = checks.attestation_path(named_folder(out), stored)
    write_attestation(path, checks.attest(stored, again, comparisons))
    return checks.Verification(stored, again, comparisons, path)
