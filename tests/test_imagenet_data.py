"""ImageNet for `imagenet-dit`: pictures as the papers cut them, and latents that are cached once."""

import dataclasses
import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tiny_imagenet import (  # noqa: F401 - fixtures
    CLASSES,
    SIDE,
    miniature,
    prepared,
    save_pipeline,
    task,
)
from unlearnbench.benchmark.running.identity import make_task
from unlearnbench.tasks.class_suppression import base, latent_cache
from unlearnbench.tasks.data.pictures import adm_crop
from unlearnbench.tasks.data.sets import IMAGENET


def test_the_first_images_of_each_class_are_cached_once(task, miniature):
    kept = task._prepared()
    forget, retain = latent_cache.load_pools(task.assets, kept.train.files, 7, task._selection(), 0.18215)
    assert len(forget) == 12
    assert forget.labels.unique().tolist() == [7]
    assert torch.bincount(retain.labels, minlength=CLASSES).tolist() == [3] * 7 + [0] + [3] * 2
    assert kept.reference.images == 40
    # By hand: the first training image of class 7, encoded.
    rows = task.images("train").pictures(0)
    first = task.cut().decode(next(row for row in rows if row.label == 7))
    pixels = torch.from_numpy(first.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    vae = base.load_vae(task._folder())
    with torch.inference_mode():
        latents = vae.encode(torch.cat([pixels, pixels.flip(-1)])).latent_dist
    assert torch.allclose(forget.mean[0].float(), latents.mean, atol=2e-3)
    assert torch.allclose(forget.std[0].float(), latents.std, atol=2e-3)


def test_a_stopped_preparation_goes_on_with_the_file_it_stopped_at(task, miniature, prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))

    class Stopped(Exception):
        pass

    def stop_late(what, done, total):
        if (what, done) == ("train images", 1):
            raise Stopped

    with pytest.raises(Stopped):
        task.prepare(stop_late)
    assert "unlearnbench prepare imagenet-dit" in task.missing()[0]
    told = []
    task.prepare(lambda what, done, total: told.append((what, done)))
    assert told[0] == ("train images", 1)
    assert task.missing() == []
    again = task.sha256()
    lost = task.assets.writable / task._prepared().train.files[0]
    lost.unlink()
    assert "unlearnbench prepare imagenet-dit" in task.missing()[0]
    told.clear()
    task.prepare(lambda what, done, total: told.append((what, done)))
    assert told == [("train images", 0)]
    assert task.missing() == []
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(prepared))
    assert task.sha256() == again


def test_the_same_files_in_another_place_are_the_same_task(task, miniature, prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    shutil.copytree(miniature["base"], tmp_path / "base")
    shutil.copytree(miniature["data"], tmp_path / "imagenet-1k")
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    moved = make_task("imagenet-dit", miniature | {"base": str(tmp_path / "base"), "data": None})
    moved.prepare(lambda what, done, total: None)
    other = moved.sha256()
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(prepared))
    assert other == task.sha256()
    assert other != make_task("imagenet-dit", miniature | {"retain_samples": 36}).sha256()


def test_latents_are_drawn_around_their_means():
    mean = torch.stack([torch.full((1, 2, 2), 3.0), torch.full((1, 2, 2), -3.0)])[None].half()
    pool = latent_cache.LatentPool(mean, torch.full_like(mean, 0.1), torch.tensor([5]), scale=0.5)
    drawn, labels = pool.sample(400, torch.Generator().manual_seed(0))
    assert labels.unique().tolist() == [5]
    assert 0.4 < (drawn[:, 0, 0, 0] > 0).float().mean() < 0.6  # mirrored half of the time
    assert drawn.abs().mean().item() == pytest.approx(1.5, abs=0.01)
    assert drawn.abs().std().item() == pytest.approx(0.05, abs=0.005)
    ((first, _),) = pool.ordered(8)
    assert torch.equal(first, torch.full((1, 1, 2, 2), 1.5))


@pytest.mark.parametrize("size", [(500, 375), (64, 64), (70, 200), (1200, 900)])
def test_the_crop_is_the_centre_square(size):
    width, height = size
    side = min(size)
    ramp = np.zeros((height, width, 3), np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    ramp[top : top + side, left : left + side] = np.linspace(40, 220, side).astype(np.uint8)[None, :, None]
    crop = np.asarray(adm_crop(Image.fromarray(ramp), 64))
    assert crop.shape == (64, 64, 3)
    expected = np.linspace(40, 220, 64)
    assert np.abs(crop[4:-4, 4:-4, 0].mean(0) - expected[4:-4]).max() < 5


@pytest.mark.data("imagenet-sample")
@pytest.mark.slow
def test_real_pictures_are_cropped_and_cached(tmp_path, monkeypatch):
    """One picture of each class, 256x256 already, so that the crop must leave them as they are."""
    data = dataclasses.replace(IMAGENET, folder="imagenet-sample", size=256, fit="adm")
    row = next(data.rows(data.where(), "validation").pictures(0))
    with Image.open(io.BytesIO(row.encoded)) as image:
        assert np.array_equal(data.decode(row), np.asarray(image.convert("RGB")))
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    from unlearnbench.benchmark.records.assets import AssetFolder

    assets = AssetFolder("imagenet-dit", tmp_path / "none")
    encode = latent_cache.latents_of(base.load_vae(save_pipeline(tmp_path / "base")))
    selection = latent_cache.Selection(1, {}, 1000)
    data = dataclasses.replace(data, size=64)
    source = data.rows(data.where(), "validation")
    kept = latent_cache.fill(assets, "latents", data, source, selection, encode, lambda what, done, total: None)
    assert (len(kept.files), kept.images) == (2, 1000)
    forget, retain = latent_cache.load_pools(assets, kept.files, 207, selection, 0.18215)
    assert (len(forget), len(retain)) == (1, 999)
    assert retain.mean.shape == (999, 2, 4, 16, 16)
    assert torch.isfinite(retain.mean).all()
