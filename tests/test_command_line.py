"""Settings on their way to a shell and back."""

import math
import shlex
import subprocess
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from unlearnbench.benchmark.command_line import command, from_pairs, to_words
from unlearnbench.benchmark.errors import BenchmarkError

ODD = r"""007 7 1e3 -1 nan NaN Infinity null true a=b = it's " '"' \n [1 [1] {} $HOME `ls` * ! --plugin ü"""
TEXTS = st.text() | st.sampled_from([*ODD.split(), "", " ", "\n", "\0", "\ud800", "x\r\ny"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
SETTINGS = st.dictionaries(st.text("abz_", min_size=1), VALUES, max_size=4)


def read_again(line):
    """What the command line makes of a command's settings."""
    words = shlex.split(line)
    return from_pairs([word for before, word in pairwise(words) if before == "--set"])


def same(a, b):
    """Whether two values are one and the same: 1, 1.0 and true are three."""
    if isinstance(a, dict):
        return type(b) is dict and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    return (
        type(a) is type(b) and a == b and (a != 0 or isinstance(a, str) or math.copysign(1, a) == math.copysign(1, b))
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SETTINGS)
@example({"data": "--set"})
@example({"digits": "1" * 5000, "brackets": "[" * 5000})
def test_settings_survive_the_way_to_a_shell_and_back(chosen):
    line = command("run", "task", "method", settings=chosen, plugins=["my file.py"])
    assert same(read_again(line), chosen)
    assert "\n" not in line


def test_a_shell_hands_the_words_on_as_they_are():
    chosen = {
        "a": "it's $HOME `ls` *",
        "b": 'say "hi"\\',
        "c": ["x y", None],
        "d": "007",
        "e": "7",
        "f": "",
        "g": "!",
    }
    line = shlex.join(["printf", "%s\\0", *to_words(chosen)])
    words = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert words == to_words(chosen)
    assert from_pairs(words[1::2]) == chosen


def test_what_can_be_typed_is_left_as_it_is():
    assert to_words({"name": "fine", "lr": 1e-4, "n": "007"}) == [
        "--set",
        "lr=0.0001",
        "--set",
        "n=007",
        "--set",
        "name=fine",
    ]
    assert (
        command("run", "t", "m", seeds=[0, 1], plugins=["a b.py"])
        == "unlearnbench run t m --seeds 0,1 --plugin 'a b.py'"
    )


@pytest.mark.parametrize("pair", ["lr", "=1", ""])
def test_a_pair_without_a_name_or_a_value_is_refused_in_one_sentence(pair):
    with pytest.raises(BenchmarkError, match="is no setting; write --margin metric=number"):
        from_pairs([pair], "--margin metric=number")
