"""The workflows: least rights, no secrets, and no code of a pull request outside of a container without a network."""

import re

import pytest

from helpers import ROOT

yaml = pytest.importorskip("yaml")
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path):
    """Reads a workflow; YAML 1.1 takes the key `on` for true."""
    return yaml.safe_load(path.read_text())


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_three():
    assert [path.name for path in FILES] == ["board.yml", "submission.yml", "test.yml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_has_no_right_that_it_does_not_need(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in path.read_text().replace("`pull_request_target` is not used", "")
    assert "workflow_run" not in path.read_text()
    assert "secrets" not in path.read_text()
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {})
        assert rights == ({"pages": "write", "id-token": "write"} if (path.stem, name) == ("board", "publish") else {})
        assert job["timeout-minutes"] <= 90
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_and_leave_no_token_behind(path):
    for step in steps(load(path)):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
            assert "checkout" not in step["uses"] or step["with"]["persist-credentials"] is False
        else:
            # What a stranger writes, such as a title or a branch's name, never becomes part of a script.
            assert "${{" not in step["run"]


def test_only_the_board_of_the_main_branch_is_published():
    workflow = load(ROOT / ".github" / "workflows" / "board.yml")
    assert set(workflow[True]) == {"push", "workflow_dispatch"}
    assert workflow[True]["push"]["branches"] == ["main"]


def test_a_submission_is_judged_by_the_base_branch_and_run_without_a_network():
    jobs = load(ROOT / ".github" / "workflows" / "submission.yml")["jobs"]
    assert set(jobs) == {"records", "method"}
    for job in jobs.values():
        checkouts = [step["with"] for step in job["steps"] if "checkout" in step.get("uses", "")]
        assert [where["path"] for where in checkouts] == ["base", "proposed"]
        assert checkouts[0]["ref"] == "${{ github.event.pull_request.base.sha }}"
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                # No line installs, imports or runs what lies in the proposed folder.
                assert not re.search(r"(pip|python|bash|make|source|\./)[^|]*proposed(?!/leaderboard/results)", line), (
                    line
                )
    scripts = "\n".join(step.get("run", "") for step in jobs["method"]["steps"])
    assert scripts.count("docker run") == scripts.count("--network none") == 1
    assert ':ro" judge' in scripts
    assert "unlearnbench check" in scripts
    assert "unlearnbench" not in re.sub(r"docker run.*?unlearnbench check", "", scripts, flags=re.S)
    assert jobs["method"]["needs"] == "records"


def test_every_script_is_shell_that_parses():
    import subprocess

    for path in FILES:
        for step in steps(load(path)):
            if "run" in step:
                subprocess.run(["bash", "-n", "-c", step["run"]], check=True)


def test_the_layout_step_lets_only_results_change(tmp_path):
    import subprocess

    job = load(ROOT / ".github" / "workflows" / "submission.yml")["jobs"]["records"]
    (script,) = [step["run"] for step in job["steps"] if step.get("name", "").startswith("Nothing but records")]
    for side in ("base", "proposed"):
        (tmp_path / side / "leaderboard" / "results" / "digits-vae").mkdir(parents=True)
        (tmp_path / side / "code.py").write_text("x")

    def passes():
        return subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True).returncode == 0

    assert passes()
    (tmp_path / "proposed" / "leaderboard" / "results" / "digits-vae" / "x.json").write_text("{}")
    (tmp_path / "proposed" / "leaderboard" / "results" / "methods").mkdir()
    assert passes()
    (tmp_path / "proposed" / "leaderboard" / "resultsx").mkdir()
    assert not passes()
    (tmp_path / "proposed" / "leaderboard" / "resultsx").rmdir()
    (tmp_path / "proposed" / "code.py").write_text("y")
    assert not passes()
