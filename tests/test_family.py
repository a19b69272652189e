"""A family's declaration: what it refuses, and how what it declares is found."""

import subprocess
import sys

import pytest

from helpers import anchors, between, make_record
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
from unlearnbench.benchmark.families import Families
from unlearnbench.benchmark.family import Component, Family, Gate, Quantity, Track
from unlearnbench.benchmark.records.record import Metric
from unlearnbench.leaderboard.ranking import rank

LEFT, KEPT, ODD = Quantity("left", "min"), Quantity("kept", "max"), Quantity("odd", "match")
REMOVAL = Component("removal", LEFT, "goal", "nothing is left")


def track(*parts, name="", **fields):
    return Track(parts or (REMOVAL,), (Gate(KEPT, 0.1),), name=name, **fields)


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: Family("My Family", (LEFT,)), "needs a name of lower-case letters, digits and hyphens"),
        (lambda: Family("f", (Quantity("Left", "min"),)), "has a quantity 'Left', whose name should be"),
        (lambda: Family("f", (LEFT, LEFT)), "declares the quantity 'left' twice"),
        (lambda: Family("f", (LEFT,), (track(),)), "reads 'kept' without declaring it"),
        (lambda: Family("f", (LEFT, KEPT), (track(), track())), "has two tracks named ''"),
        (lambda: Family("f", (LEFT, KEPT), (Track((), (Gate(KEPT, 0.1),)),)), "has a track without a component"),
        (
            lambda: Family("f", (LEFT, KEPT), (track(REMOVAL, REMOVAL),)),
            "has two columns 'removal'",
        ),
        (lambda: Family("f", (LEFT, KEPT), (track(Component("score", LEFT, "goal", "")),)), "has two columns 'score'"),
        (
            lambda: Family("f", (LEFT, KEPT), (track(Component("left", LEFT, "goal", ""), columns=(LEFT,)),)),
            "two columns",
        ),
        (lambda: Family("f", (LEFT, KEPT), (track(destination=KEPT),)), "reads 'kept' class by class"),
        (lambda: Family("f", (Quantity("mean", "max", mean_of=KEPT), KEPT)), "reads 'kept' class by class"),
        (lambda: Gate(KEPT, 0.1, noise=0.1), "a gate on 'kept' needs a margin that is wider than its noise"),
        (lambda: Gate(ODD, 0.1), "a gate on 'odd' needs a quantity of which more or less is better"),
        (lambda: Component("x", ODD, "goal", ""), "a goal of 'odd' needs a quantity of which more or less is better"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(declare, says):
    with pytest.raises(ValueError, match=says):
        declare()


@pytest.mark.parametrize("name", ["left", "l" * 64, "Left", "_left", "left-over", "l" * 65, ""])
def test_a_quantity_has_a_name_that_a_record_takes(name):
    fields = make_record("a").metrics[0].model_dump() | {"name": name}
    try:
        Metric.model_validate(fields)
    except ValueError:
        with pytest.raises(ValueError, match="whose name should be"):
            Family("f", (Quantity(name, "min"),))
    else:
        assert Family("f", (Quantity(name, "min"),)).quantity(name).name == name


def test_variants_of_a_quantity_are_found_by_the_longest_name():
    error, train = Quantity("error", "max", variants=True), Quantity("error_train", "min", variants=True)
    family = Family("f", (error, train))
    found = {
        name: family.find(name) for name in ("error", "error_random", "error_train", "error_train_random", "errors")
    }
    assert found == {
        "error": error,
        "error_random": error,
        "error_train": train,
        "error_train_random": train,
        "errors": None,
    }
    with pytest.raises(KeyError, match="declares no quantity 'errors'"):
        family.quantity("errors")


def test_a_track_without_gates_is_scored_by_its_components_alone():
    share = registry.families.find("class-forgetting").quantity("forget_accuracy")
    alone = Track((Component("removal", share, "match", ""),), ())
    board = rank([*anchors((0,)), make_record("a", 0, between(0.25))], alone)
    (row,) = [row for row in board.rows if row.method == "a"]
    assert (row.score, row.component("utility")) == (pytest.approx(0.25), 1.0)
    assert row.runs[0].error > 0


FAMILY = """
from unlearnbench.benchmark.family import Family, Quantity

FAMILY = Family("{name}", (Quantity("left", "min"),))
"""
THEIR_TASK = """
from unlearnbench import Task
from unlearnbench.benchmark.family import Family, Quantity

class Theirs(Task):
    name = "theirs"
    family = Family("brought-along", (Quantity("left", "min"),))
"""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (FAMILY.format(name="No Name"), "cannot be loaded: ValueError: the family 'No Name' needs a name"),
        (FAMILY.format(name="one-shot"), "The family 'one-shot' of .*mine.py is declared differently elsewhere"),
    ],
)
def test_a_file_with_a_wrong_family_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=says) as caught:
        registry.add_plugin(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", [None, "class-forgetting"])
def test_a_task_without_a_family_is_one_sentence(toy, family):
    lost = type("Lost", (toy.ToyTask,), {"name": "lost", "family": family})
    with pytest.raises(BenchmarkError, match="The task 'lost' needs a `family` that is a Family"):
        Families().add_of(lost)


def test_packages_bring_families_and_a_broken_one_hides_nothing(tmp_path):
    """A real distribution on the path, as pip would leave it; in a process of its own, which knows no other plugin."""
    (tmp_path / "theirs.py").write_text(FAMILY.format(name="their-family"))
    (tmp_path / "their_task.py").write_text(THEIR_TASK)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[unlearnbench.families]\ntheir-family = theirs:FAMILY\nlost = no_such_module:LOST\nother = theirs:FAMILY\n"
        "[unlearnbench.tasks]\ntheirs = their_task:Theirs\n"
    )
    code = """
import sys
from types import SimpleNamespace
from unlearnbench.benchmark import registry
from unlearnbench.benchmark.errors import BenchmarkError
print(registry.families.find("their-family").quantity("left").direction, registry.families.find("one-shot").name)
for name in ("lost", "other"):
    try:
        registry.families.find(name)
    except BenchmarkError as error:
        print(error)
task = SimpleNamespace(name="theirs", family="brought-along")
print(registry.families.find("brought-along"), registry.family_of(task).name)
print(registry.family_of(SimpleNamespace(name="x", family="lost")), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        "min one-shot",
        "The family 'lost' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'.",
        "The family 'other' should be a Family of that name, and theirs:FAMILY is none.",
        "None brought-along",
        "None False",
    ], done.stderr
