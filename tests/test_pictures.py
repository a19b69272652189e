"""How pictures are brought to a square, and LPIPS between two of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.data import pictures
from unlearnbench.tasks.data.pictures import Square
from unlearnbench.tasks.judges import lpips


def test_pictures_are_cut_as_the_data_set_says():
    image = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
    assert pictures.fitted(image, Square(32, shorter=36)).size == (32, 32)
    assert pictures.fitted(image, Square(32, fit="press")).size == (32, 32)
    middle = image.crop((10, 0, 50, 40))
    assert np.array_equal(np.asarray(pictures.fitted(image, Square(40))), np.asarray(middle))
    squares = pictures.photographs(64, 50)
    assert squares.images.shape == (50, 3, 64, 64)
    assert len(torch.unique(squares.images, dim=0)) == 50


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
