"""The calibration of the samplers: its rule, its page, and what it says of the tasks' own samplers."""

import json

import pytest
import torch

from helpers import ROOT
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.docs.make import calibration
from unlearnbench.docs.make.calibration import agree, agreeing, finding, render
from unlearnbench.tasks.judges import cifar10_judges

ON_FILE = calibration.read()
WITH_DATA = {"cifar10-ddpm": pytest.mark.data("cifar10", cifar10_judges.FOLDER)}
each_task = pytest.mark.parametrize("name", [pytest.param(name, marks=WITH_DATA.get(name, ())) for name in ON_FILE])


def number(value, half=0.1):
    return {"value": value, "low": value - half, "high": value + half}


def row(solver, steps, fid, accuracy=1.0):
    return {
        "solver": solver,
        "steps": steps,
        "seconds": 1.5,
        "fid_retain": number(fid),
        "forget_accuracy": number(accuracy, 0.02),
    }


def example(*rows, default=("dpm", 10)):
    context = {
        "default": {"solver": default[0], "steps": default[1]},
        "guidance": 1.5,
        "retain_samples": 5,
        "forget_samples": 4,
        "judge": "resnet",
        "device": "cpu · Test · 1 thread",
        "torch": "2.13.0",
    }
    return {"context": context, "rows": [*rows, row(*calibration.REFERENCE, 1.0)]}


def test_two_numbers_agree_if_the_interval_of_their_difference_holds_zero():
    assert agree(number(1.0), number(1.0))
    # Two halves of 0.1 make one of 0.141.
    assert agree(number(1.0), number(1.14))
    assert not agree(number(1.0), number(1.142))
    assert not agree(number(1.142), number(1.0))
    # An interval that is not symmetric counts on the side that faces the other number.
    lopsided = {"value": 1.0, "low": 0.2, "high": 1.0}
    assert agree(lopsided, number(0.3))
    assert not agree(lopsided, number(1.2))


def test_the_cheapest_that_agrees_in_both_numbers_is_named():
    rows = [row("dpm", 5, 2.0), row("ddim", 20, 1.05), row("dpm", 10, 1.1), row("dpm", 8, 1.0, accuracy=0.5)]
    assert [(r["solver"], r["steps"]) for r in agreeing(example(*rows)["rows"])] == [("dpm", 10), ("ddim", 20)]
    assert agreeing(rows) == []


def test_the_finding_says_what_follows_for_the_tasks_own_sampler():
    rows = row("dpm", 5, 2.0), row("dpm", 10, 1.1), row("dpm", 20, 1.0)
    assert finding(example(*rows)).endswith("is dpm with 10 steps, which is what the task draws with.")
    assert "20 steps, which agrees, too." in finding(example(*rows, default=("dpm", 20)))
    assert "5 steps, which does not agree" in finding(example(*rows, default=("dpm", 5)))
    assert finding(example(row("dpm", 10, 9.0))).startswith("None of the samplers agrees")
    page = render({"some-task": example(*rows)})
    assert "| dpm | 10 | 1.100 | 1.000 to 1.200 | 1.000 | 0.980 to 1.020 | 1.5 | yes |" in page
    assert "| ddpm | 1,000 |" in page
    assert "| reference |" in page
    assert "CPU seconds" in page


def test_the_page_is_what_the_file_says():
    assert (ROOT / "docs" / "calibration.md").read_text() == render(ON_FILE)


@each_task
def test_the_file_is_of_the_model_that_ships_and_is_complete(name):
    task, context, rows = make_task(name, {}), ON_FILE[name]["context"], ON_FILE[name]["rows"]
    assert context["model_sha256"] == task.assets.entry(task.base_file).sha256
    assert context["judge_sha256"] == task.load_judges()[context["judge"]].sha256
    assert context["data_sha256"] == task.data_sha256()
    assert context["default"] == {"solver": task.sampler.solver, "steps": task.sampler.steps}
    assert context["guidance"] == task.sampler.guidance
    assert {(r["solver"], r["steps"]) for r in rows} == {*calibration.CANDIDATES, calibration.REFERENCE}


@pytest.mark.parametrize("name", ON_FILE)
def test_the_tasks_own_sampler_is_the_finding_or_the_page_says_why_not(name):
    default, within = ON_FILE[name]["context"]["default"], agreeing(ON_FILE[name]["rows"])
    chosen = within and (within[0]["solver"], within[0]["steps"]) == (default["solver"], default["steps"])
    assert chosen or calibration.WHY_NOT[name] in render(ON_FILE)


@pytest.mark.slow
def test_a_calibration_goes_on_where_it_stopped_and_starts_anew_for_another_model(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "CANDIDATES", (("dpm", 2), ("ddim", 2)))
    monkeypatch.setattr(calibration, "REFERENCE", ("ddpm", 3))
    monkeypatch.setattr(calibration, "RETAIN_SAMPLES", 45)
    monkeypatch.setattr(calibration, "FORGET_SAMPLES", 10)
    out = tmp_path / "calibration.json"
    calibration.main(["digits-ddpm", "--out", str(out)])
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert out.with_suffix(".md").read_text() == render(calibration.read(out))
    stored = json.loads(out.read_text())
    del stored["digits-ddpm"]["rows"][1]
    out.write_text(json.dumps(stored))
    calibration.main(["digits-ddpm", "--out", str(out)])
    assert capsys.readouterr().out.startswith('digits-ddpm {"solver": "ddim"')
    stored["digits-ddpm"]["context"]["model_sha256"] = "0" * 64
    out.write_text(json.dumps(stored))
    task = make_task("digits-ddpm", {})
    assert len(calibration.calibrate(task, out, torch.device("cpu"))["rows"]) == 3
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_what_cannot_be_calibrated_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="'digits-vae' does not draw from a diffusion model"):
        calibration.main(["digits-vae", "--out", str(tmp_path / "x.json")])
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    with pytest.raises(SystemExit, match="lacks base.safetensors"):
        calibration.main(["digits-ddpm", "--out", str(tmp_path / "x.json")])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(BenchmarkError, match="broken.json is not a calibration"):
        calibration.read(tmp_path / "broken.json")
