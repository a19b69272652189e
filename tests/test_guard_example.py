"""The example repository as a user has it, outside this checkout, and the action that it uses."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers import GOOD, ROOT, anchors, make_record
from unlearnbench.benchmark.records.store import load_records, write_record

EXAMPLE = ROOT / "examples" / "guard"
# Whether the package is installed anew since the plugin came or not, it is loaded once.
PLUGIN = ("-p", "unlearnbench.pytest_plugin")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.fixture
def repository(tmp_path):
    """A copy of the example, and pytest in it."""
    shutil.copytree(EXAMPLE, tmp_path / "guard")

    def run():
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", *PLUGIN],
            capture_output=True,
            text=True,
            cwd=tmp_path / "guard",
            timeout=1500,
            env={**os.environ, **ALONE, "COLUMNS": "400"},
        )

    return tmp_path / "guard", run


@pytest.mark.slow
def test_the_example_passes_as_it_stands(repository):
    _, run = repository
    done = run()
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_the_example_fails_when_its_method_gets_worse(repository):
    folder, run = repository
    source = (folder / "gentle.py").read_text()
    # A change that looks harmless: the sign of the forget loss.
    (folder / "gentle.py").write_text(source.replace("- self.alpha", "+ self.alpha"))
    done = run()
    assert done.returncode == 1, done.stdout
    assert re.search(r"Failed: regression: digits-vae · gentle: \w+ went from", done.stdout), done.stdout
    assert "Traceback" not in done.stdout


def test_the_examples_baseline_is_whole_and_of_the_methods_own_records():
    loaded = load_records([EXAMPLE / "baseline"])
    assert not loaded.problems
    assert {(r.task.name, r.method.name, r.status.value) for r in loaded.records} == {("digits-vae", "gentle", "ok")}
    assert sorted(record.seed for record in loaded.records) == [0, 1, 2]


def test_the_guide_shows_the_examples_own_test_and_the_actions_own_inputs():
    page = (ROOT / "docs" / "guarding.md").read_text()
    test = (EXAMPLE / "test_gentle.py").read_text().partition("import pytest")[2]
    shown = re.search(r"```python\nimport pytest(.*?)```", page, flags=re.S)[1]
    assert [line for line in shown.splitlines() if line] == [line for line in test.splitlines() if line]
    step = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, flags=re.S)[1])
    assert step[0]["with"].keys() <= ACTION["inputs"].keys()
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "guard.yml").read_text())
    steps = workflow["jobs"]["regress"]["steps"]
    assert steps[-1]["with"].keys() <= ACTION["inputs"].keys()
    assert steps[-1]["with"]["baseline"] == "baseline"


def test_foreign_actions_are_pinned_and_inputs_reach_the_shell_as_variables_alone():
    steps = ACTION["runs"]["steps"]
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "guard.yml").read_text())
    for step in (*steps, *workflow["jobs"]["regress"]["steps"]):
        used = step.get("uses", "")
        assert not used or re.search(r"@([0-9a-f]{40}|COMMIT)$", used), used
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    ("lost", "noise", "strict", "code", "exit_code"),
    [
        (0.0, 0.001, "false", 0, 0),
        (0.05, 0.001, "false", 1, 1),
        (0.02, 0.06, "false", 0, 2),
        (0.02, 0.06, "true", 2, 2),
    ],
)
def test_the_actions_comparison_does_what_it_says(tmp_path, lost, noise, strict, code, exit_code):
    for name, sign in (("baseline", 1), ("results", -1)):
        for seed in range(3):
            values = GOOD | {"retain_accuracy": 0.9 - (lost if sign < 0 else 0.0) + sign * noise * (seed - 1)}
            write_record(tmp_path / name, make_record("mine", seed, values))
        for record in anchors():
            write_record(tmp_path / name, record)
    done, outputs, summary = compare_step(tmp_path, strict)
    assert done.returncode == code, done.stderr
    assert outputs == f"exit-code={exit_code}\n"
    assert summary.startswith("## Unlearning: ")
    assert (tmp_path / "temp" / "unlearnbench-regress" / "junit.xml").is_file()
    assert ("::warning::" in done.stdout) == (exit_code == 2 and strict == "false")


def test_the_actions_comparison_fails_on_a_mistake(tmp_path):
    done, _, summary = compare_step(tmp_path, "false")
    assert done.returncode == 1
    assert "There is no results folder baseline" in done.stderr
    assert summary == ""


def compare_step(folder: Path, strict: str):
    """Runs the action's step as a runner does: bash that stops at the first error, and files for what it says."""
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("id") == "compare"]
    (folder / "bin").mkdir()
    command = folder / "bin" / "unlearnbench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unlearnbench "$@"\n')
    command.chmod(0o755)
    (folder / "temp").mkdir()
    files = {"GITHUB_OUTPUT": folder / "output", "GITHUB_STEP_SUMMARY": folder / "summary"}
    for path in files.values():
        path.touch()
    env = {"BASELINE": "baseline", "CURRENT": "results", "ARGUMENTS": "--cost off", "STRICT": strict}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
        env={
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder / "temp"),
            **{name: str(path) for name, path in files.items()},
            **env,
        },
    )
    assert env.keys() == step["env"].keys()
    return done, files["GITHUB_OUTPUT"].read_text(), files["GITHUB_STEP_SUMMARY"].read_text()
