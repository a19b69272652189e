"""Weights that were judged twice: the page says what the file holds, and scores hardly move."""

import json

import pytest

from unlearnbench.docs.make import second_looks

FOUND = json.loads(second_looks.RESULTS.read_text())
MOST = 0.05
"""What a score may move by."""
METHODS = 15
"""Of whose weights it is asked."""


def test_the_page_is_what_the_file_says():
    assert second_looks.PAGE.read_text() == second_looks.render(FOUND)


@pytest.mark.parametrize("task", FOUND)
def test_another_draw_of_samples_hardly_moves_a_score(task):
    moves = [abs(two - one) for one, two in FOUND[task].values()]
    assert len(moves) >= METHODS
    assert max(moves) < MOST
