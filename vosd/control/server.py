"""Control socket: takes orders for the running switch.

One JSON object in each line (``wire``) over a unix socket that only the switch's user may open, any number of orders
one after the other on a connection. An order that follows something has results until it is finished or its client
disconnects; one that may wait for long is given up then, too. Owns the socket, the framing and the limits; the handlers
are passed in. Command line and HTTP are handled elsewhere. An operator asks most when the process has used up its file
descriptors: some are kept for that.
"""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Final

import msgspec

from vosd import __version__
from vosd.base.errors import VosError
from vosd.base.text import escaped
from vosd.base.undecodable import UNDECODABLE
from vosd.control.hangups import Hangups
from vosd.control.installation import GetStatus
from vosd.control.order import OF_ALL_VERSIONS, PROTOCOL, Handler, tag_of
from vosd.control.wire import ControlFailure, ControlRequest, ControlSuccess, Tagged, other_version, spoken
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter
from vosd.processes.spare_descriptors import MORE_FILES, SpareDescriptors, is_used_up

LINE_MAX: Final = 3 * 1024 * 1024
"""Most bytes of one request, which may have ``NAMES_MAX`` names; answers are not limited."""
CLIENTS_MAX: Final = 32
"""Most commands that are carried out at once."""
RESERVED: Final = 8
"""Connections beside them, which wait for a request or ask for what is in ``ALWAYS``."""
ALWAYS: Final = frozenset({tag_of(GetStatus)})
"""Orders that take no slot: an operator needs them most when too much goes on."""
ROWS_AT_ONCE: Final = 500
"""Rows of an answer that are encoded in one turn: 0.5 ms, or 5 ms where all have text that is not UTF-8."""
IDLE_S: Final = 60.0
"""A connection without request is closed after so long."""
SPARE: Final = 2
"""Spare descriptors: connections that are accepted where the process may open no more files."""
LOOK_S: Final = 5.0
"""Interval at which the path is looked at: cleaners of directories and other programs remove sockets."""
PAUSE_S: Final = 1.0
"""Pause before a connection that could not be accepted is tried again."""


