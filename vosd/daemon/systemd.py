"""What the service manager is told: ready, reloading, stopping, status, and that the event loop still turns.

Speaks the datagram protocol of ``sd_notify(3)`` in its few lines. Without ``NOTIFY_SOCKET`` everything here
is silent, so the daemon runs the same under a shell. Reads the three variables that systemd sets, no other.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

EXTEND_EVERY_S: Final = 10.0
"""How often more time is asked for while something takes long."""
EXTENSIONS: Final = 3
"""Each request is for so many of these periods: one or two may come late on a busy machine."""
READY_S: Final = 1.0
"""How long READY=1 may wait for a manager that is behind: without it a start counts as failed."""
EXTEND_MAX_S: Final = 1_800.0
"""What takes longer is taken for hung."""

_log = structlog.get_logger()


class Notifier:
    """The line to the service manager; a manager that does not listen never stops a call."""

    def __init__(self, address: str | None) -> None:
        self._address = _kernel_address(address) if address else None
        self._socket: socket.socket | None = None

    def ready(self, status: str) -> None:
        """Say that the switch takes calls (again, after a reload)."""
        self._send("READY=1", f"STATUS={status}", within_s=READY_S)

    def reloading(self, mono_us: int) -> None:
        """Say that the configuration is being loaded; ``mono_us`` is CLOCK_MONOTONIC in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={mono_us}", "STATUS=loading the configuration")

    def stopping(self, status: str, within_s: float) -> None:
        """Say that no more calls are taken, and how long bringing the rest to an end may take."""
        self._send("STOPPING=1", _more_time(within_s), f"STATUS={status}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={text}")

    def waiting(self, status: str, within_s: float) -> None:
        """Say what a start or reload waits for, and that it may take so long from now on."""
        self._send(_more_time(within_s), f"STATUS={status}")

    @contextmanager
    def extending(self, status: str, every_s: float = EXTEND_EVERY_S, within_s: float = EXTEND_MAX_S) -> Iterator[None]:
        """Set the status line and ask for more time, at once and every ``every_s`` while the block runs.

        It asks for no longer than ``within_s``.

        A thread asks, because the block may keep the event loop, or come before there is one: reading a million rates.
        After ``within_s`` the block counts as hung, and the service manager ends it.
        """
        if self._address is None:
            yield
            return
        self._send(f"STATUS={status}", _more_time(EXTENSIONS * every_s))
        is_done = threading.Event()

        def ask() -> None:
            until = time.monotonic() + within_s
            while not is_done.wait(every_s) and time.monotonic() < until:
                self._send(_more_time(EXTENSIONS * every_s))

        asking = threading.Thread(target=ask, name="more time", daemon=True)
        asking.start()
        try:
            yield
        finally:
            is_done.set()
            asking.join()

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *assignments: str, within_s: float = 0.0) -> None:
        if self._address is None:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(within_s)
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            _log.warning("the service manager cannot be told", what=assignments[0], error=str(error))


def _more_time(within_s: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={round(within_s * 1_000_000)}"


def _kernel_address(address: str) -> str:
    """Write an abstract socket's ``@name`` as the kernel wants it, with a leading NUL."""
    return "\0" + address[1:] if address.startswith("@") else address


class Watchdog:
    """Feeds the service manager from the event loop's own timer: a loop that hangs stops feeding."""

    def __init__(self, notifier: Notifier, interval_s: float | None) -> None:
        self._notifier = notifier
        self._interval_s = interval_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Feed now and from now on; does nothing where no watchdog was asked for."""
        if self._interval_s is not None:
            self._feed(asyncio.get_running_loop(), self._interval_s)

    def stop(self) -> None:
        """Feed no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _feed(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._notifier.alive()
        self._timer = loop.call_later(interval_s, self._feed, loop, interval_s)


def from_environment(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> tuple[Notifier, Watchdog]:
    """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` as systemd sets them.

    The watchdog is fed twice in each of its periods, as ``sd_watchdog_enabled(3)`` advises.
    """
    notifier = Notifier(environ.get("NOTIFY_SOCKET"))
    period_us = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID") or str(pid or os.getpid())
    if not period_us.isdigit() or int(period_us) == 0 or meant_for != str(pid or os.getpid()):
        return notifier, Watchdog(notifier, None)
    return notifier, Watchdog(notifier, int(period_us) / 2_000_000)
