"""The time and the memory that a run may take, and the watchdog that ends one that takes more. Nothing here needs PyTorch."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

from ..errors import BenchmarkError
from ..records.record import Status

MEMORY_SHARE = 0.9
"""Of the machine's memory that a run may take where no limit is given: it ends before the kernel picks whom to end."""
LOOK_SECONDS = 0.25
"""Between two looks at a run's memory."""
GIGABYTE = 1e9

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Limits(NamedTuple):
    """What a run may take."""

    seconds: float | None = None
    """From the start of its process to its record; None where nobody has set it."""
    memory_bytes: float | None = None
    """Resident, of its process and all that it started; None where that cannot be read."""


def make_limits(seconds: float | None = None, gigabytes: float | None = None, *, here: bool = True) -> Limits:
    """Returns the limits that a user asks for, or the usual ones.

    Args:
        seconds: For one run; None leaves them to its task.
        gigabytes: For one run.
        here: Whether runs are made on this machine, whose memory then is a limit, too.

    Raises:
        BenchmarkError: Memory cannot be watched on this system.
    """
    watched = (_PROC / "self" / "statm").exists()
    if gigabytes is not None and here and not watched:
        raise BenchmarkError("This system has no /proc to read a run's memory from; leave --memory-limit out.")
    usual = MEMORY_SHARE * _PAGE * os.sysconf("SC_PHYS_PAGES") if watched and here else None
    return Limits(seconds, usual if gigabytes is None else gigabytes * GIGABYTE)


class Leader(Protocol):
    """A process that leads a session, such as ``subprocess.Popen``."""

    pid: int

    def poll(self) -> int | None:
        """Returns the exit code once there is one."""


class Watchdog(threading.Thread):
    """Watches the session that a process leads, and kills all of it at a limit, or what is left when the process is gone.

    Memory is looked at four times a second, so a jump beyond the limit can be larger than it for a moment. Seconds are
    those of the monotonic clock, which nobody sets.

    Args:
        leader: The process; it leads a session of its own.
        limits: What it may take.

    Attributes:
        verdict: The status and the reason of a run that was ended, or None.
    """

    def __init__(self, leader: Leader, limits: Limits) -> None:
        super().__init__(daemon=True)
        self._leader = leader
        self._limits = limits
        self._over = threading.Event()
        self.verdict: tuple[Status, str] | None = None

    def run(self) -> None:
        end = monotonic() + (math.inf if self._limits.seconds is None else self._limits.seconds)
        while not self._over.wait(max(0.0, min(LOOK_SECONDS, end - monotonic()))):
            self.verdict = self._judge(end)
            if self.verdict is not None or self._leader.poll() is not None:
                kill_group(self._leader.pid)
                return

    def dismiss(self) -> None:
        """Ends the watch; the process is gone."""
        self._over.set()
        self.join()

    def _judge(self, end: float) -> tuple[Status, str] | None:
        if monotonic() >= end:
            return Status.TIMEOUT, f"took longer than {self._limits.seconds:g} s"
        limit = self._limits.memory_bytes
        held = session_bytes(self._leader.pid) if limit is not None else 0
        if limit is not None and held > limit:
            shown = f"{held / GIGABYTE:.3g} GB of memory, more than its limit of {limit / GIGABYTE:.3g} GB"
            return Status.OUT_OF_MEMORY, f"held {shown}"
        return None


def session_bytes(leader: int) -> int:
    """Returns the resident size of all processes of a session, pages that they share counted in each."""
    total = 0
    for name in os.listdir(_PROC):  # noqa: PTH208, a quarter of the time of Path.iterdir, and this runs beside measurements
        # Processes end between the listing and the reading.
        with contextlib.suppress(OSError):
            if name.isdigit() and os.getsid(int(name)) == leader:
                total += int((_PROC / name / "statm").read_text().split()[1]) * _PAGE
    return total


def has_company(leader: int) -> bool:
    """Returns whether anything goes on in a session, or without /proc in the group, whose leader has ended."""
    if not _PROC.is_dir():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, 0)
            return True
        return False
    for name in os.listdir(_PROC):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if name.isdigit() and int(name) != leader and os.getsid(int(name)) == leader:
                state = (_PROC / name / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX":
                    return True
    return False


def ending(code: int) -> str:
    """Returns how a process ended, as a part of a sentence."""
    return f"ended with exit code {code}" if code >= 0 else f"ended by signal {-code} ({signal.Signals(-code).name})"


def end_with_runner() -> None:
    """Has this process, a worker, and all that it started end as soon as its standard input closes: when its runner dies."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    sys.stdin.read()
    # The worker leads its own session.
    os.killpg(0, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """Kills a process and whatever it started in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
