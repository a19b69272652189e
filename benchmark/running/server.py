"""The process that runs are forked from: ``python -m unlearnbench.benchmark.running.server DESCRIPTOR MODULE…``.

It imports what runs need, once, and makes a child for each. It runs nothing itself: no plugin, no method, no GPU, and no
thread, without which a fork would be unsafe. So a child finds what a new interpreter would have imported, and nothing of
the runs before it.

Orders come through the socket of the given descriptor, one JSON message each: the program, which is a module with a
``main``, its arguments, the modules to import for it, and with the message the descriptors that the child gets. See
``forks``. It ends when the other end of the socket closes. Before the first order it imports the given modules.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import sys
import traceback
from types import ModuleType
from typing import Any

MESSAGE = 2**16
"""Bytes of the longest order."""
MOST_FILES = 16
_TASKS = "/proc/self/task"


class Server:
    """Takes orders, forks, and tells how children ended.

    Args:
        orders: Where orders come from.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._status: dict[int, socket.socket] = {}
        self._ended: set[int] = set()
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._waker = wake
        # The handler does nothing, but without one no signal wakes.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> ModuleType | None:
        """Returns a program to run in each child, and None in the server when its client is gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._orders:
                    message, files, _, _ = socket.recv_fds(self._orders, MESSAGE, MOST_FILES)
                    if not message:
                        return None
                    if (program := self._obey(json.loads(message), files)) is not None:
                        return program
                elif key.fileobj is self._wake:
                    self._wake.recv(MESSAGE)
                else:
                    self._release(key.data)
            self._look()

    def load(self, modules: list[str]) -> None:
        """Imports some modules. One that cannot be imported is left to the run that needs it, which says so."""
        lacking = [name for name in modules if name not in sys.modules]
        for name in lacking:
            if self._is_left():
                return
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001
                traceback.print_exc()
        if lacking:
            # Else the first garbage collection of a child would copy all pages of what is loaded.
            gc.freeze()

    def _is_left(self) -> bool:
        """Whether the client is gone."""
        poll = select.poll()
        poll.register(self._orders, 0)
        return bool(poll.poll(0))

    def _obey(self, order: dict[str, Any], files: list[int]) -> ModuleType | None:
        """Forks; returns the program in the child."""
        self.load([*order["load"], order["program"]])
        program = sys.modules.get(order["program"])
        threads = _threads()
        if program is None or threads > 1:
            why = f"{threads} threads" if program is not None else f"no {order['program']}"
            for file in files:
                os.close(file)
            self._say(self._orders, {"refused": why})
            return None
        ready, begun = os.pipe()
        child = os.fork()
        if child == 0:
            self._become(files, [ready, begun])
            sys.argv[:] = [str(program.__file__), *order["arguments"]]
            return program
        os.close(begun)
        for file in files[1:]:
            os.close(file)
        # The client may kill the child's session as soon as it knows of it: there has to be one.
        os.read(ready, 1)
        os.close(ready)
        self._status[child] = status = socket.socket(fileno=files[0])
        self._selector.register(status, selectors.EVENT_READ, child)
        self._say(self._orders, {"pid": child})
        return None

    def _become(self, files: list[int], pipe: list[int]) -> None:
        """Makes this process a child that knows nothing of the server and leads a session."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        self._selector.close()
        for end in (self._orders, self._wake, self._waker, *self._status.values()):
            end.close()
        status, *standard = files[:4]
        for number, file in enumerate(standard):
            os.dup2(file, number)
        for file in (status, *standard, *pipe):
            os.close(file)
        for file in files[4:]:
            os.set_inheritable(file, True)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            # Unlike Python's, NumPy's numbers would be the same in all children.
            numpy.random.seed()
        gc.enable()

    def _look(self) -> None:
        """Tells of children that have ended.

        Each is kept until its client has taken note: no other process gets its number while the client may kill its session.
        """
        for child in set(self._status) - self._ended:
            state = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if state is not None:
                self._ended.add(child)
                killed = state.si_code != os.CLD_EXITED
                self._say(self._status[child], {"exit": -state.si_status if killed else state.si_status})
        for child in [child for child in self._ended if self._status[child].fileno() < 0]:
            os.waitpid(child, 0)
            self._ended.remove(child)
            del self._status[child]

    def _release(self, child: int) -> None:
        """The client wants to know no more of a child."""
        self._selector.unregister(self._status[child])
        self._status[child].close()

    @staticmethod
    def _say(to: socket.socket, what: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            to.send(json.dumps(what).encode())


def _threads() -> int:
    """Returns how many threads this process has, those of libraries included."""
    if len(os.listdir(_TASKS)) > 1:  # noqa: PTH208
        # OpenBLAS ends its threads before a fork, and starts them again when there is work for them.
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return len(os.listdir(_TASKS))  # noqa: PTH208


def main() -> int:
    """Serves; in a child, runs its program and returns its exit code."""
    gc.disable()
    server = Server(socket.socket(fileno=int(sys.argv[1])))
    server.load(sys.argv[2:])
    program = server.serve()
    if program is None:
        return 0
    code = int(program.main() or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking the interpreter down would copy most of what the server and the child share.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
