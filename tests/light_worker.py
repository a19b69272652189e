"""A worker that makes nothing: it takes the real one's place where a test starts hundreds, and writes prepared records.

It speaks as the real one does, ends with its runner as the real one does, and writes through the same store. What it leaves
out is PyTorch, whose import takes seconds. Two variables name the folder of prepared records and the ledger of what it did.
"""

import fcntl
import json
import os
import random
import sys
import time
from pathlib import Path

from unlearnbench.benchmark.records.record import utc_now
from unlearnbench.benchmark.records.store import find_record, write_record
from unlearnbench.benchmark.running.limits import end_with_runner

PREPARED, LEDGER = "UNLEARNBENCH_TEST_PREPARED", "UNLEARNBENCH_TEST_LEDGER"


def main() -> int:
    prepared, ledger = Path(os.environ[PREPARED]), Path(os.environ[LEDGER])
    spec = json.loads(sys.stdin.readline())
    end_with_runner()
    name = next((prepared / spec["task"] / spec["method"]).glob(f"seed{spec['seed']}-*.json")).relative_to(prepared)

    def note(word: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{word} {name}\n")

    busy = (ledger.parent / f"busy-{name.stem}").open("w")
    try:
        fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("overlap")
    note("start")
    for phase in ("load", "unlearn", "evaluate"):
        sys.stdout.write(json.dumps({"phase": phase}) + "\n")
        sys.stdout.flush()
        time.sleep(random.uniform(0, 0.03))
    record = find_record(prepared, str(name))
    write_record(Path(spec["results"]), record.model_copy(update={"created": utc_now()}))
    note("end")
    return 0


if __name__ == "__main__":
    os._exit(main())
