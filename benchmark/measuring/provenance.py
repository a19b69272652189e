"""What a run ran on and with: enough to compare and to repeat it, nothing that tells whose machine it was."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..records.record import Provenance

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "diffusers", "timm", "clean-fid", "numpy", "scipy", "scikit-learn", "pandas", "pydantic")


def collect_provenance() -> Provenance:
    """Returns the versions, the suite's commit and the machine's size."""
    commit, dirty = git_state(_ROOT)
    return Provenance(
        suite_version=_version_of("unlearnbench") or "unknown",
        git_commit=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages={name: found for name in _PACKAGES if (found := _version_of(name)) is not None},
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Returns the commit that a clone is at and whether it holds uncommitted changes; Nones outside a clone."""
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
