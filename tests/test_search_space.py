"""What methods declare to a search: comparable spaces, and ranges that can be drawn from."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from helpers import BUILT_IN
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.search_space import Choice, LogRange, Range, Rate, StepRange, Steps, is_whole, search_space

CLASSES = {name: registry.methods.get(name) for name in BUILT_IN}
METHODS = sorted(name for name, cls in CLASSES.items() if cls.role == "method")
OF_SGD = {"gradient-surgery"}
numbers = st.floats(-1e9, 1e9, allow_nan=False)


class Toy(BaseModel):
    lr: Rate = 1e-4
    steps: Steps = 5
    share: Annotated[float, Range(0, 1)] = 0.5
    kind: Annotated[str, Choice(("a", "b"))] = "a"
    count: Annotated[int | None, Range(1, 9)] = None
    free: float = 1.0


class Narrowed(Toy):
    lr: Annotated[float, LogRange(1e-3, 1e-2)] = 2e-3
    share: float = 0.1


def declared(name):
    return search_space(CLASSES[name])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_declares_two_to_four_dimensions(name):
    assert 2 <= len(declared(name)) <= 4
    assert {"lr", "steps"} <= set(declared(name))


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - set(METHODS)))
def test_references_and_cheats_declare_none(name):
    assert declared(name) == {}


def test_adams_rates_share_one_range_and_steps_another():
    rates = {(name, key): part for name in METHODS for key, part in declared(name).items() if key.endswith("lr")}
    assert {part for (name, _), part in rates.items() if name not in OF_SGD} == {search_space(Toy)["lr"]}
    assert {declared(name)["steps"] for name in METHODS} == {search_space(Toy)["steps"]}


@pytest.mark.parametrize("name", METHODS)
def test_a_default_that_is_not_steps_can_be_proposed_by_the_search(name):
    for key, part in declared(name).items():
        default = CLASSES[name].model_fields[key].default
        if isinstance(part, Choice):
            assert default in part.values
        elif key != "steps":
            assert part.low <= default <= part.high


@pytest.mark.parametrize("name", METHODS)
def test_both_ends_of_a_range_are_settings_that_the_method_takes(name):
    for key, part in declared(name).items():
        ends = part.values if isinstance(part, Choice) else (part.low, part.high)
        for end in ends:
            assert getattr(CLASSES[name](**{key: end}), key) == end


def test_what_is_written_beside_a_field_is_found_and_a_subclass_that_redefines_it_says_so_again():
    assert list(search_space(Toy)) == ["lr", "steps", "share", "kind", "count"]
    assert search_space(Narrowed)["lr"] == LogRange(1e-3, 1e-2)
    assert "share" not in search_space(Narrowed)
    assert search_space(Narrowed)["steps"] == search_space(Toy)["steps"]


def test_a_task_says_how_many_steps_its_search_tries():
    assert registry.tasks.get("digits-mae").most_steps == 900
    longer = search_space(Toy, 900)
    assert longer["steps"] == StepRange(10, 900)
    assert longer["lr"] == search_space(Toy)["lr"]


def test_whole_numbers_are_known_by_their_type():
    assert [name for name in Toy.model_fields if is_whole(Toy, name)] == ["steps", "count"]


@given(numbers, numbers)
def test_a_range_takes_its_ends_in_order_alone(low, high):
    if low < high:
        assert Range(low, high) == Range(low, high)
    else:
        with pytest.raises(ValueError, match="low < high"):
            Range(low, high)


@given(numbers, numbers)
def test_a_logarithmic_range_takes_positive_ends_in_order_alone(low, high):
    if 0 < low < high:
        assert LogRange(low, high) == LogRange(low, high)
    else:
        with pytest.raises(ValueError, match="0 < low < high"):
            LogRange(low, high)


@given(st.lists(st.integers(), max_size=4))
def test_a_choice_needs_two_values(values):
    if len(values) >= 2:
        assert Choice(tuple(values)).values == tuple(values)
    else:
        with pytest.raises(ValueError, match="two values"):
            Choice(tuple(values))
