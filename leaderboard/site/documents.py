"""The documentation that the site holds: which files, in the order a reader goes, with a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
"""Where the documentation lies: the repository's root, and in a wheel the package."""
ORDER = {
    "The first quarter of an hour": {
        "README.md": "What it is, two commands that show it, and a method of your own in twenty lines.",
    },
    "Using it": {
        "docs/running.md": "Suites, kills, several runners, clusters, limits, tuning, and weights in and out.",
        "docs/comparing.md": "By how much two methods differ, whether the runs tell, and how many would.",
        "docs/guarding.md": "A test and an action that say whether a method got worse.",
    },
    "Adding to it": {
        "docs/writing-a-method.md": "What a method is given, what it may ask for, and what it is checked for.",
        "docs/writing-a-task.md": "Forgetting a class of your own pictures, in some thirty lines.",
        "docs/submitting.md": "From an empty folder to a row on the board, and what is checked on the way.",
        "CONTRIBUTING.md": "How to change the suite itself.",
    },
    "The rules": {
        "docs/protocol.md": "What each task asks, how it is measured, and how the score is made.",
        "docs/methods.md": "Every method with its idea, update rule, settings and ways to fail.",
        "docs/tasks.md": "The tasks on the papers' data and models: what they need and what they cost.",
        "docs/features.md": "The networks whose features distances are measured in.",
    },
    "Background": {
        "docs/results.md": "All columns of the boards of the committed records.",
        "docs/findings.md": "What those records say, and what they do not.",
        "docs/meta-evaluation.md": "How well the score tells models that hold a class from models that do not.",
        "docs/attacks.md": "What was tried to score without forgetting, and what became of it.",
        "docs/second-looks.md": "How far a score moves when the same weights are judged again.",
        "docs/budgets.md": "What SFRon and tuned rivals reach in 50, 200 and 1,000 steps.",
        "docs/gpu.md": "How fast training, sampling and methods are on a GPU.",
        "docs/calibration.md": "How few steps of a sampler agree with a thousand.",
        "docs/architecture.md": "The floor plan of the code, and where to find a thing.",
        "CHANGELOG.md": "What each version of the suite brought.",
    },
}
"""By chapter: files and what they are for. A page of ``docs/`` that is not named here goes to the last chapter."""

ABOUT = "About unlearnbench"
"""What the README's page is called, whose heading is the name alone."""


class Document(NamedTuple):
    """A file of the documentation."""

    source: str
    """Its path below the root, as links name it."""
    text: str
    sentence: str

    @property
    def file(self) -> str:
        """Its page, beside the others."""
        return f"{Path(self.source).stem.lower()}.html"

    @property
    def page(self) -> str:
        """The same from the site's root."""
        return f"docs/{self.file}"


class Chapter(NamedTuple):
    """Documents that belong together."""

    title: str
    documents: list[Document]


def chapters(root: Path = ROOT) -> list[Chapter]:
    """Returns the documents that are there, in order."""
    named = {source for files in ORDER.values() for source in files}
    others = {f"docs/{path.name}": "" for path in sorted((root / "docs").glob("*.md"))}
    last = list(ORDER)[-1]
    found = []
    for title, files in ORDER.items():
        unnamed = {source: "" for source in others if source not in named} if title == last else {}
        documents = [
            Document(source, (root / source).read_text(encoding="utf-8"), sentence)
            for source, sentence in (files | unnamed).items()
            if (root / source).is_file()
        ]
        found.append(Chapter(title, documents))
    return [chapter for chapter in found if chapter.documents]


def data_files(root: Path = ROOT) -> Sequence[Path]:
    """Returns the data that the documentation rests on and links."""
    return sorted((root / "docs").glob("*.json"))


def picture_files(root: Path = ROOT) -> Sequence[Path]:
    """Returns the pictures that the documentation shows."""
    return sorted((root / "docs").glob("*.png"))
