"""Makes one trial of the contract: ``python -m unlearnbench.benchmark.checking.trial_worker FILE``.

The file holds a ``Trial``; what was seen goes into the file that the trial names, and what the method prints to the log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import BenchmarkError
from ..records.files import write_atomically
from .loading import TaskInstead
from .observation import Seen, Trial
from .trial import TrialRun


def main() -> int:
    """Reads the trial, makes it, writes what was seen, and returns in no case."""
    os.dup2(2, 1)
    trial = Trial.model_validate_json(Path(sys.argv[1]).read_bytes())
    process = os.getpid()
    try:
        seen = TrialRun(trial).seen
    except BenchmarkError as error:
        seen = Seen(mistake=str(error))
    except TaskInstead as found:
        seen = Seen(task=str(found))
    # A child that the method left behind comes by here, too.
    if os.getpid() == process:
        write_atomically(trial.report, seen.model_dump_json().encode())
    # A thread that the method left behind must not hold up the end.
    os._exit(0)


if __name__ == "__main__":
    main()
