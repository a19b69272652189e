"""Claims: which of several runners on one results folder makes a run."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from ..errors import cannot_write

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems that know no locks answer."""


class Claim:
    """The right to make one run: a lock on a file beside its record.

    The kernel keeps the lock as long as a process that holds the file is alive, and drops it whatever way that process
    ends: there are no stale claims to clear away by hand. Workers inherit the file, so that a run whose runner was killed
    stays claimed until its worker is gone, too.
    """

    def __init__(self, lock: Path, handle: int) -> None:
        self._lock = lock
        self._handle = handle

    @classmethod
    def take(cls, path: Path) -> Claim | None:
        """Claims the run of a record and removes what an earlier, killed one left beside it.

        On a file system without locks every claim succeeds: there, two runners may make a run twice.

        Args:
            path: Where the record will be.

        Returns:
            The claim, or None while another process holds it.

        Raises:
            BenchmarkError: The folder cannot be written.
        """
        lock = path.with_name(f".{path.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = _lock(lock)
            if handle is None:
                return None
            # Of the record, and of weights that are kept beside it.
            for part in path.parent.glob(f".{path.stem}.*.part"):
                part.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(lock, error) from error
        return cls(lock, handle)

    def fileno(self) -> int:
        """Returns the descriptor that keeps the claim, for a worker to inherit."""
        return self._handle

    def release(self) -> None:
        """Gives the claim up. Its file goes first, so that nobody can lock a file that is about to vanish unseen."""
        self._lock.unlink(missing_ok=True)
        os.close(self._handle)


def sweep(path: Path) -> None:
    """Removes what killed runners left beside a finished record, unless somebody is at work on it."""
    if any(path.parent.glob(f".{path.stem}.*")):
        claim = Claim.take(path)
        if claim is not None:
            claim.release()


def _opened(path: Path) -> int:
    """Opens a lock's file: another user's, which was left behind, can be read and locked all the same."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


def _lock(path: Path) -> int | None:
    """Opens and locks a file; None if another process has it."""
    while True:
        handle = _opened(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return handle
            os.close(handle)
            raise
        # Its last owner removed the file between the two calls: the lock is on a file that nobody else will see.
        os.close(handle)
