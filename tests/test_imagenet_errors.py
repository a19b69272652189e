"""What is wrong with the files of `imagenet-dit` is said in one sentence."""

import re

import pytest
import torch

from tiny_imagenet import CPU, miniature, prepared, save_judge, save_parquet, save_pipeline, task  # noqa: F401 - fixtures
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.running.identity import make_method, make_task
from unlearnbench.tasks.class_suppression import base
from unlearnbench.tasks.data import hub
from unlearnbench.tasks.data.sets import IMAGENET


def broken(miniature, tmp_path, what):
    """Settings with one thing wrong."""
    settings = dict(miniature)
    if what == "no base":
        settings["base"] = str(tmp_path / "nowhere")
    elif what == "no pipeline":
        settings["base"] = str(tmp_path)
    elif what == "other pipeline":
        (tmp_path / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
        settings["base"] = str(tmp_path)
    elif what == "other schedule":
        settings["base"] = str(save_pipeline(tmp_path / "base", beta_end=0.012))
    elif what == "cut weights":
        folder = save_pipeline(tmp_path / "base")
        file = folder / "vae" / "diffusion_pytorch_model.bin"
        file.write_bytes(file.read_bytes()[:1000])
        settings["base"] = str(folder)
    elif what == "offline base":
        settings["base"] = base.HUB_ID
    elif what == "offline data":
        settings["data"] = IMAGENET.hub_id
    elif what == "no split":
        settings["data"] = str(save_parquet(tmp_path, "validation", 1))
    elif what == "no image":
        folder = save_parquet(tmp_path, "train", 2, damaged=True)
        settings["data"] = str(save_parquet(folder, "validation", 2))
    elif what == "class":
        settings["forget_class"] = 10
    elif what == "judge file":
        settings["judges"] = ["test_resnet=/nowhere.safetensors"]
    elif what == "judge weights":
        settings["judges"] = [save_judge(tmp_path / "judge", "test_resnet", classes=5)]
    elif what == "judge pin":
        settings["judges"] = [miniature["judges"][0] + "@" + "0" * 64]
    elif what == "offline judge":
        settings["judges"] = ["test_resnet.r160_in1k"]
    return settings


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("no base", "There is no folder .*nowhere with a base model; give a folder"),
        ("no pipeline", "holds no diffusers pipeline .*; give a folder"),
        ("other pipeline", "holds a DDPMPipeline and not a DiTPipeline; give"),
        ("other schedule", "was trained with beta_end = 0.012 and not 0.02.*; give"),
        ("cut weights", "The vae of the base model in .* cannot be loaded .*; download it again"),
        ("offline base", "facebook/DiT-XL-2-256 cannot be fetched from the hub .*`--set base=FOLDER`"),
        ("offline data", "The data set ILSVRC/imagenet-1k cannot be fetched from the hub .*; be online, or put a copy"),
        ("no split", "The split 'train' of the data in .* cannot be read .*; put a copy"),
        (
            "no image",
            r"The picture \d+ in file \d of the split 'train' of .* is damaged .*; get that file again",
        ),
        ("class", "knows the classes 0 to 9, so it cannot forget 10; choose"),
        ("judge file", "There is no file /nowhere.safetensors with weights of the judge test_resnet; correct"),
        ("judge weights", "does not hold the weights of timm's test_resnet for 10 classes .*; give"),
        ("judge pin", "is not the pinned file of the judge test_resnet .*; restore"),
        ("offline judge", "model.safetensors of timm/test_resnet.r160_in1k cannot be fetched .*; be online, or put"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(miniature, tmp_path, monkeypatch, what, sentence):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path / "assets"))
    wrong = make_task("imagenet-dit", broken(miniature, tmp_path, what))
    with pytest.raises(BenchmarkError, match=sentence) as raised:
        wrong.prepare(lambda what, done, total: None)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)
    (lacking,) = wrong.missing()
    assert lacking.endswith(".")


def test_before_it_is_prepared_the_way_to_prepare_it_is_said(miniature, tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_ASSETS", str(tmp_path))
    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)
    (lacking,) = make_task("imagenet-dit", {"forget_class": 89, "judges": miniature["judges"][:1]}).missing()
    assert "run `unlearnbench prepare imagenet-dit --set forget_class=89 --set 'judges=[\"test_resnet=/" in lacking


def test_settings_of_judges_are_checked_at_once():
    with pytest.raises(BenchmarkError, match="There is no timm model named 'convnext_bas'; did you mean"):
        make_task("imagenet-dit", {"judges": ["convnext_bas"]})
    with pytest.raises(BenchmarkError, match="two judges have the same name"):
        make_task("imagenet-dit", {"judges": ["test_vit", "test_vit"]})
    with pytest.raises(BenchmarkError, match="'12' is no sha256"):
        make_task("imagenet-dit", {"judges": ["test_vit@12"]})


def test_too_little_memory_is_said_before_anything_is_loaded(task, monkeypatch):
    monkeypatch.setattr(base, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(base, "load_transformer", lambda folder: pytest.fail("it was loaded"))
    with pytest.raises(BenchmarkError, match="needs at least 0.0 GiB for the weights, gradients and Adam's moments"):
        task.problem(make_method("original", {}), 0, CPU)
    monkeypatch.undo()
    assert base.free_bytes(CPU) > 2**20
    full = base.Shapes(1000, (4, 32, 32), 256, 0.18215, 674_900_000)
    monkeypatch.setattr(base, "free_bytes", lambda device: 8 * 2**30)
    with pytest.raises(BenchmarkError, match="8.0 GiB of free memory, and unlearning needs at least 10.1 GiB .*675 M"):
        base.check_memory(full, torch.device("cuda"))


def test_a_base_that_changed_since_it_was_prepared_is_refused(task, monkeypatch):
    monkeypatch.setattr(base, "hashes", lambda folder: {"transformer/config.json": "0" * 64})
    with pytest.raises(BenchmarkError, match="is not the one that the task was prepared with"):
        task.problem(make_method("original", {}), 0, CPU)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            401,
            "is gated on the hub or asks for a login: accept its terms on huggingface.co/datasets/ILSVRC/imagenet-1k and",
        ),
        (403, "log in with `hf auth login`, or name a copy"),
        (404, "The data set ILSVRC/imagenet-1k is not on the hub .*; check the name, or name a copy"),
        (503, "cannot be fetched from the hub .*; be online, or name a copy"),
    ],
)
def test_answers_of_the_hub_have_ways_out_of_their_own(status, sentence):
    from types import SimpleNamespace

    from huggingface_hub.errors import HfHubHTTPError

    answer = SimpleNamespace(status_code=status, headers={}, request=None)
    error = HfHubHTTPError(f"{status} for url", response=answer)
    wrapped = ConnectionError("the data set is not there")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        assert re.search(sentence, str(hub.refusal("The data set ILSVRC/imagenet-1k", one, "name a copy")))