class CommandError(VosError):
    """An order that the running switch did not carry out; ``problems`` holds lines for people.

    Each kind has a class of its own, whose code programs read.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ControlSocketError(VosError):
    """The control socket cannot be opened at the configured path."""


_TOO_MANY: Final = ControlFailure(f"{CLIENTS_MAX} commands are carried out at once already, try again", code="busy")


class _Client:
    """One connection."""

    def __init__(self, task: "asyncio.Task[None]", writer: asyncio.StreamWriter) -> None:
        self.task = task
        self.writer = writer
        self.is_busy = False
        """Whether a command is carried out; else it waits for the next request."""
        self.has_slot = False
        """Whether that command is one of ``CLIENTS_MAX``."""


class ControlServer:
    """Answers orders on a unix socket, mode 0600, while it is open."""

    def __init__(self, path: Path, handlers: Iterable[Handler]) -> None:
        self._path = path
        self._handlers = {handler.tag: handler for handler in handlers}
        self._listening: socket.socket | None = None
        self._bound: os.stat_result | None = None
        """The socket in the file system."""
        self._next_look: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[None]] = set()
        """Connections that were accepted and have no client yet."""
        self._spare = SpareDescriptors(SPARE)
        self._hangups = Hangups()
        self._log_limiter = LogLimiter()
        self._clients: list[_Client] = []
        """In the order in which their latest command has ended, or they have come."""

    async def open(self) -> None:
        """Listen; raises ControlSocketError where another switch listens there, or the path cannot be created."""
        self._listen()
        self._hangups.open()
        self._spare.obtain()
        self._look_later()

    async def close(self) -> None:
        """Stop listening, disconnect the clients and remove the socket from the file system."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        listening.close()
        if self._next_look is not None:
            self._next_look.cancel()
        self._spare.release()
        tasks = [*self._beginning, *(client.task for client in self._clients)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hangups.close()
        if self._is_there():  # else it is of another switch by now
            self._path.unlink(missing_ok=True)

    def _listen(self) -> None:
        """Begin to listen, raising as ``open``."""
        self._listening, self._bound = _bind(self._path)
        asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    def _is_there(self) -> bool:
        """Return whether the socket is where clients look for it."""
        try:
            return self._bound is not None and os.path.samestat(self._path.stat(), self._bound)
        except OSError:
            return False

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Make a socket anew that was removed; clients that are connected stay so."""
        self._look_later()
        earlier = self._listening
        if earlier is None or self._is_there():
            return
        try:
            self._listen()
        except (ControlSocketError, OSError) as error:  # the latter of a socket that is left over and cannot be removed
            if self._log_limiter.admits("missing", round(asyncio.get_running_loop().time() * 1_000)):
                means = "no command reaches this switch; calls go on"
                _log.error("control_socket_missing", path=str(self._path), means=means, error=str(error))
            return
        asyncio.get_running_loop().remove_reader(earlier)
        earlier.close()
        _log.warning("control_socket_made_anew", path=str(self._path), why="it was removed")

    def _accept(self, listening: socket.socket) -> None:
        """Accept a waiting connection, with a spare descriptor where there is no other."""
        try:
            sock = self._accepted(listening)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # of a machine without memory, too
            self._report(error)
            self._pause(listening)
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._begin(sock))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    def _accepted(self, listening: socket.socket) -> socket.socket:
        try:
            return listening.accept()[0]
        except OSError as error:
            if not is_used_up(error):
                raise
            self._report(error)
        with self._spare.lent():
            return listening.accept()[0]

    def _report(self, error: OSError) -> None:
        """Say once a minute that commands are in danger, since other work of the switch is, too."""
        if self._log_limiter.admits("", round(asyncio.get_running_loop().time() * 1_000)):
            means = "few commands are taken; connections and calls with relayed media may be refused"
            _log.error("file_limit_reached", error=str(error), means=means, do=MORE_FILES)

    def _pause(self, listening: socket.socket) -> None:
        """Accept nothing for a moment: a client without request may give up its descriptor until then."""
        self._disconnect_an_idle_one()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(PAUSE_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if self._listening is listening:
            self._obtain_spare()
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def _begin(self, sock: socket.socket) -> None:
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=LINE_MAX), self._serve)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)
        except OSError:
            _log.debug("control_client_disconnected")
            sock.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream server runs each client in a task of its own"
        client = _Client(task, writer)
        try:
            if len(self._clients) >= CLIENTS_MAX + RESERVED and not self._disconnect_an_idle_one():
                await _answer(writer, _TOO_MANY)
                return
            self._clients.append(client)
            await self._converse(client, reader, writer)
        except (ConnectionError, TimeoutError):
            _log.debug("control_client_disconnected")
        finally:
            if client in self._clients:
                self._clients.remove(client)
            writer.close()
            asyncio.get_running_loop().call_soon(self._obtain_spare)  # once the descriptor is closed, before others do

    def _obtain_spare(self) -> None:
        if self._listening is not None:
            self._spare.obtain()

    def _disconnect_an_idle_one(self) -> bool:
        """Close the connection that has been idle longest, so that clients without a request shut no other out."""
        idle = next((each for each in self._clients if not each.is_busy), None)
        if idle is None:
            return False
        self._clients.remove(idle)
        idle.task.cancel()
        return True

    async def _converse(self, client: _Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), IDLE_S)
            except ValueError:
                await _answer(writer, ControlFailure(f"a request is at most {LINE_MAX} bytes", code="not_understood"))
                return
            if not line:
                return
            client.is_busy = True
            async with aclosing(self._carry_out(line, client)) as answers:
                async for answer in answers:
                    await _answer(writer, answer)
            client.is_busy = client.has_slot = False
            self._clients.remove(client)
            self._clients.append(client)
            await asyncio.sleep(0)  # requests that came together: let calls run between them

    async def _carry_out(self, line: bytes, client: _Client) -> AsyncGenerator[ControlSuccess | ControlFailure, None]:
        try:
            request = msgspec.json.decode(line, type=ControlRequest)
            tag = msgspec.json.decode(request.order or b"{}", type=Tagged).order
            if request.protocol != PROTOCOL and tag not in OF_ALL_VERSIONS:
                versions = spoken(__version__, PROTOCOL), f"control protocol {request.protocol}"
                yield ControlFailure(other_version(*versions), code="other_version")
                return
            if not tag:
                yield ControlFailure("not a request: it names no order", code="not_understood")
                return
            handler = self._handlers.get(tag)
            if handler is None:
                known = ", ".join(self._handlers)
                yield ControlFailure(f"this switch knows no {tag!r}; it answers {known}", code="unknown_order")
                return
            order = msgspec.json.decode(request.order, type=handler.order)
        except UNDECODABLE as error:
            yield ControlFailure(f"not a request: {error}", code="not_understood")
            return
        if tag not in ALWAYS:
            if sum(each.has_slot for each in self._clients) >= CLIENTS_MAX:
                yield _TOO_MANY
                return
            client.has_slot = True
        try:
            if handler.answer is not None:
                is_given_up = handler.ends_with_client
                with self._hangups.watched(client.writer, client.task.cancel) if is_given_up else nullcontext():
                    result = await handler.answer(order)
                yield ControlSuccess(result)
            elif handler.follow is not None:
                async with aclosing(handler.follow(order)) as results:
                    async for result in results:
                        yield ControlSuccess(result)
        except CommandError as refused:
            yield ControlFailure(str(refused), refused.problems, refused.code)
        except VosError as error:
            yield ControlFailure(str(error), code=error.code)
        except Exception:  # noqa: BLE001  a bug in one command must end neither the socket nor the calls
            _log.exception("command_failed", verb=tag)
            yield ControlFailure(f"{tag} failed inside the switch; its log says more", code="defect")


async def _encoded(answer: ControlSuccess | ControlFailure) -> bytes:
    """Return the line of an answer; rows of a long list are encoded in turns of the event loop."""
    if isinstance(answer, ControlFailure) or not isinstance(answer.result, list):
        return _text_of(answer)
    rows: list[msgspec.Raw] = []
    for count, each in enumerate(answer.result, 1):
        rows.append(msgspec.Raw(_text_of(each)))
        if count % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)  # let calls run
    return msgspec.json.encode(ControlSuccess(rows))


def _text_of(thing: object) -> bytes:
    try:
        return msgspec.json.encode(thing)
    except UnicodeEncodeError:  # a peer has sent a header, such as User-Agent, that is not UTF-8
        return msgspec.json.encode(escaped(thing))


async def _answer(writer: asyncio.StreamWriter, answer: ControlSuccess | ControlFailure) -> None:
    line = await _encoded(answer) + b"\n"
    if writer.is_closing():  # uvloop's transport raises RuntimeError
        raise ConnectionError("the client is gone")
    writer.write(line)
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def _bind(path: Path) -> tuple[socket.socket, os.stat_result]:
    """Create a listening socket with its mode set before clients can connect; return it and its file."""
    if path.exists():
        _remove_left_over(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        listener.bind(str(path))
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        listener.listen()
        bound = path.stat()
    except OSError as error:
        listener.close()
        message = f"control_socket {path} cannot be opened: {error.strerror or error}; set it to another path"
        raise ControlSocketError(message) from error
    listener.setblocking(False)
    return listener, bound


def _remove_left_over(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        message = f"control_socket {path} is a file of another kind; move it or set control_socket elsewhere"
        raise ControlSocketError(message)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # left behind by a process that was killed
            return
        except OSError as error:
            raise ControlSocketError(f"control_socket {path} cannot be examined: {error.strerror or error}") from error
    message = f"another switch answers at control_socket {path}; stop it, or set control_socket elsewhere"
    raise ControlSocketError(message)
