"""Notifications to the service manager: ready, reloading, stopping, status, and the watchdog of the event loop.

Implements the datagram protocol of ``sd_notify(3)``. Without ``NOTIFY_SOCKET`` nothing is sent, so the daemon runs the
same under a shell. Reads the variables that systemd sets, no other. Sockets that it keeps over a restart go both ways.
"""

import asyncio
import os
import socket
import threading
import time
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from vosd.obs.events import log as _log

EXTEND_EVERY_S: Final = 10.0
"""Interval at which more time is requested during long work."""
SOON_S: Final = 0.5
"""Work that takes less is not worth a notification."""
EXTENSIONS: Final = 3
"""Each request is for so many of these intervals: one or two may be late on a busy machine."""
READY_S: Final = 1.0
"""Time that READY=1 may wait for a busy manager: without it a start counts as failed."""
RETRY_S: Final = 0.1
"""After a notification that did not fit into the manager's queue."""
STATES: Final = frozenset({"READY=1", "RELOADING=1", "STOPPING=1"})
"""Notifications that are sent again: without them the manager waits, or counts the service as failed."""
FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START"""
EXTEND_MAX_S: Final = 1_800.0
"""Longer work counts as hung."""


class Notifier:
    """Socket to the service manager; a manager that does not read never blocks a call."""

    def __init__(self, address: str | None) -> None:
        self._address = _kernel_address(address) if address else None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        """Held while something is sent: a thread asks for more time."""
        self._unsent: deque[Sequence[str]] = deque()
        """Changes of the state that did not fit into the manager's queue, in their order."""

    @property
    def has_manager(self) -> bool:
        """Whether a service manager listens."""
        return self._address is not None

    def succeeded_by(self, pid: int) -> None:
        """Report that another process is the service from now on; what this one sends counts no more."""
        self._send(f"MAINPID={pid}", "STATUS=taking over the calls", within_s=READY_S)

    def ready(self, status: str) -> None:
        """Report that the switch takes calls (again, after a reload)."""
        self._send("READY=1", f"STATUS={status}", within_s=READY_S)

    def reloading(self, mono_us: int) -> None:
        """Report that the configuration is being loaded; ``mono_us`` is CLOCK_MONOTONIC in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={mono_us}", "STATUS=loading the configuration")

    def stopping(self, status: str, within_s: float) -> None:
        """Report that no more calls are taken, and how long the rest of the stop may take."""
        self._send("STOPPING=1", _more_time(within_s), f"STATUS={status}")

    def waiting(self, status: str, within_s: float) -> None:
        """Report what a start or reload waits for, and that it may take so long from now on."""
        self._send(_more_time(within_s), f"STATUS={status}")

    @contextmanager
    def extending(self, status: str, every_s: float = EXTEND_EVERY_S, within_s: float = EXTEND_MAX_S) -> Iterator[None]:
        """Set the status line and request more time, after ``SOON_S`` and every ``every_s`` while the block runs.

        The requests end after ``within_s``. Of a shorter block nothing is said: a start has a dozen of them, and the
        kernel keeps ten messages for a manager that is busy.

        A thread sends them, because the block may occupy the event loop, or run before there is one: reading a million
        rates. After ``within_s`` the block counts as hung, and the service manager ends it.
        """
        if self._address is None:
            yield
            return
        is_done = threading.Event()

        def ask() -> None:
            until = time.monotonic() + within_s
            if is_done.wait(SOON_S):
                return
            self._send(f"STATUS={status}", _more_time(EXTENSIONS * every_s))
            while not is_done.wait(every_s) and time.monotonic() < until:
                self._send(_more_time(EXTENSIONS * every_s))

        asking = threading.Thread(target=ask, name="more time", daemon=True)
        asking.start()
        try:
            yield
        finally:
            is_done.set()
            asking.join()

    def keep(self, sockets: Mapping[str, socket.socket]) -> None:
        """Have the manager keep copies of open sockets by name, for the next process (sd_pid_notify_with_fds(3))."""
        if self._address is None:
            return
        with self._lock, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(READY_S)
            for name, kept in sockets.items():
                # without FDPOLL=0 it would close its copy at the first ICMP error of a peer that is gone
                message = f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}".encode()
                try:
                    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [kept.fileno()]))
                    sender.sendmsg([message], [rights], 0, self._address)  # ``send_fds`` takes no address
                except OSError as error:
                    _log.warning("socket_not_kept", listener=name, error=str(error), means="a restart may lose packets")

    def forget(self, names: Iterable[str]) -> None:
        """Have the manager close its copies of sockets."""
        for name in names:
            self._send("FDSTOREREMOVE=1", f"FDNAME={name}")

    def alive(self) -> None:
        """Notify the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *assignments: str, within_s: float = 0.0) -> None:
        if self._address is None:
            return
        with self._lock:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            try:
                self._send_again()
                self._put(self._socket, self._address, assignments, within_s)
            except OSError as error:
                _log.warning("service_manager_unreachable", what=assignments[0], error=str(error))
                if isinstance(error, BlockingIOError | TimeoutError) and assignments[0] in STATES:
                    self._unsent.append(assignments)
                    self._retry_later()

    def _send_again(self) -> None:
        """Send the states that did not fit; raises OSError where there is still no room."""
        while self._unsent and self._socket is not None and self._address is not None:
            self._put(self._socket, self._address, self._unsent[0], 0.0)
            self._unsent.popleft()

    def _retry(self) -> None:
        with self._lock:
            try:
                self._send_again()
            except (BlockingIOError, TimeoutError):
                self._retry_later()
            except OSError as error:
                _log.warning("service_manager_unreachable", what=self._unsent.popleft()[0], error=str(error))

    def _retry_later(self) -> None:
        """Try again from the event loop; where there is none, the next notification does."""
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    @staticmethod
    def _put(sender: socket.socket, address: str, assignments: Sequence[str], within_s: float) -> None:
        sender.settimeout(within_s)
        sender.sendto("\n".join(assignments).encode(), address)


