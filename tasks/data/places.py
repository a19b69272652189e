"""Where a user keeps data and weights that the hub or a web page gives: one folder for all, named by one variable."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "UNLEARNBENCH_DATA"


def data_folder() -> Path | None:
    """Returns the folder that holds all others, or None if none is named."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None
