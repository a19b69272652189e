"""Data sets as declarations: the same pictures from parquet files and from folders of files, and what is wrong with a copy."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from parquet_files import encoded, write_parquet
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.data.dataset import DataSet
from unlearnbench.tasks.data.sets import IMAGENET, MNIST, TINY_IMAGENET

CLASSES = ("square", "circle", "line")
SHAPES = DataSet(folder="shapes", size=8, classes=CLASSES, test="val")
SPLITS = {"train": 5, "val": 2}


def pictures(split):
    """Colours by class, with noise: label and pixels."""
    generator = np.random.default_rng(len(split))
    for label in range(len(CLASSES)):
        for _ in range(SPLITS[split]):
            yield label, (generator.integers(0, 60, (8, 8, 3)) + 80 * label).astype(np.uint8)


def write_files(folder):
    for split in SPLITS:
        for number, (label, pixels) in enumerate(pictures(split)):
            place = folder / split / CLASSES[label] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place)


def write_rows(folder, names=CLASSES, label="label", add=0):
    """Labels count from ``add``; names in another order than declared mean another label."""
    import datasets

    kind = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
    for split in SPLITS:
        rows = [(encoded(pixels), (names or CLASSES).index(CLASSES[at]) + add) for at, pixels in pictures(split)]
        columns = {"image": [row[0] for row in rows], label: [row[1] for row in rows]}
        write_parquet(
            folder / "data" / f"{split}-00000-of-00001.parquet", columns, {"image": datasets.Image(), label: kind}
        )


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    return tmp_path


WRITERS = {
    "files": write_files,
    "rows": write_rows,
    "rows whose names are in another order": lambda folder: write_rows(folder, sorted(CLASSES)),
    "rows without names": lambda folder: write_rows(folder, None),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_copy_gives_the_same_pictures_labels_and_hash(tmp_path, monkeypatch, kind):
    found = []
    for name, write in (("one", write_files), ("other", WRITERS[kind])):
        monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path / name))
        write(tmp_path / name / "shapes")
        found.append((SHAPES.load("train"), SHAPES.load("val"), SHAPES.identity()))
    (train, val, identity), (other_train, other_val, other_identity) = found
    assert identity == other_identity
    assert all(map(torch.equal, (*train, *val), (*other_train, *other_val)))
    assert train.images.shape == (15, 3, 8, 8)
    assert train.labels.bincount().tolist() == [5, 5, 5]
    by_class = [train.images[train.labels == label].float().mean() for label in range(3)]
    assert by_class == sorted(by_class)
    pinned = dataclasses.replace(SHAPES, sha256={"train": "0" * 64, "val": "0" * 64})
    with pytest.raises(BenchmarkError, match="'train' of .*shapes is not shapes: its hash is .*, not 000000000000; re"):
        pinned.load("train")


@pytest.mark.parametrize("write", [write_files, write_rows], ids=["files", "rows"])
def test_the_first_of_some_classes_are_taken_and_no_other_is_decoded(home, write):
    write(home / "also")
    data = dataclasses.replace(SHAPES, classes=(), folder="absent", also=("also",))
    names = data.class_names(data.where())
    assert sorted(names) == sorted(CLASSES)
    wanted = names.index("line")
    found = data.first(data.where(), "train", {wanted: 2, names.index("circle"): None})
    assert (found.labels == wanted).sum() == 2
    assert len(found.labels) == 7
    assert found.images[found.labels == wanted].min() >= 160
    assert len(data.rows(data.where(), "train")) == 1


def test_pictures_are_cut_to_grey_squares_or_refused(home):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, 5:25] = 200
    for split in ("train", "val"):
        (home / "wide" / split / "only").mkdir(parents=True)
        Image.fromarray(pixels).save(home / "wide" / split / "only" / "a.png")
    wide = DataSet(folder="wide", size=10, channels=1, classes=("only",), test="val")
    assert wide.load("train").images.shape == (1, 1, 10, 10)
    assert wide.load("train").images[..., 1:-1].min() > 190
    with pytest.raises(BenchmarkError, match=r"The picture .*only/a.png is 30x20, not 10x10; replace it\."):
        dataclasses.replace(wide, fit="exact").load("train")
    (home / "wide" / "train" / "only" / "a.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(BenchmarkError, match=r"The picture .*/train/only/a.png is damaged .*; replace it\."):
        dataclasses.replace(wide, size=11).load("train")


def test_a_part_of_a_set_that_its_copy_names_is_found(home):
    write_rows(home / "parts" / "colours")
    (home / "parts" / "README.md").write_text(
        "---\nconfigs:\n- config_name: colours\n  data_files:\n  - split: train\n    path: colours/data/train-*\n"
        "  - split: val\n    path: colours/data/val-*\n- config_name: none\n  data_files: nothing/*\n---\n"
    )
    named = dataclasses.replace(SHAPES, folder="parts", config="colours")
    assert len(named.load("val").labels) == 6
    write_rows(home / "whole")
    assert len(dataclasses.replace(named, folder="whole").load("val").labels) == 6


def remove_class(folder):
    for file in (folder / "train" / "line").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("write", "then", "sentence"),
    [
        (
            write_files,
            remove_class,
            "The split 'train' of .* has no picture of line; put its pictures, as parquet files",
        ),
        (
            lambda folder: write_rows(folder, ("square", "circle", "line", "star")),
            None,
            r"holds the classes star, which the data set does not declare \(square, circle, line\); name the same",
        ),
        (
            lambda folder: write_rows(folder, None, add=1),
            None,
            "The picture .* has the label 3, and the labels are 0 to 2",
        ),
        (
            lambda folder: write_rows(folder, label="kind"),
            None,
            "the columns image, kind and not 'image' and 'label'; put",
        ),
        (
            write_rows,
            lambda folder: (folder / "data" / "train-00000-of-00001.parquet").write_bytes(b"no parquet"),
            "The split 'train' of the data in .*shapes cannot be read .*; put its pictures",
        ),
        (lambda folder: folder.mkdir(), None, "The split 'train' of the data in .*shapes cannot be read .*; put"),
        (
            write_rows,
            lambda folder: (folder / "data" / "train-00000-of-00001.parquet").unlink(),
            "The split 'train' of the data in .*shapes cannot be read .*; put its pictures",
        ),
    ],
)
def test_what_is_wrong_with_a_copy_is_one_sentence(home, write, then, sentence):
    write(home / "shapes")
    if then is not None:
        then(home / "shapes")
    with pytest.raises(BenchmarkError, match=sentence) as raised:
        SHAPES.load("train")
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_data_that_is_nowhere_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("UNLEARNBENCH_DATA", str(tmp_path))
    said = (
        "The data 'shapes' is not on the hub; put its pictures, as parquet files or as train/CLASS/*.png and "
        "val/CLASS/*.png, into a folder 'shapes' and set UNLEARNBENCH_DATA to the folder above it."
    )
    assert SHAPES.lacking() == said
    with pytest.raises(BenchmarkError) as raised:
        SHAPES.load("train")
    assert str(raised.value) == said
    sentence = (
        r"The data set zh-plus/tiny-imagenet cannot be fetched from the hub .*; be online, or put a copy of zh-plus"
    )
    with pytest.raises(BenchmarkError, match=sentence):
        TINY_IMAGENET.class_names(TINY_IMAGENET.where())
    (tmp_path / "shapes").mkdir()
    assert SHAPES.lacking() is None


def test_gated_data_says_how_to_get_in(monkeypatch):
    import datasets

    def gated(*_, **__):
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'ILSVRC/imagenet-1k' is a gated dataset on the Hub.")

    monkeypatch.setattr(datasets, "load_dataset", gated)
    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)
    with pytest.raises(BenchmarkError, match="gated .*accept its terms"):
        IMAGENET.first(IMAGENET.where(), "train", {0: 1})


def test_the_hub_is_asked_for_the_pinned_commit_and_part(monkeypatch):
    import datasets

    asked = []
    monkeypatch.delenv("UNLEARNBENCH_DATA", raising=False)

    def load(*arguments, **options):
        asked.append((arguments, options))
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    data = dataclasses.replace(SHAPES, hub_id="me/shapes", revision="a" * 40, config="plain")
    for call in (lambda: data.load("train"), lambda: data.class_names(data.where())):
        with pytest.raises(BenchmarkError, match="The data set me/shapes cannot be fetched from the hub"):
            call()
    assert {arguments for arguments, _ in asked} == {("me/shapes", "plain")}
    assert {options["revision"] for _, options in asked} == {"a" * 40}
    # What is loaded whole is kept in the hub's cache, what is looked through is not.
    assert [options["streaming"] for _, options in asked] == [False, True]


@pytest.mark.data("mnist")
@pytest.mark.slow
def test_the_real_mnist_has_the_hash_that_records_call_it_by():
    from unlearnbench.tasks.mnist_vae import SHA256

    found = hashlib.sha256()
    for split in ("train", "test"):
        images, labels = MNIST.load(split)
        found.update(images.numpy().tobytes())
        found.update(labels.to(torch.uint8).numpy().tobytes())
    assert found.hexdigest() == SHA256