def _more_time(within_s: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={round(within_s * 1_000_000)}"


def _kernel_address(address: str) -> str:
    """Return an abstract socket's ``@name`` in the kernel's form, with a leading NUL."""
    return "\0" + address[1:] if address.startswith("@") else address


class Watchdog:
    """Notifies the service manager from a timer of the event loop: a hung loop stops notifying."""

    def __init__(self, notifier: Notifier, interval_s: float | None) -> None:
        self._notifier = notifier
        self._interval_s = interval_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Notify now and from now on; do nothing if no watchdog was requested."""
        if self._interval_s is not None:
            self._feed(asyncio.get_running_loop(), self._interval_s)

    def stop(self) -> None:
        """Stop notifying."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _feed(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._notifier.alive()
        self._timer = loop.call_later(interval_s, self._feed, loop, interval_s)


def handed_over(environ: Mapping[str, str] = os.environ) -> dict[str, socket.socket]:
    """Return the sockets that the manager has kept, by their names (sd_listen_fds_with_names(3)).

    They are this process's to close.
    """
    count, names = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_FDNAMES", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, socket.socket] = {}
    for number, name in zip(range(FIRST_FD, FIRST_FD + int(count)), names.split(":"), strict=False):
        try:
            handed = socket.socket(fileno=number)
        except OSError as error:  # not a socket, or not open
            _log.warning("socket_not_taken", listener=name, error=str(error))
            continue
        handed.set_inheritable(False)
        handed.setblocking(False)
        if name in found:
            handed.close()
        else:
            found[name] = handed
    return found


def from_environment(environ: Mapping[str, str] = os.environ) -> tuple[Notifier, Watchdog]:
    """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` as systemd sets them.

    The watchdog is notified twice in each of its periods, as ``sd_watchdog_enabled(3)`` advises.
    """
    notifier = Notifier(environ.get("NOTIFY_SOCKET"))
    period_us = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
    if not period_us.isdigit() or int(period_us) == 0 or not is_ours:
        return notifier, Watchdog(notifier, None)
    return notifier, Watchdog(notifier, int(period_us) / 2_000_000)
