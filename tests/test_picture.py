"""The README's picture follows from the committed records."""

import re

import pytest
from PIL import Image, ImageChops

from helpers import ROOT, anchors
from unlearnbench.benchmark.records.store import load_records
from unlearnbench.docs.make.picture import OUT, TASK, picture
from unlearnbench.leaderboard.ranking import rank_all


@pytest.fixture(scope="module")
def board():
    return next(
        board for board in rank_all(load_records([ROOT / "leaderboard" / "results"]).records) if board.task == TASK
    )


def test_it_is_the_picture_of_the_committed_records(board):
    made, kept = picture(board).convert("L"), Image.open(OUT).convert("L")
    assert made.size == kept.size
    # The file has 32 colours.
    assert ImageChops.difference(made, kept).getextrema()[1] < 32


def test_its_caption_holds(board):
    """The best method and the best cheat answer alike, and the score tells them apart."""
    text = (ROOT / "README.md").read_text()
    assert re.search(r"!\[[^]]+\]\(docs/forgetting\.png\)", text)
    best = next(row for row in board.rows if row.rank == 1 and row.role == "method")
    cheats = [row for row in board.rows if row.role == "cheat"]
    assert best.score > 0.6
    assert all(row.score < 0.1 for row in cheats)


def test_a_board_without_pictures_makes_none():
    without, *_ = rank_all(anchors())
    with pytest.raises(ValueError, match="keeps pictures"):
        picture(without)
