"""Photographs from the hub's layout or a folder, and LPIPS between two of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.data import pictures
from unlearnbench.tasks.data.dataset import DataSet
from unlearnbench.tasks.data.pictures import Square
from unlearnbench.tasks.judges import lpips

from test_inpainting_tasks import OBJECTS, _plugin, data  # noqa: F401  # isort: skip


def test_pictures_are_cut_as_the_data_set_says():
    image = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
    assert pictures.fitted(image, Square(32, shorter=36)).size == (32, 32)
    assert pictures.fitted(image, Square(32, fit="press")).size == (32, 32)
    middle = image.crop((10, 0, 50, 40))
    assert np.array_equal(np.asarray(pictures.fitted(image, Square(40))), np.asarray(middle))
    squares = pictures.photographs(64, 50)
    assert squares.images.shape == (50, 3, 64, 64)
    assert len(torch.unique(squares.images, dim=0)) == 50


def test_the_first_pictures_of_each_class_are_taken_whatever_is_not_wanted(data, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(data))
    source = DataSet(folder="absent", also=("imagenet-1k",), size=32, shorter=36)
    where = source.where()
    assert source.class_names(where) == OBJECTS
    found = source.first(where, "train", {1: 3, 4: None})
    assert found.labels.tolist() == [1] * 3 + [4] * 12
    assert found.images.shape == (15, 3, 32, 32)
    assert found.images.dtype == torch.uint8


def test_damaged_absent_and_foreign_data_is_one_sentence_each(tmp_path, monkeypatch):
    import datasets

    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)
    offline = DataSet(folder="here", size=64, hub_id="zh-plus/tiny-imagenet")
    with pytest.raises(BenchmarkError, match=r"The data set zh-plus/tiny-imagenet .*put a copy"):
        offline.class_names(offline.where())
    with pytest.raises(
        BenchmarkError, match="The data 'here' is not on the hub; put its pictures, as parquet files or as train/CLASS"
    ):
        DataSet(folder="here", size=64).where()
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    for name, rows, expected in (
        ("torn", {"image": [{"bytes": b"\xff\xd8torn", "path": None}], "label": [0]}, "picture 0 .* is damaged"),
        ("foreign", {"pixels": [1], "label": [0]}, "columns label, pixels and not 'image' and 'label'"),
    ):
        table = datasets.Dataset.from_dict(rows)
        if name == "torn":
            table = table.cast_column("image", datasets.Image(decode=False))
        (tmp_path / name / "data").mkdir(parents=True)
        table.to_parquet(tmp_path / name / "data" / "train-00000-of-00001.parquet")
        source = DataSet(folder=name, size=32)
        with pytest.raises(BenchmarkError, match=expected):
            source.first(source.where(), "train", {0: 1})
    (tmp_path / "torn" / "data" / "train-00000-of-00001.parquet").write_bytes(b"no parquet")
    source = DataSet(folder="torn", size=32)
    with pytest.raises(BenchmarkError, match="cannot be read"):
        source.first(source.where(), "train", {0: 1})


def test_gated_data_says_how_to_get_in(monkeypatch):
    import datasets

    def gated(*_, **__):
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'ILSVRC/imagenet-1k' is a gated dataset on the Hub.")

    monkeypatch.setattr(datasets, "load_dataset", gated)
    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)
    source = DataSet(folder="imagenet-1k", size=224, hub_id="ILSVRC/imagenet-1k")
    with pytest.raises(BenchmarkError, match="gated .*accept its terms"):
        source.first(source.where(), "train", {0: 1})


def test_lpips_is_the_published_formula_and_wants_its_own_files(tmp_path, monkeypatch):
    from torchvision.models import alexnet

    torch.manual_seed(0)
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    assert lpips.load() is None
    network = alexnet(weights=None)
    heads = [torch.rand(channels) for channels in (64, 192, 384, 256, 256)]
    (tmp_path / "features").mkdir()
    torch.save(network.state_dict(), tmp_path / "features" / lpips.BACKBONE)
    torch.save(
        {f"lin{i}.model.1.weight": w.view(1, -1, 1, 1) for i, w in enumerate(heads)},
        tmp_path / "features" / lpips.HEADS,
    )
    a, b = (torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(2))
    expected = torch.zeros(2)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    with torch.inference_mode():
        x, y = ((part - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1) for part in (a, b))
        weights = iter(heads)
        for place, layer in enumerate(network.features[:12]):
            x, y = layer(x), layer(y)
            if place in (1, 4, 7, 9, 11):
                u, v = (nn.functional.normalize(part, dim=1) for part in (x, y))
                expected += ((u - v).square() * next(weights).view(1, -1, 1, 1)).sum(1).mean((1, 2))
    found = lpips.load().network
    assert torch.allclose(found.distance(a, b), expected, rtol=1e-4)
    assert found.distance(a, a).abs().max() == 0
    (tmp_path / "features" / lpips.HEADS).write_bytes(b"torn")
    with pytest.raises(BenchmarkError, match="to do without LPIPS"):
        lpips.load()
