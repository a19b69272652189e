"""Fails when a change makes the method worse than the records in baseline/."""

import pytest


@pytest.mark.unlearning(task="digits-vae", method="gentle", plugins=["gentle.py"], seeds=(0, 1, 2))
def test_gentle_is_no_worse_than_its_baseline(unlearning):
    assert unlearning.exit_code == 0
