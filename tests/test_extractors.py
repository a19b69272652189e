"""Extractors of the literature, on random miniatures of the same file formats: no network, no real weights."""

import hashlib
import subprocess
import sys
import urllib.request
import warnings

import numpy as np
import pytest
import torch

from helpers import ROOT, TINY_DINOV2
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.judges import extractors
from unlearnbench.tasks.judges.extractors import KINDS, fetch, load_extractor, missing


class Layers(torch.nn.Module):
    """Maps pictures to 2,048 features, as the layers of the converted network do."""

    def __init__(self):
        super().__init__()
        self.pool = torch.nn.AdaptiveAvgPool2d(5)
        self.linear = torch.nn.Linear(75, 2048)

    def forward(self, x):
        return self.linear(self.pool(x).flatten(1))


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x, return_features: bool = False):
        return self.layers(x)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    (tmp_path / "features").mkdir()
    return tmp_path / "features"


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """A TorchScript archive under the name that clean-fid looks for."""
    path = tmp_path_factory.mktemp("inception") / "inception-2015-12-05.pt"
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Network().eval()), path)
    return path


def pin(monkeypatch, name, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = KINDS[name].weights._replace(sha256=digest)
    monkeypatch.setitem(KINDS, name, KINDS[name]._replace(weights=weights))
    return digest


def put(path, folder):
    target = folder / path.name
    target.write_bytes(path.read_bytes())
    return target


def pictures(n=3, size=32, channels=3):
    return torch.randint(256, (n, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_inception_features_are_clean_fids_from_the_same_file(folder, inception_file, monkeypatch):
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    digest = pin(monkeypatch, "inception", inception_file)
    put(inception_file, folder)
    found = load_extractor("inception")
    images = pictures()
    resize = build_resizer("clean")
    resized = np.stack([resize(image.permute(1, 2, 0).numpy()) for image in images]).transpose(0, 3, 1, 2)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = InceptionV3W(str(folder), download=False)(torch.from_numpy(resized))
    features = found(images)
    assert features.shape == (3, 2048)
    assert features.dtype == np.float32
    assert np.array_equal(features, expected.numpy())
    assert found.sha256 == digest
    assert "bicubic 299" in found.describe()
    assert "(x - 128) / 128" in found.describe()


def test_dinov2_is_timms_network_on_normalised_pictures(folder, dinov2_file, tiny_dinov2):
    import timm

    put(dinov2_file, folder)
    found = load_extractor("dinov2-small")
    image = torch.full((1, 3, 20, 20), 128, dtype=torch.uint8)
    network = timm.create_model(
        "vit_small_patch14_dinov2",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(dinov2_file)},
        num_classes=0,
        img_size=224,
        **TINY_DINOV2,
    ).eval()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (extractors.IMAGENET_MEAN, extractors.IMAGENET_STD))
    with torch.inference_mode():
        expected = network(((128 / 255 - mean) / std).expand(1, 3, 224, 224))
    assert found(image) == pytest.approx(expected.numpy(), abs=1e-4)
    assert "class token" in found.describe()


def test_features_do_not_depend_on_the_batch_and_grey_is_three_equal_channels(folder, dinov2_file, tiny_dinov2):
    put(dinov2_file, folder)
    found = load_extractor("dinov2-small")
    grey = pictures(3, channels=1)
    together = found(grey)
    assert together == pytest.approx(np.concatenate([found(image[None]) for image in grey]), abs=1e-4)
    assert together == pytest.approx(found(grey.repeat(1, 3, 1, 1)), abs=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_an_unknown_hash_holds_from_the_first_use_on(folder, dinov2_file, tiny_dinov2):
    path = put(dinov2_file, folder)
    first = load_extractor("dinov2-small").sha256
    assert (folder / "tiny.safetensors.sha256").read_text() == f"{first}  tiny.safetensors\n"
    load_extractor("dinov2-small")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BenchmarkError, match="as tiny.safetensors.sha256 beside it says") as error:
        load_extractor("dinov2-small")
    assert "delete it and be online, or put tiny.safetensors from https://huggingface.co/timm/tiny/" in str(error.value)


def test_a_file_with_another_hash_than_the_pinned_one_is_refused(folder, inception_file):
    put(inception_file, folder)
    with pytest.raises(BenchmarkError, match="is not the file of weights .* not f58cb9b6ec32") as error:
        load_extractor("inception")
    assert "\n" not in str(error.value)
    assert not (folder / "inception-2015-12-05.pt.sha256").exists()


@pytest.mark.parametrize("name", KINDS)
def test_offline_and_without_weights_one_sentence_says_which_file_to_put_where(folder, name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sentence = missing(name)
    with pytest.raises(BenchmarkError) as error:
        load_extractor(name)
    for text in (sentence, str(error.value)):
        assert KINDS[name].weights.file in text
        assert str(folder) in text
        assert "https://" in text
        assert text.endswith(".")
        assert "\n" not in text
    assert list(folder.iterdir()) == []


def test_what_is_at_hand_is_not_missing(folder, inception_file):
    put(inception_file, folder)
    assert missing("inception") is None


def test_a_server_that_does_not_answer_is_one_sentence_and_leaves_nothing(folder, monkeypatch):
    def fail(address, timeout):
        raise TimeoutError("timed out")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(BenchmarkError, match=r"could not be fetched \(TimeoutError: timed out\); be online, or put"):
        load_extractor("inception")
    assert list(folder.iterdir()) == []


def test_weights_are_fetched_once_from_the_address_and_checked(folder, inception_file, monkeypatch):
    pin(monkeypatch, "inception", inception_file)
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return inception_file.open("rb")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert fetch("inception") == fetch("inception") == folder / "inception-2015-12-05.pt"
    assert asked == [KINDS["inception"].weights.source]


def test_a_file_of_the_hub_is_fetched_by_its_id(folder, dinov2_file, tiny_dinov2, monkeypatch):
    import huggingface_hub

    asked = []

    def download(repository, file):
        asked.append((repository, file))
        return str(dinov2_file)

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert load_extractor("dinov2-small")(pictures(1)).shape == (1, 24)
    assert asked == [("timm/tiny", "model.safetensors")]


@pytest.mark.parametrize("name", ["inception", "dinov2-small"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x00" * 5000])
def test_a_file_that_is_no_weights_is_one_sentence(folder, tmp_path, name, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match="does not hold the weights of") as error:
        load_extractor(name, path=path)
    assert "\n" not in str(error.value)


def test_weights_of_another_network_are_refused(folder, dinov2_file, tmp_path):
    with pytest.raises(BenchmarkError, match="does not hold the weights of vit_small_patch14_dinov2"):
        load_extractor("dinov2-small", path=dinov2_file)


def test_a_file_of_ones_own_is_used_as_it_is_and_named_by_its_hash(folder, inception_file):
    found = load_extractor("inception", path=inception_file)
    assert found.sha256 == hashlib.sha256(inception_file.read_bytes()).hexdigest() != KINDS["inception"].weights.sha256
    with pytest.raises(BenchmarkError, match="There is no file .*elsewhere.pt"):
        load_extractor("inception", path=inception_file.with_name("elsewhere.pt"))


@pytest.mark.slow
def test_importing_asks_no_network_and_loads_no_framework_of_models():
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from unlearnbench.tasks.common import extractors\n"
        "extractors.missing('dinov2-small')\n"
        "assert not {'timm', 'cleanfid', 'huggingface_hub'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(BenchmarkError, match="no kind of features named 'inceptoin'; did you mean inception"):
        load_extractor("inceptoin")


def test_the_page_names_every_kind_with_its_width_and_file():
    page = (ROOT / "docs" / "features.md").read_text()
    for name, kind in KINDS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"| {kind.dimensions:,} |" in row
        assert f"`{kind.weights.file}`" in row
        assert ("hash pinned" in row) == (kind.weights.sha256 is not None)
