"""Starts processes as forks of a ``server``, which has imported what they need. On Linux: elsewhere a fork is not safe."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from .limits import kill_group
from .server import MESSAGE

PATIENCE = 300.0
"""Seconds that an answer may take, imports included, before the server counts as dead."""


LIBRARIES = ("torch._dynamo",)
"""What every run imports late: PyTorch's optimizers do, when the first is made."""
WORKER = f"{__package__}.worker"
"""The program that makes a run."""
FIXED_SUMS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""What has cuBLAS sum in a fixed order, if it is set before the first product of matrices on a GPU."""
LOST = 256
"""An exit code that no process has: the server that could tell has died."""


class ServerGone(Exception):
    """The server has died, or cannot fork; what was asked of it has to be done without it."""


class Fork:
    """A process that a server made, with the face of ``subprocess.Popen``.

    Args:
        pid: Of the process; it leads a session.
        status: Where the server tells how the process ended.
        stdin: The other end of its standard input.
        stdout: The other end of its standard output.
    """

    def __init__(self, pid: int, status: socket.socket, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._status = status
        self._code: int | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (self.stdin, self.stdout, self._status):
            with contextlib.suppress(BrokenPipeError):
                end.close()

    def poll(self) -> int | None:
        """Returns the exit code, negative for a signal, or None while the process runs; ``LOST`` if nobody knows."""
        with self._lock:
            if self._code is None:
                try:
                    # What is said stays there, for another thread that waits for it.
                    said = self._status.recv(MESSAGE, socket.MSG_DONTWAIT | socket.MSG_PEEK)
                except BlockingIOError:
                    return None
                except ConnectionError:
                    said = b""
                self._code = json.loads(said)["exit"] if said else LOST
            return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the process and returns what ``poll`` does then.

        Raises:
            subprocess.TimeoutExpired: It does not end in time.
        """
        told = select.poll()
        told.register(self._status, select.POLLIN)
        told.poll(None if timeout is None else timeout * 1e3)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code


class ForkServer:
    """A server and the connection to it. It ends with this process, however that ends.

    Args:
        environment: Of the server and all that it forks.
        modules: What it imports before the first order.
    """

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.server", str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # What cannot be imported is told by the run that needs it.
                stderr=subprocess.DEVNULL,
                env=environment,
                # Ctrl-C goes to this process alone.
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        self._orders.settimeout(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._server.pid

    def start(
        self,
        program: str,
        log: IO[Any],
        *,
        arguments: Sequence[str] = (),
        load: Sequence[str] = (),
        keep: Sequence[int] = (),
    ) -> Fork:
        """Forks.

        Args:
            program: A module of the suite with a ``main`` that returns an exit code.
            log: Standard error.
            arguments: The program's.
            load: Modules that the server imports first, if it has not yet.
            keep: Further descriptors that the process inherits.

        Raises:
            ServerGone: The server has died, or will not fork.
        """
        status, theirs = socket.socketpair()
        (stdin, to_child), (from_child, stdout) = os.pipe(), os.pipe()
        order = {"program": program, "arguments": list(arguments), "load": list(load)}
        files = [theirs.fileno(), stdin, stdout, log.fileno(), *keep]
        try:
            pid = self._order(order, files)
        except BaseException:
            status.close()
            os.close(to_child)
            os.close(from_child)
            raise
        finally:
            theirs.close()
            os.close(stdin)
            os.close(stdout)
        return Fork(pid, status, os.fdopen(to_child, "w"), os.fdopen(from_child))

    def close(self) -> None:
        """Ends the server, and nothing that it forked."""
        self._orders.close()
        self._kill()

    def _order(self, order: dict[str, Any], files: list[int]) -> int:
        with self._lock:
            try:
                socket.send_fds(self._orders, [json.dumps(order).encode()], files)
                said = self._orders.recv(MESSAGE)
            except OSError as error:
                self._kill()
                raise ServerGone(f"the server does not answer: {error}") from error
        answer: dict[str, Any] = json.loads(said) if said else {"refused": "the server has died"}
        if "pid" not in answer:
            raise ServerGone(answer["refused"])
        return int(answer["pid"])

    def _kill(self) -> None:
        kill_group(self._server.pid)
        self._server.wait()


def can_fork() -> bool:
    """Returns whether processes can be forked from a server here."""
    return sys.platform == "linux"


def worker_environment(threads: int, gpu: str | None = None) -> dict[str, str]:
    """Returns the environment of a worker: its thread count reaches every library, and no library waits by spinning.

    Args:
        threads: Of a run on a CPU; of a run on a GPU those of the host that it has to itself.
        gpu: The GPU that it sees; None leaves that alone.
    """
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {
        **os.environ,
        **counts,
        "OMP_WAIT_POLICY": "PASSIVE",
        **FIXED_SUMS,
        "PYTHONUNBUFFERED": "1",
        **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
    }
