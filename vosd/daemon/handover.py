"""Hand-over of a running switch to a successor, which has imported everything and read the configuration before.

The running switch executes its own program again, with a socket and a file of its calls as the only difference.
The successor says that it is ready, or why it cannot be, and how many of these calls it cannot read: a restart that
would end some is refused, unless that is asked for. Then the running switch writes its calls down, sends its listening
sockets, gives up all else, names the successor to the service manager and sends ``RELEASED``; from then on the
successor starts as any switch does. A successor that ends before it is ready changes nothing.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError
from vosd.control.installation import Restart, Successor
from vosd.control.server import CommandError
from vosd.daemon.systemd import Notifier
from vosd.engine.calls.readable import unreadable
from vosd.obs.events import log as _log
from vosd.processes.rights import network_rights_for_children

VARIABLE: Final = "VOSD_PREDECESSOR"
"""Environment variable with the number of the successor's socket."""
VARIABLE_OF_CALLS: Final = "VOSD_RUNNING_CALLS"
"""Environment variable with the number of a file in memory: the running calls, for the successor to try."""
_CALLS: Final = "running calls"
"""Name of that file."""
AT_ONCE: Final = 8
"""Calls that are described for it in one turn of the event loop: less than a millisecond."""
READY_S: Final = 590.0
"""A successor that is not ready by then is ended; millions of rates are read in minutes."""
RELEASED: Final = b"released"
_OF_THIS_PROCESS: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")
_MESSAGE_MAX: Final = 1 << 16
_DESCRIPTORS_MAX: Final = 253
"""SCM_MAX_FD"""
_PROBLEMS_MAX: Final = 100
ENDING_THEM: Final = "vosd restart --end-calls ends them, and so does systemctl restart vosd"
_NOT_HANDED_OVER: Final = "the switch that was to be replaced has ended without handing over"


class NotRestartedError(CommandError):
    """No successor has become ready: this switch goes on."""


class CallsWouldEndError(NotRestartedError):
    """The successor cannot read running calls, or does not say whether it can: this switch goes on."""


class SuccessorReport(msgspec.Struct, frozen=True):
    """Report of a successor; with an error it ends."""

    error: str | None = None
    problems: tuple[str, ...] = ()
    unreadable: int | None = None
    """Running calls that it cannot read; None = it has not tried, as versions before ADR 215."""
    why: str = ""
    """Why one of them cannot be read."""


class Handover:
    """The verb ``restart`` of a running switch, and what its stop gives to the successor."""

    def __init__(
        self, notifier: Notifier, stop: Callable[[], None], calls_for_trial: Callable[[], Iterable[bytes]]
    ) -> None:
        """``stop`` asks for the stop of this switch; ``calls_for_trial`` describes the running calls one by one."""
        self._notifier = notifier
        self._stop = stop
        self._calls_for_trial = calls_for_trial
        self._is_asked = False
        self._successor: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        """The process and the channel to it, once it is ready."""

    @property
    def is_due(self) -> bool:
        """Whether a successor is ready: the stop hands over to it."""
        return self._successor is not None

    async def restart(self, order: Restart) -> Successor:
        """Start a successor and, once it is ready, stop; return its process id.

        Raises:
            CallsWouldEndError: the successor cannot read running calls, and the order does not say to end them.
            NotRestartedError: there is no service manager, the switch is restarted already, or the successor did not
                get ready; this switch goes on.
        """
        if not self._notifier.has_manager:
            raise NotRestartedError("no service manager watches this switch: stop it and start it again")
        if self._is_asked:
            raise NotRestartedError("the switch is being restarted already")
        self._is_asked = True
        try:
            process, channel, calls = await self._started()
        except BaseException:
            self._is_asked = False
            raise
        try:
            readiness = await _readiness(channel)
            if readiness.error is not None:
                raise NotRestartedError(readiness.error, readiness.problems)
            if not order.ends_calls:
                _refuse_to_end(calls, readiness)
        except BaseException:  # also of a stop meanwhile: closing the channel ends a successor that waits
            channel.close()
            process.kill()
            await asyncio.to_thread(process.wait)
            self._is_asked = False
            raise
        self._successor = process, channel
        asyncio.get_running_loop().call_soon(self._stop)
        return Successor(process.pid)

    async def _started(self) -> tuple["subprocess.Popen[bytes]", socket.socket, int]:
        """Execute a successor with the running calls; return its process, the channel to it and their number."""
        count = 0
        with os.fdopen(os.memfd_create(_CALLS), "wb") as file:
            for count, call in enumerate(self._calls_for_trial(), 1):
                file.write(call)
                if not count % AT_ONCE:
                    await asyncio.sleep(0)
            file.flush()
            return *_executed(file.fileno()), count

    def send(self, sockets: Mapping[str, socket.socket]) -> None:
        """Give the listening sockets to the successor, by name."""
        if self._successor is not None:
            _, channel = self._successor
            names = msgspec.json.encode(list(sockets))
            socket.send_fds(channel, [names], [each.fileno() for each in sockets.values()])

    def release(self) -> None:
        """Name the successor to the service manager, and have it begin: this process has given up everything.

        Raises:
            VosError: it has ended meanwhile; the service manager starts the switch again.
        """
        if self._successor is not None:
            process, channel = self._successor
            if process.poll() is not None:
                raise VosError(f"the successor {process.pid} has ended before it could take over")
            self._notifier.succeeded_by(process.pid)
            channel.sendall(RELEASED)
            channel.close()


