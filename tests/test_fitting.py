"""``prepare --minutes``: training that is fitted into a time, the same number of steps for base and oracles."""

import json
import time

import pytest

import unlearnbench
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.digits_vae import DigitsVAE
from unlearnbench.tasks.retraining import fitting
from unlearnbench.tasks.retraining.fitting import Schedule, Speed
from unlearnbench.tasks.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(steps=6000, batch_size=64, lr=1e-3)
MINUTES = 0.3
MODELS = ("base", "oracle-3-0", "oracle-3-1", "oracle-3-2")


def prepared(folder, minutes, progress=lambda *_: None):
    unlearnbench.prepare("digits-vae", settings={"forget_class": 3}, out=folder, minutes=minutes, progress=progress)
    files = json.loads((folder / "digits-vae" / "manifest.json").read_text())["files"]
    return {name: files[f"{name}.safetensors"]["made"] for name in MODELS}


def test_speed_is_that_of_the_steps_without_the_start():
    def train(steps, progress, checkpoint):
        assert checkpoint.load() is None
        time.sleep(0.3)
        for step in range(steps):
            time.sleep(0.01)
            progress(step, steps)

    found = fitting.measure(train, 10.0)
    assert 0.3 < found.start_seconds < 0.6
    assert 0.01 < found.step_seconds < 0.02


def test_steps_fill_the_time_that_sampling_leaves():
    found = fitting.fit(RECIPE, Speed(2.0, 0.01), 100.0, models=4)
    assert found == RECIPE._replace(steps=int((90 / 4 - 2) / 0.01))


def test_a_time_that_is_too_short_says_what_would_do():
    with pytest.raises(BenchmarkError, match=r"for 50 training steps of each of 4 models.*about 0\.4 minutes more"):
        fitting.fit(RECIPE, Speed(5.0, 0.1), 40 / 0.9, models=4)


def test_an_interrupted_schedule_goes_on_and_another_time_is_refused(tmp_path):
    path = tmp_path / "base.schedule"
    assert fitting.kept(path, 2.0) is None
    schedule = Schedule(RECIPE, 2.0, Speed(1.0, 0.01))
    fitting.keep(path, schedule)
    assert fitting.kept(path, 2.0) == schedule
    with pytest.raises(BenchmarkError, match="go on with `--minutes 2`"):
        fitting.kept(path, 3.0)
    path.write_text("{")
    with pytest.raises(BenchmarkError, match="is no schedule"):
        fitting.kept(path, 2.0)


def test_base_and_oracles_take_the_same_steps_in_the_time_and_go_on_after_a_kill(tmp_path, monkeypatch):
    for judges in ("own_judges", "wanted_judges"):
        monkeypatch.setattr(DigitsVAE, judges, lambda task: [])

    def killed(what, done, total):
        if what == "training oracle-3-1.safetensors":
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        prepared(tmp_path, MINUTES, killed)
    made = prepared(tmp_path, MINUTES)
    assert time.monotonic() - begun < 120 * MINUTES
    assert len({each["steps"] for each in made.values()}) == 1
    assert made["base"]["minutes"] == MINUTES
    assert fitting.FEWEST_STEPS < made["base"]["steps"] != RECIPE.steps
    assert not list(tmp_path.rglob("*.schedule"))


def test_a_base_model_of_its_own_recipe_sets_that_of_its_oracles(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BenchmarkError, match="trained for 6000 steps.*leave --minutes out"):
        unlearnbench.prepare("digits-vae", settings={"forget_class": 5}, minutes=1.0)


def test_a_task_that_trains_nothing_says_so(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be fitted into a time"):
        unlearnbench.prepare("imagenet-mae", out=tmp_path, minutes=1.0)
