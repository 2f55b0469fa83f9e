"""Start of a relay worker, or the connection to one that a switch before has left; its end.

A worker outlives the switch. It listens at a socket that this side makes, so that orders are taken before it runs.
"""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import vosd
from vosd.processes import entry
from vosd.processes.entry import search_path
from vosd.processes.rights import media_rights, network_rights_for_children
from vosd.relay.protocol import WorkerMeans

BACKLOG: Final = 4
"""Connections that wait for a worker: one switch, and its successor."""
_MODULE: Final = "vosd.relay.worker"
_CREDENTIALS: Final = struct.Struct("3i")


class WorkerConnection(NamedTuple):
    """A connection to a worker that runs, or begins to."""

    sock: socket.socket
    pid: int
    """0 = it is not known yet: while a worker starts, the kernel names the switch that made its socket."""


def own_means() -> WorkerMeans:
    """Return what this process has, and a worker that it starts."""
    return WorkerMeans(
        str(Path(vosd.__file__).parent), media_rights(), _limit(resource.RLIMIT_RTPRIO), _limit(resource.RLIMIT_NOFILE)
    )


def _limit(kind: int) -> int:
    _, most = resource.getrlimit(kind)
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def connect_worker(path: Path) -> WorkerConnection | None:
    """Connect to the worker that listens at a path; None if there is none."""
    sock = _unix_socket()
    try:
        with _short(path) as name:
            sock.connect(name)
    except OSError:
        sock.close()
        return None
    pid, _, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return WorkerConnection(sock, pid if _is_worker(pid) else 0)


def is_served(path: Path) -> bool:
    """Return whether a worker listens at a path; a socket that was left without one is removed."""
    connection = connect_worker(path)
    if connection is None:
        path.unlink(missing_ok=True)
        return False
    connection.sock.close()
    return True


def start_worker(path: Path) -> WorkerConnection:
    """Start a worker that listens at a path; the one before has ended.

    Raises:
        OSError: it cannot be started.
    """
    with _unix_socket() as listening:
        path.unlink(missing_ok=True)
        with _short(path) as name:
            listening.bind(name)
            path.chmod(0o600)
            listening.listen(BACKLOG)
            sock = _unix_socket()
            sock.connect(name)
        try:
            with network_rights_for_children():
                process = subprocess.Popen(  # noqa: S603 - this interpreter
                    [sys.executable, "-P", "-m", entry.__name__, _MODULE, str(listening.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(listening.fileno(),),
                    env={**os.environ, "PYTHONPATH": search_path()},
                )
        except BaseException:
            sock.close()
            raise
    process.returncode = 0  # it is no child that this object would wait for: see ``reap``
    return WorkerConnection(sock, process.pid)


def kill(pid: int) -> None:
    """Kill a worker, unless it has ended, and its number is that of another process now."""
    if _is_worker(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reap(pid: int) -> bool:
    """Return whether a worker has ended; it is forgotten by the kernel, if it was a child of this process."""
    if not pid:  # it ended before it said which it is; the kernel would take any child for that
        return True
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not _is_worker(pid)


def _is_worker(pid: int) -> bool:
    """Return whether a process is a relay worker."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return pid > 0 and _MODULE.encode() in command.split(b"\0")


def _unix_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name of a path that fits into the 108 bytes of a socket's address, wherever its directory is."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
