"""What the service manager is told: ready, reloading, stopping, status, and that the event loop still turns.

Speaks the datagram protocol of ``sd_notify(3)`` in its few lines. Without ``NOTIFY_SOCKET`` everything here
is silent, so the daemon runs the same under a shell. Reads the three variables that systemd sets, no other.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

_log = structlog.get_logger()


class Notifier:
    """The line to the service manager; a manager that does not listen never stops a call."""

    def __init__(self, address: str | None) -> None:
        self._address = _kernel_address(address) if address else None
        self._socket: socket.socket | None = None

    def ready(self, status: str) -> None:
        """Say that the switch takes calls (again, after a reload)."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, mono_us: int) -> None:
        """Say that the configuration is being loaded; ``mono_us`` is CLOCK_MONOTONIC in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={mono_us}", "STATUS=loading the configuration")

    def stopping(self, status: str, within_s: float) -> None:
        """Say that no more calls are taken, and how long bringing the rest to an end may take."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(within_s * 1_000_000)}", f"STATUS={status}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *assignments: str) -> None:
        if self._address is None:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        try:
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            _log.warning("the service manager cannot be told", what=assignments[0], error=str(error))


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
