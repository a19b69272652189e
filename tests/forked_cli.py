"""The command line in processes that have the libraries loaded already, of which PyTorch alone takes two seconds to load.

Nothing of this project is loaded before a command is there; from then on its process is one that ``python -m unlearnbench``
started in the given folder and environment. Run as a script, with a socket's descriptor, this file is the process that
the commands are forked from.
"""

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LOADED = ("pandas", "pydantic", "rich.console", "rich.progress", "scipy.stats", "torch", "typer")
MESSAGE = 2**20


class Commands:
    """Starts commands; close it at the end."""

    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        theirs.close()

    def run(self, arguments: list[str], cwd: Path, env: dict[str, str], timeout: float) -> subprocess.CompletedProcess:
        """Returns a finished command, like ``subprocess.run`` with captured text."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            order = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env}).encode()
            socket.send_fds(self._socket, [order], [out.fileno(), err.fileno()])
            child = int(self._socket.recv(MESSAGE))
            self._socket.settimeout(timeout)
            try:
                code = int(self._socket.recv(MESSAGE))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(MESSAGE)
                raise
            self._socket.settimeout(None)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def close(self) -> None:
        """Ends the process that commands are forked from."""
        self._socket.close()
        self._process.wait(60)


def become_each_command(orders: socket.socket) -> None:
    """Returns in a child of its own for every command; the parent ends when the tests have closed the other end."""
    while True:
        order, files, _, _ = socket.recv_fds(orders, MESSAGE, 2)
        if not order:
            sys.exit()
        child = os.fork()
        if child == 0:
            orders.close()
            become(json.loads(order), *files)
            return
        for file in files:
            os.close(file)
        orders.send(str(child).encode())
        orders.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def become(order: dict, out: int, err: int) -> None:
    """Makes this process one that was started with some arguments, in a folder and an environment."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path[0] = order["cwd"]
    sys.argv[1:] = order["arguments"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    for file, standard in ((out, 1), (err, 2)):
        os.dup2(file, standard)
        os.close(file)


if __name__ == "__main__":
    for name in LOADED:
        __import__(name)
    # Else every child's first garbage collection would copy all pages of what is loaded.
    gc.freeze()
    become_each_command(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("unlearnbench", run_name="__main__", alter_sys=True)
