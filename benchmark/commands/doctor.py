"""What this machine can run, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from .. import registry, torchvision_guard
from ..errors import BenchmarkError, first_line

_PACKAGES = ("torch", "torchvision", "diffusers", "datasets", "timm", "clean-fid", "scipy", "pandas")
_MIN_FREE_BYTES = 2**30


class Diagnosis(NamedTuple):
    """One line of the diagnosis."""

    ok: bool
    what: str
    detail: str


def diagnose() -> list[Diagnosis]:
    """Returns what was found, the machine first, then the packages, then every task."""
    return [*_machine(), *_packages(), *_tasks()]


def _machine() -> list[Diagnosis]:
    from ..measuring.device import cpu_model

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(Path.cwd()).free
    return [
        Diagnosis(True, "Python", platform.python_version()),
        Diagnosis(True, "processor", f"{cpu_model()}, {os.cpu_count()} cores, {memory / 2**30:.0f} GiB of memory"),
        Diagnosis(free > _MIN_FREE_BYTES, "disk", f"{free / 2**30:.1f} GiB free here"),
        _gpu(),
    ]


def _gpu() -> Diagnosis:
    import torch

    if not torch.cuda.is_available():
        return Diagnosis(False, "GPU", "none that PyTorch can use; the embedded tasks need none")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Diagnosis(True, "GPU", ", ".join(names))


def _packages() -> list[Diagnosis]:
    findings = []
    for name in _PACKAGES:
        try:
            findings.append(Diagnosis(True, name, version(name)))
        except PackageNotFoundError:
            findings.append(Diagnosis(False, name, f"not installed; run `pip install {name}`"))
    findings.append(_imports("timm"))
    findings.append(_imports("cleanfid.fid"))
    if torchvision_guard.is_active():
        findings.append(Diagnosis(True, "torchvision", "its C++ operators cannot be loaded here and are stood in for"))
    return findings


def _imports(module: str) -> Diagnosis:
    try:
        __import__(module)
    # Whatever stops a third-party package from being imported is the finding.
    except Exception as error:  # noqa: BLE001
        return Diagnosis(False, f"import {module}", first_line(error))
    return Diagnosis(True, f"import {module}", "works")


def _tasks() -> list[Diagnosis]:
    findings = []
    for name in registry.tasks.names():
        fetched: list[str] = []
        try:
            task = registry.tasks.get(name)()
            missing, fetched = task.missing(), task.fetched()
        except BenchmarkError as error:
            missing = [str(error)]
        ready = f"ready, once {' and '.join(fetched)} is fetched from the hub" if fetched else "ready to run"
        findings.append(Diagnosis(not missing, f"task {name}", " ".join(missing) or ready))
    return findings
