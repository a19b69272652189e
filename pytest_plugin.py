"""A pytest plugin that guards a method: it runs a marked test's method on a task and compares with a committed baseline.

::

    @pytest.mark.unlearning(task="digits-vae", method="mine", plugins=["mine.py"], seeds=(0, 1, 2))
    def test_mine_is_no_worse(unlearning): ...

The test fails with one sentence on a regression, and is skipped with the reason where nothing can be said. The first time,
``pytest --unlearning-update`` makes the baseline. Nothing but this file is loaded where no test carries the mark.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from .leaderboard.regression.verdicts import Verdicts

MARK = "unlearning"


@dataclass(frozen=True)
class Guard:
    """What a mark asks for.

    Attributes:
        task: The task to run on.
        method: The method to run.
        seeds: One run each.
        settings: Of the task and the method.
        plugins: Files that define methods, tasks or families, from the test's folder.
        baseline: Folder of committed records, from the test's folder.
        margins: Margins to use instead of the defaults, by metric.
        strict: Whether a comparison that decides nothing fails instead of being skipped.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    task: str
    method: str
    seeds: Sequence[int] = (0, 1, 2)
    settings: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    baseline: str = "baseline"
    margins: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False
    device: str = "auto"

    def compare(self, folder: Path, results: Path) -> Verdicts:
        """Runs the method and compares it with the baseline's records of the same row.

        Args:
            folder: Where the baseline and the plugin files lie.
            results: Where the records of now go; runs that are finished there are not made again.

        Raises:
            BenchmarkError: A name, a setting, a file or a folder is wrong.
        """
        import unlearnbench

        self.run(folder, results)
        row = Path(self.task) / self.method
        baseline, current = folder / self.baseline / row, results / row
        plugins = self._plugin_files(folder)
        return unlearnbench.regress(baseline, current, margins=dict(self.margins), partial=True, plugins=plugins)

    def run(self, folder: Path, results: Path) -> None:
        """Runs the method into a folder of records."""
        import unlearnbench

        unlearnbench.run(
            self.task,
            self.method,
            seeds=self.seeds,
            settings=dict(self.settings),
            plugins=self._plugin_files(folder),
            results=results,
            device=self.device,
        )

    def _plugin_files(self, folder: Path) -> list[Path]:
        return [folder / path for path in self.plugins]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the plugin's options."""
    group = parser.getgroup("unlearnbench", "guarding machine unlearning")
    group.addoption(
        "--unlearning-update", action="store_true", help="Make the baselines of marked tests instead of comparing."
    )
    group.addoption(
        "--unlearning-results", metavar="DIR", help="Keep the records of marked tests in a folder [default: a new one]."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(task, method, seeds=(0, 1, 2), settings={{}}, plugins=(), baseline='baseline', margins={{}}, "
        "strict=False, device='auto'): run a method and compare it with a committed baseline",
    )


@pytest.fixture
def unlearning(request: pytest.FixtureRequest) -> None:
    """The comparison of the marked method with its baseline; a test gets to see it only if nothing got worse.

    It is made when the test is called, so that a regression is a failure of the test and not an error of its setup.
    """
    _guard(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Compares before a marked test is called; the mark is enough, the fixture need not be asked for."""
    if pyfuncitem.get_closest_marker(MARK) is None:
        return
    kept = pyfuncitem.config.getoption("--unlearning-results")
    with tempfile.TemporaryDirectory() as fresh:
        compared = _compared(_guard(pyfuncitem), pyfuncitem, Path(kept or fresh))
    if MARK in pyfuncitem.funcargs:
        pyfuncitem.funcargs[MARK] = compared


def _compared(guard: Guard, item: pytest.Function, results: Path) -> Verdicts:
    """Fails or skips the test unless nothing got worse."""
    from .benchmark.errors import BenchmarkError
    from .leaderboard.regression.verdicts import Verdict

    folder = item.path.parent
    try:
        if item.config.getoption("--unlearning-update"):
            guard.run(folder, folder / guard.baseline)
            pytest.skip(f"the baseline of {guard.method} is in {guard.baseline}; commit it")
        _check_baseline(guard, folder)
        compared = guard.compare(folder, results)
    except BenchmarkError as error:
        _fail(str(error))
    if compared.verdict is Verdict.REGRESSION or (guard.strict and compared.verdict is not Verdict.FINE):
        _fail(compared.sentence)
    if compared.verdict is not Verdict.FINE:
        pytest.skip(compared.sentence)
    return compared


def _check_baseline(guard: Guard, folder: Path) -> None:
    """Before minutes are spent on a run that nothing can be compared with."""
    wanted = folder / guard.baseline / guard.task / guard.method
    if not wanted.is_dir():
        _fail(f"There is no baseline {wanted}; make it with `pytest --unlearning-update` and commit it.")


def _guard(node: pytest.Item) -> Guard:
    mark = node.get_closest_marker(MARK)
    if mark is None:
        _fail(f"The fixture 'unlearning' needs @pytest.mark.{MARK}(task=…, method=…) on the test.")
    try:
        return Guard(*mark.args, **mark.kwargs)
    except TypeError as error:
        problem = str(error).removeprefix("Guard.__init__() ")
        _fail(f"@pytest.mark.{MARK} {problem}; write @pytest.mark.{MARK}(task=…, method=…).")


def _fail(sentence: str) -> NoReturn:
    pytest.fail(sentence, pytrace=False)
