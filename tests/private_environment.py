"""What the tests see of a machine: no hub, no settings of the user's, and caches of their own.

Imported before anything else, since libraries read some of these variables when they are loaded. Processes of one session
(those that share the tests out, and every command that a test starts) find what is set here and share one folder: what is
computed once and kept there, such as features of pictures that never change, is computed once a session, and never
lies in the user's home.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SESSION = "TEST_SESSION"
"""The folder of the session."""
REAL_DATA = "TEST_DATA"
"""What ``UNLEARNBENCH_DATA`` was; the tests that are marked with ``data`` alone see it under that name."""


_begun: str | None = None


def begin() -> None:
    """Sets the variables, unless this process shares a session that has begun."""
    global _begun
    if SESSION in os.environ:
        return
    data = os.environ.get("UNLEARNBENCH_DATA")
    for name in [name for name in os.environ if name.startswith(("UNLEARNBENCH_", "HF_", "HUGGINGFACE_"))]:
        del os.environ[name]
    _begun = session = tempfile.mkdtemp(prefix="unlearnbench-tests-")
    os.environ |= {
        SESSION: session,
        REAL_DATA: str(Path(data).resolve()) if data else "",
        "HF_HOME": f"{session}/hub",
        "HF_HUB_OFFLINE": "1",
        "XDG_CACHE_HOME": f"{session}/cache",
        # Beside another busy process two threads collapse.
        "OMP_NUM_THREADS": "1",
    }


def end() -> None:
    """Deletes the folder, if the session began in this process."""
    if _begun is not None:
        shutil.rmtree(_begun, ignore_errors=True)


def lacking(folders: list[str]) -> str | None:
    """Returns why a test that needs some folders of real data cannot run here, or None."""
    data = os.environ[REAL_DATA]
    if not data:
        return f"needs real data: set UNLEARNBENCH_DATA to a folder that holds {', '.join(folders)}"
    missing = [folder for folder in folders if not (Path(data) / folder).is_dir()]
    return f"needs real data: {data} holds no {', '.join(missing)}" if missing else None


@contextmanager
def real_data() -> Iterator[None]:
    """Shows the real data to what runs inside."""
    before = os.environ.get("UNLEARNBENCH_DATA")
    if os.environ[REAL_DATA]:
        os.environ["UNLEARNBENCH_DATA"] = os.environ[REAL_DATA]
    try:
        yield
    finally:
        os.environ.pop("UNLEARNBENCH_DATA", None)
        if before is not None:
            os.environ["UNLEARNBENCH_DATA"] = before
