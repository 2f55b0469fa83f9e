"""Client of the control socket: one order to the running switch, one result or a series of results."""

import asyncio
import math
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from vosd import __version__
from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.control.order import OF_ALL_VERSIONS, PROTOCOL, Following, Order, result_type, tag_of
from vosd.control.wire import ControlAnswer, other_version, request_line, spoken

Result = TypeVar("Result")

ANSWER_S: Final = 30.0
"""Longest time without an answer."""

REFRESH_S: Final = 10.0
"""Longest time until the switch has read what was stored a moment ago; it does so at its next poll, too."""

LINE_MAX: Final = 4 * 1024 * 1024
"""Most bytes of one result of a series."""


_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as SO_PEERCRED has them."""
_NOT_UNDERSTOOD: Final = frozenset({"", "other_version", "unknown_order", "not_understood"})
"""Codes of refusals by a switch that did not read the order; version 1 had none."""
_RELATIVE: Final = (
    " control_socket is relative to the directory in which the switch was started: give it an absolute path to reach it"
    " from everywhere"
)


class DaemonUnreachableError(VosError):
    """No switch answers at the control socket, or it stopped answering."""


class AnswerLostError(DaemonUnreachableError):
    """The switch was given an order that changes something, and its answer is lost: it carries it out, or does not."""

    code = "outcome_unknown"
    remedy = "look whether it was carried out before you send it again"


class NoDaemonError(DaemonUnreachableError):
    """Nothing listens at the control socket: no switch runs with this configuration."""


class DaemonRefusedError(VosError):
    """The switch did not carry out the order; ``problems`` lists the reasons, if there are several."""

    def __init__(self, message: str, problems: Sequence[str] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        if code is not None:
            self.code = code


class OtherVersionError(DaemonRefusedError):
    """The running switch is of another version and cannot be understood."""

    pid = 0
    """The process that listens at the socket, by the kernel; 0 = that was not asked, or it is none of this machine."""


class RunningSwitch:
    """The running switch of a configuration, over its control socket."""

    def __init__(
        self,
        control_socket: Path,
        patience_s: float = ANSWER_S,
        turns: asyncio.Semaphore | None = None,
        until: float = math.inf,
        *,
        starting: Callable[[], int | None] = lambda: None,
    ) -> None:
        """``turns`` lets so many orders of a program be carried out at once as it has places; the others wait.

        ``until`` is the time of the event loop after which no answer is waited for, whatever the patience.
        ``starting`` returns the pid of a switch that runs and does not listen yet, or no more; None = there is none.
        """
        self._starting = starting
        self.control_socket = control_socket
        self._patience_s = patience_s
        self._turns = turns
        self._until = until

    def patient(self, patience_s: float) -> "RunningSwitch":
        """Return the same switch, to which an order may take longer."""
        return RunningSwitch(self.control_socket, patience_s, self._turns, self._until, starting=self._starting)

    async def ask(self, order: Order[Result]) -> Result:
        """Have the switch carry out an order, and return its result.

        Raises:
            AnswerLostError: no answer to an order that changes something, which may be carried out all the same.
            DaemonUnreachableError: no answer; an order that changes something did not reach the switch.
            DaemonRefusedError: the switch refuses, with the reason, or is of another version.
        """
        until = min(asyncio.get_running_loop().time() + self._patience_s, self._until)
        is_sent = False
        try:
            async with asyncio.timeout_at(until), self._turns or nullcontext():
                reader, writer = await self._send(request_line(order))
                is_sent = True
                listener = _listener(writer)
                try:
                    line = await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            if is_sent and order.is_change:
                raise self._lost(_reason(error)) from error
            raise self._unreachable(error) from error
        try:
            result: Result = self._result(line, order)
        except OtherVersionError as error:
            error.pid = listener
            raise
        return result

    async def follow(self, order: Following[Result]) -> AsyncGenerator[Result, None]:
        """Have the switch follow something, and yield one result after the other until it is finished.

        Raises:
            AnswerLostError: the switch stopped answering an order that changes something, or never answered it.
            DaemonUnreachableError: no answer, or the switch stopped answering.
            DaemonRefusedError: the switch refuses, with the reason, or is of another version.
        """
        is_sent = False
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await self._send(request_line(order))
            is_sent = True
            try:
                while line := await asyncio.wait_for(reader.readline(), ANSWER_S):
                    yield self._result(line, order)
            finally:
                writer.close()
        except (OSError, TimeoutError) as error:
            if is_sent and order.is_change:
                raise self._lost(_reason(error)) from error
            raise self._unreachable(error) from error

    async def ask_if_running(self, order: Order[Result]) -> Result | None:
        """Do the same as ``ask``, but return None if no switch runs: for commands that work without one.

        A switch that runs and does not answer is an error: the money it reserves would be missing without notice.
        """
        try:
            return await self.ask(order)
        except NoDaemonError:
            return None

    def _unreachable(self, error: OSError | TimeoutError) -> DaemonUnreachableError:
        is_absent = isinstance(error, FileNotFoundError | ConnectionRefusedError)
        pid = self._starting() if is_absent else None
        if pid is not None:
            return NoDaemonError(self._absent(pid))
        message = (
            f"no running switch answers at {self.control_socket} ({_reason(error)}); is it started on"
            " this configuration, and are you allowed to open its socket?"
            + ("" if self.control_socket.is_absolute() else _RELATIVE)
        )
        return (NoDaemonError if is_absent else DaemonUnreachableError)(message)

    def _absent(self, pid: int) -> str:
        return (
            f"the switch (pid {pid}) does not listen at {self.control_socket}: it starts or stops, or that socket was"
            " removed, and its log says so: try again in 10 seconds. Or control_socket was changed since its start:"
            " systemctl restart vosd"
        )

    def _lost(self, reason: str) -> AnswerLostError:
        return AnswerLostError(f"the switch at {self.control_socket} has the order and did not answer it ({reason})")

    def _result(self, line: bytes, order: Order[Any] | Following[Any]) -> Any:
        try:
            answer = msgspec.json.decode(line, type=ControlAnswer)
        except UNDECODABLE as error:
            if order.is_change:
                raise self._lost("it went away") from error
            raise DaemonUnreachableError(f"the switch at {self.control_socket} went away before it answered") from error
        is_understood = tag_of(type(order)) in OF_ALL_VERSIONS and (
            answer.error is None or answer.code not in _NOT_UNDERSTOOD
        )
        if answer.protocol != PROTOCOL and not is_understood:
            switch = spoken(answer.switch, answer.protocol)
            raise OtherVersionError(other_version(switch, spoken(__version__, PROTOCOL)))
        if answer.error is not None:
            raise DaemonRefusedError(answer.error, answer.problems, answer.code)
        try:
            return msgspec.json.decode(answer.result, type=result_type(type(order)))
        except UNDECODABLE as error:
            versions = other_version(spoken(answer.switch, answer.protocol), spoken(__version__, PROTOCOL))
            message = f"the answer to {tag_of(type(order))!r} is of another form ({error}): {versions}"
            raise OtherVersionError(message) from error

    async def _send(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.control_socket, limit=LINE_MAX)
        writer.write(request)
        writer.write_eof()
        return reader, writer


def _listener(writer: asyncio.StreamWriter) -> int:
    """Return the process that listens at the other end of a connection; 0 = it is not among ours."""
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    return pid


def _reason(error: OSError | TimeoutError) -> str:
    return getattr(error, "strerror", None) or "no answer in time"
