"""The pytest plugin, in a pytest of its own as a user has it, on a task that takes a second."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers import ROOT, TOY

GUARDED = """
import pytest

@pytest.mark.unlearning(task="toy", method="toy-good", plugins=["toy.py"], seeds=(0, 1){more})
def test_guarded({argument}):
    assert {check}
"""
# Whether the package is installed anew since the plugin came or not, it is loaded once.
PLUGIN = ("-p", "unlearnbench.pytest_plugin")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def inner(tmp_path):
    """Writes a test file and runs pytest on it."""
    shutil.copy(TOY, tmp_path / "toy.py")

    def run(*arguments, source=None, more="", argument="unlearning", check="unlearning.exit_code == 0"):
        text = source or GUARDED.format(more=more, argument=argument, check=check)
        (tmp_path / "test_mine.py").write_text(text)
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-rA",
                "-p",
                "no:cacheprovider",
                *PLUGIN,
                *map(str, arguments),
                str(tmp_path),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=600,
            env={**os.environ, **ALONE, "COLUMNS": "400"},
        )

    return run


@pytest.mark.slow
def test_a_baseline_is_made_and_then_guards(inner, tmp_path):
    done = inner()
    assert done.returncode == 1
    assert "make it with `pytest --unlearning-update` and commit it" in done.stdout
    done = inner("--unlearning-update")
    assert "1 skipped" in done.stdout, done.stdout
    assert len(list((tmp_path / "baseline" / "toy" / "toy-good").glob("*.json"))) == 2
    # The toy's numbers need no oracle but for those that are matched with one.
    done = inner()
    assert "1 skipped" in done.stdout, done.stdout
    assert "is held against the oracle" in done.stdout
    done = inner(more=", strict=True", argument="")
    assert "1 failed" in done.stdout
    assert "not comparable: toy · toy-good" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_mark_alone_is_enough_and_a_regression_is_one_sentence(inner, tmp_path):
    inner("--unlearning-update")
    oracle = "import unlearnbench as u; u.run('toy', 'oracle', seeds=(0, 1), plugins=['toy.py'], results='baseline')"
    subprocess.run([sys.executable, "-c", oracle], cwd=tmp_path, check=True, timeout=600)
    for path in (tmp_path / "baseline" / "toy" / "oracle").glob("*.json"):
        shutil.copy(path, tmp_path / "baseline" / "toy" / "toy-good")
    done = inner("--unlearning-results", "kept", argument="", check="True")
    assert "1 passed" in done.stdout, done.stdout
    assert len(list((tmp_path / "kept" / "toy" / "toy-good").glob("*.json"))) == 2
    for path in (tmp_path / "kept" / "toy" / "toy-good").glob("*.json"):
        text = path.read_text().replace('"status": "ok"', '"status": "timeout"')
        path.write_text(text)
    done = inner("--unlearning-results", "kept", argument="", check="True")
    assert "1 failed" in done.stdout, done.stdout
    assert "Failed: regression: toy · toy-good: seed 0 ended well in the baseline and now as timeout" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def test_x(unlearning): pass", "needs @pytest.mark.unlearning(task=…, method=…) on the test"),
        (
            "import pytest\n@pytest.mark.unlearning(task='toy')\ndef test_x(): pass",
            "missing 1 required positional argument",
        ),
        (
            "import pytest\n@pytest.mark.unlearning(task='toy', method='m', seed=1)\ndef test_x(): pass",
            "unexpected keyword argument 'seed'",
        ),
    ],
)
def test_a_wrong_mark_is_one_sentence(inner, source, says):
    done = inner(source=source)
    assert done.returncode == 1
    assert says in done.stdout
    assert "Traceback" not in done.stdout


def test_it_costs_nothing_where_no_test_is_marked(inner):
    heavy = "import sys\n\ndef test_x():\n    assert not {'torch', 'pandas', 'scipy', 'pydantic', 'numpy'} & set(sys.modules)"
    done = inner("--strict-markers", source=heavy)
    assert "1 passed" in done.stdout, done.stdout
    markers = inner("--markers").stdout
    assert "@pytest.mark.unlearning(task, method" in markers


def test_the_package_registers_it():
    import tomllib

    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"unlearnbench": "unlearnbench.pytest_plugin"}