class Predecessor:
    """The switch that this process is to take over from."""

    def __init__(self, channel: socket.socket, trial: SuccessorReport) -> None:
        """``trial`` is the report of this process about the running calls."""
        self._channel = channel
        self._trial = trial

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the switch that has executed this process; None where it was started otherwise."""
        number, calls = os.environ.pop(VARIABLE, None), os.environ.pop(VARIABLE_OF_CALLS, None)
        if number is None:
            return None
        channel = socket.socket(fileno=int(number))
        channel.set_inheritable(False)
        return cls(channel, SuccessorReport() if calls is None else _tried(int(calls)))

    def refuse(self, error: VosError) -> None:
        """Say why this process cannot take over."""
        problems = error.problems[:_PROBLEMS_MAX] if isinstance(error, ConfigError) else ()
        said = msgspec.json.encode(SuccessorReport(str(error), tuple(map(str, problems))))
        if len(said) > _MESSAGE_MAX:
            said = msgspec.json.encode(SuccessorReport("the configuration is invalid: vosd check lists the problems"))
        self._channel.sendall(said)

    async def sockets(self) -> dict[str, socket.socket]:
        """Say that this process is ready, and return the listening sockets once the other has released everything.

        Raises:
            VosError: the other switch ended without that, or goes on.
        """
        with self._channel:
            try:
                self._channel.sendall(msgspec.json.encode(self._trial))
                return await asyncio.to_thread(self._received)
            except OSError as error:
                raise VosError(_NOT_HANDED_OVER) from error

    def _received(self) -> dict[str, socket.socket]:
        names, descriptors, *_ = socket.recv_fds(self._channel, _MESSAGE_MAX, _DESCRIPTORS_MAX)
        found = {}
        for name, number in zip(msgspec.json.decode(names or b"[]"), descriptors, strict=True):
            found[name] = socket.socket(fileno=number)
            found[name].setblocking(False)
        if not names or self._channel.recv(_MESSAGE_MAX) != RELEASED:
            raise VosError(_NOT_HANDED_OVER)
        return found


def _tried(calls: int) -> SuccessorReport:
    """Read the running calls, and return the report of a process that is ready; ``calls`` is their descriptor.

    A version before ADR 215 that was itself executed with such a variable gives it on, and not the descriptor.
    """
    try:
        is_theirs = _CALLS in str(Path(f"/proc/self/fd/{calls}").readlink())
    except OSError:
        is_theirs = False
    if not is_theirs:
        return SuccessorReport()
    with os.fdopen(calls, "rb") as file:  # closed before this process has children, which would keep its memory
        file.seek(0)
        found = unreadable(file)
    return SuccessorReport(unreadable=len(found), why=next(iter(found.values()), ""))


def _refuse_to_end(calls: int, readiness: SuccessorReport) -> None:
    """Raise ``CallsWouldEndError`` where the successor would end some of so many calls."""
    if not calls or readiness.unreadable == 0:
        return
    if readiness.unreadable is None:
        what = f"the installed version does not say whether it can read the {calls} running calls"
    else:
        what = f"the installed version cannot read {readiness.unreadable} of {calls} running calls ({readiness.why})"
    raise CallsWouldEndError(f"{what}; this switch goes on. {ENDING_THEM}")


def _executed(calls: int) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Execute the program of this process once more: its path may lead to another version by now.

    ``calls`` is the descriptor of the running calls.

    Raises:
        NotRestartedError: it cannot be executed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
    environment |= {VARIABLE: str(theirs.fileno()), VARIABLE_OF_CALLS: str(calls)}
    with theirs, network_rights_for_children():
        try:
            process = subprocess.Popen(  # noqa: S603 - as this process was executed
                sys.argv, stdin=subprocess.DEVNULL, env=environment, pass_fds=(theirs.fileno(), calls)
            )
        except OSError as error:
            ours.close()
            message = f"{sys.argv[0]} cannot be executed: {(error.strerror or str(error)).lower()}"
            raise NotRestartedError(message) from error
    ours.setblocking(False)
    _log.info("successor_started", pid=process.pid)
    return process, ours


async def _readiness(channel: socket.socket) -> SuccessorReport:
    """Return what the successor says first; raises NotRestartedError where it has ended, or said nothing in time."""
    is_readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(channel, is_readable.set)
    try:
        async with asyncio.timeout(READY_S):
            await is_readable.wait()
    except TimeoutError as error:
        raise NotRestartedError(f"the successor was not ready within {READY_S:.0f} s; this switch goes on") from error
    finally:
        loop.remove_reader(channel)
    said = channel.recv(_MESSAGE_MAX)
    channel.setblocking(True)
    if not said:
        raise NotRestartedError("the successor has ended before it was ready, its log says why; this switch goes on")
    return msgspec.json.decode(said, type=SuccessorReport)
