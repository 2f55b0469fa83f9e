"""Asking the running switch: one command over its control socket, one answer back.

The other end is ``engine/control.py``. Refuses to know what the commands mean.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from vosd.base.errors import VosError

ANSWER_S: Final = 30.0
"""How long a switch may say nothing."""

LINE_MAX: Final = 4 * 1024 * 1024
"""Bytes of one result among many."""


class DaemonUnreachableError(VosError):
    """No switch answers at the control socket, or it stopped answering."""


class NoDaemonError(DaemonUnreachableError):
    """Nobody listens at the control socket: no switch runs on this configuration."""


class DaemonRefusedError(VosError):
    """The switch did not do it; ``problems`` lists why, one mistake a line, where there is a list."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class _Answer(msgspec.Struct, frozen=True):
    result: Any = None
    error: str | None = None
    problems: tuple[str, ...] = ()


class RunningSwitch:
    """The switch that runs on a configuration, as seen through its control socket."""

    def __init__(self, control_socket: Path, patience_s: float = ANSWER_S) -> None:
        self.control_socket = control_socket
        self._patience_s = patience_s

    async def ask(self, verb: str, **arguments: object) -> Any:
        """Have the switch carry out ``verb`` and return its result.

        Raises:
            DaemonUnreachableError: nobody answers; whether the command was carried out is not known if the
                switch went away while it worked.
            DaemonRefusedError: the switch says no, and why.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                line = await self._exchange(msgspec.json.encode({"verb": verb, "arguments": arguments}))
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return self._result(line)

    async def follow(self, verb: str, **arguments: object) -> AsyncGenerator[Any, None]:
        """Have the switch follow something and yield one result after the other until it is done.

        Raises:
            DaemonUnreachableError: nobody answers, or the switch fell silent.
            DaemonRefusedError: the switch says no, and why.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await self._send(msgspec.json.encode({"verb": verb, "arguments": arguments}))
            try:
                while line := await asyncio.wait_for(reader.readline(), ANSWER_S):
                    yield self._result(line)
            finally:
                writer.close()
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def ask_if_running(self, verb: str, **arguments: object) -> Any | None:
        """Do as ``ask`` does, but return None where no switch runs: for commands that work without one.

        A switch that runs and cannot be asked is an error: what it knows of money would be missing unsaid.
        """
        try:
            return await self.ask(verb, **arguments)
        except NoDaemonError:
            return None

    def _unreachable(self, error: OSError | TimeoutError) -> DaemonUnreachableError:
        message = (
            f"no running switch answers at {self.control_socket} ({_reason(error)}); is it started on"
            " this configuration, and are you allowed to open its socket?"
        )
        is_absent = isinstance(error, FileNotFoundError | ConnectionRefusedError)
        return (NoDaemonError if is_absent else DaemonUnreachableError)(message)

    def _result(self, line: bytes) -> Any:
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except msgspec.MsgspecError as error:
            message = f"the switch at {self.control_socket} went away before it answered"
            raise DaemonUnreachableError(message) from error
        if answer.error is not None:
            raise DaemonRefusedError(answer.error, answer.problems)
        return answer.result

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await self._send(request)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def _send(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.control_socket, limit=LINE_MAX)
        writer.write(request + b"\n")
        writer.write_eof()
        return reader, writer


def _reason(error: OSError | TimeoutError) -> str:
    return getattr(error, "strerror", None) or "no answer in time"
