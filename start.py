"""Where the program ``unlearnbench`` begins: whoever thinks better of it while the rest is imported sees no traceback."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from .__main__ import main as run
    except KeyboardInterrupt:
        # As `consoles.INTERRUPTED`, which may be what was being imported.
        sys.exit(130)
    run()
