"""What docs/architecture.md says is where is there, and nothing is left out."""

import re

import pytest

from helpers import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
FLOORS = ("benchmark", "tasks", "leaderboard", "docs/make")
LISTED = {
    room: re.findall("`([a-z0-9_]+)`", modules)
    for room, modules in re.findall(r"^\| `([a-z_/]+)/` \|.*\|(.*)\|$", PAGE, re.MULTILINE)
}
CODE = re.findall("`([^`]+)`", PAGE)


def rooms() -> set[str]:
    """The folders with modules; of `tasks/` itself the modules are the tasks, and `methods/` is a list of its own."""
    files = (file for floor in FLOORS for file in (ROOT / floor).rglob("*.py") if file.name != "__init__.py")
    return {str(file.parent.relative_to(ROOT)) for file in files} - {"tasks"}


def test_every_room_is_on_the_page():
    assert rooms() == LISTED.keys()


@pytest.mark.parametrize("room", LISTED)
def test_a_rooms_modules_are_those_on_the_page(room):
    found = {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__"}
    assert set(LISTED[room]) == found
    assert len(LISTED[room]) == len(found)


def test_every_path_on_the_page_exists():
    paths = [text for text in CODE if "/" in text or text.endswith((".py", ".md", ".json"))]
    assert len(paths) > 30
    # `evaluation.py` alone is that of any family, `site/` that of the floor that the sentence is about.
    assert not [path for path in paths if not any(list(ROOT.glob(above + path)) for above in ("", "*/", "*/*/"))]


def test_what_the_page_says_of_modules_is_in_them():
    texts = {path.stem: path.read_text() for room in LISTED for path in (ROOT / room).glob("*.py")}
    named = [
        text.split(".") for text in CODE if re.fullmatch(r"[a-z_]+\.[A-Za-z_]+", text) and text.split(".")[0] in texts
    ]
    named = [(module, name) for module, name in named if name != "py"]
    assert ("unlearning", "Unlearning") in named
    for module, name in named:
        assert re.search(rf"\b{name}\b", texts[module]), f"{module}.{name}"
