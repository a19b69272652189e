"""Splits of classes that no superclass gives away, and the released one."""

import pytest

from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.tasks.data import splits


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_random_split_of_imagenet_has_as_many_classes_of_each_superclass_on_either_side(seed):
    keys = splits._imagenet_keys()
    split = splits.choose(keys, "imagenet", seed, 100)
    kinds = {
        part: sorted(splits.superclass(keys[label], "imagenet") for label in getattr(split, part))
        for part in ("forget", "retain")
    }
    assert kinds["forget"] == kinds["retain"]
    assert len(split.forget) == len(split.retain) == 100
    assert {kind: kinds["forget"].count(kind) for kind in kinds["forget"]} == dict.fromkeys(set(kinds["forget"]), 25)
    assert not set(split.forget) & (set(split.retain) | set(split.others) | set(split.near))
    assert split == splits.choose(keys, "imagenet", seed, 100)
    assert split != splits.choose(keys, "imagenet", (seed + 1) % 3, 100)


def test_a_random_split_knows_classes_by_name_and_not_by_place():
    keys = splits._imagenet_keys()
    names = {keys[label] for label in splits.choose(keys, "imagenet", 0, 100).forget}
    turned = keys[::-1]
    assert {turned[label] for label in splits.choose(turned, "imagenet", 0, 100).forget} == names


def test_the_released_split_is_the_published_one():
    keys = splits._imagenet_keys()
    split = splits.choose(keys, "imagenet", "li2024-released", 100)
    assert (len(split.forget), len(split.retain), len(split.others)) == (100, 100, 800)
    assert (keys[split.forget[0]], keys[split.forget[-1]]) == ("n01443537", "n02423022")
    assert (keys[split.retain[0]], keys[split.retain[-1]]) == ("n02437616", "n12267677")
    kinds = [splits.superclass(keys[label], "imagenet") for label in split.retain]
    assert sum(kind in ("mammals", "other animals") for kind in kinds) == 12
    assert {splits.superclass(keys[label], "imagenet") for label in split.near} == {"mammals", "other animals"}
    table = splits._table("places")
    assert (len(table["released"]["forget"]), len(table["released"]["retain"])) == (50, 50)
    assert {splits.superclass(key, "places") for key in table["released"]["forget"] + table["released"]["retain"]} == {
        "indoor",
        "outdoor",
    }


def test_the_near_class_is_the_neighbour_of_the_same_superclass():
    keys = splits._imagenet_keys()
    split = splits.choose(keys, "imagenet", 1, 100)
    for label in split.forget:
        order = [
            other
            for other in range(1000)
            if other not in split.forget
            and splits.superclass(keys[other], "imagenet") == splits.superclass(keys[label], "imagenet")
        ]
        assert min(order, key=lambda other: abs(other - label)) in split.near


def test_class_names_of_every_source_lead_to_the_same_key():
    assert splits.class_key("n02123045 tabby", 3, 20, "imagenet") == "n02123045"
    assert splits.class_key("tench, Tinca tinca", 0, 1000, "imagenet") == "n01440764"
    assert {splits.class_key(name, 0, 9, "places") for name in ("/b/bakery/shop", "bakery_shop", "bakery/shop")} == {
        "bakery_shop"
    }
    with pytest.raises(BenchmarkError, match="WordNet offset"):
        splits.class_key("cat", 0, 20, "imagenet")
    with pytest.raises(BenchmarkError, match="no class to forget"):
        splits.choose(["n02909870", "n02666196"], "imagenet", "li2024-released", 10)
