"""Requests to RADIUS servers: transmissions, repetitions, and the next server where one does not answer.

A repetition has the bytes of the first transmission, with its identifier and authenticator (RFC 2865 section 2.5), so
the server recognises it. Another server gets another packet. An answer that comes after its request was given up says
that the server lives. The name of a server is looked up beside the requests: an address holds until the name has
others, or the server does not answer there. Knows nothing of calls.
"""

import asyncio
import secrets
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from vosd.base.clock import Clock
from vosd.base.host import is_address
from vosd.engine.host_names import HostNames
from vosd.obs.events import GONE, Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.obs.outage import Outage
from vosd.radius.packets import (
    AUTHENTICATOR_BYTES,
    PACKET_MAX,
    Attributes,
    BadReplyError,
    RadiusCode,
    RadiusReply,
    RadiusRequest,
)
from vosd.radius.servers import ChosenServer, DeathRules, ServerChoice
from vosd.radius.settings import RadiusPurpose, RadiusServer, RadiusSettings

IDENTIFIERS: Final = 256
"""Open requests of one socket: the identifier has one byte."""
PACKETS_AT_ONCE: Final = 64
"""Packets that are read in one turn of the loop."""
TRIAL_TIMEOUTS: Final = 2
"""Time-outs for which the one packet of a trial is waited for: a server may delay its rejects by one."""
SOCKETS_MAX: Final = 8
"""Sockets for one server; beyond their identifiers requests fail at once."""
NAME_MS: Final = 60_000
"""Time after which the name of a server is looked up again."""

_NAMES: Final = HostNames(64, "names of RADIUS servers")


class RadiusUnreachableError(Exception):
    """No server has answered; the message says why. Nothing is known of what a server has understood."""


class _NoAnswerError(Exception):
    """One server has not answered."""


class _NoRoomError(Exception):
    """A server may not be asked now, which says nothing about it: too many requests are open, or it was replaced."""


class _Socket:
    """One connected UDP socket, with the requests that are open on it.

    It is read through an epoll descriptor: uvloop stops watching a socket that has an error, such as one of ICMP.
    """

    def __init__(self, address: tuple[str, int], replied: Callable[[], None], rejected: Callable[[str], None]) -> None:
        """``replied`` is called for each valid reply, ``rejected`` for others, with the reason. Raises OSError."""
        self.address: Final = address[0]
        self._replied = replied
        self._rejected = rejected
        self._is_retired = False
        self._sent: dict[int, tuple[RadiusRequest, asyncio.Future[RadiusReply]]] = {}
        """Requests by their identifier, until it is used again: a late reply is a reply, too."""
        self._free = deque(range(IDENTIFIERS))
        """The identifier that was used the longest ago comes first, so a late reply meets its own request."""
        self._open = 0
        """Requests that are waited for."""
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        self._readiness = select.epoll(1)
        self._readiness.register(self._socket, select.EPOLLIN)
        self._loop.add_reader(self._readiness, self._receive)

    @property
    def has_room(self) -> bool:
        """Whether an identifier is free."""
        return bool(self._free)

    def _receive(self) -> None:
        """Read what has come, a bounded number of packets at a time."""
        for _ in range(PACKETS_AT_ONCE):
            try:
                data = self._socket.recv(PACKET_MAX + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # an ICMP error: the host has said that nothing listens there
                self._fail(error.strerror or str(error))
                return
            self._match(data)

    def _match(self, data: bytes) -> None:
        """Match a packet with its request; one that is not verified leaves the request open."""
        found = self._sent.get(data[1]) if len(data) > 1 else None
        if found is None:
            self._rejected("no request waits for it")
            return
        request, future = found
        try:
            reply = request.reply(data)
        except BadReplyError as error:
            self._rejected(str(error))
            return
        if future.done() and future.exception() is None:
            return  # it came before: who sends it again may not be the server
        self._replied()
        if not future.done():
            future.set_result(reply)

    def close(self) -> None:
        """Close the socket; what is open on it gets no answer."""
        if self._readiness.closed:
            return
        self._loop.remove_reader(self._readiness)
        self._readiness.close()
        self._socket.close()
        self._fail("the servers have changed")

    def retire(self) -> None:
        """Close the socket as soon as nothing is open on it any more: the server has another address."""
        self._is_retired = True
        if not self._open:
            self.close()

    def _fail(self, why: str) -> None:
        for _, future in self._sent.values():
            if not future.done():
                future.set_exception(_NoAnswerError(why))

    def _send(self, data: bytes) -> None:
        """Send a packet; a socket without room loses it, as the network may."""
        try:
            try:
                self._socket.send(data)
            except ConnectionRefusedError:  # of an earlier packet, which this one is not sent for
                self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise _NoAnswerError(error.strerror or str(error)) from error

    async def ask(
        self, make: Callable[[int], RadiusRequest], timeout_s: float, tries: int, late: Callable[[str], None]
    ) -> RadiusReply:
        """Send a request, made with its identifier, up to ``tries`` times; raises ``_NoAnswerError``.

        ``late`` is called with the address when a reply comes that is not waited for any more.
        """

        def come(future: asyncio.Future[RadiusReply]) -> None:
            if future.exception() is None:
                late(self.address)

        identifier = self._free.popleft()
        self._open += 1
        future: asyncio.Future[RadiusReply] = asyncio.get_running_loop().create_future()
        try:
            request = make(identifier)
            self._sent[identifier] = request, future
            for _ in range(tries):
                self._send(request.data)
                done, _ = await asyncio.wait((future,), timeout=timeout_s)
                if done:
                    return future.result()
            raise _NoAnswerError("no answer in time")
        finally:
            self._open -= 1
            self._free.append(identifier)
            if not future.done():
                future.add_done_callback(come)
            else:
                future.exception()  # it may have failed in the moment in which its asker was cancelled
            if self._is_retired and not self._open:
                self.close()


class _ServerLink:
    """The sockets to one server, opened when they are needed."""

    def __init__(self, server: RadiusServer, purpose: RadiusPurpose, clock: Clock) -> None:
        self._name = server.address
        self._port = server.port(purpose)
        self.address = server.address if is_address(server.address) else ""
        """IP address in use; empty = the name was not found yet."""
        self._is_named = not self.address
        self._addresses: Sequence[str] = ()
        """Addresses that the name was last found to have."""
        self._look_up_at = 0
        self._lookup: asyncio.Task[None] | None = None
        self._sockets: list[_Socket] = []
        self._is_closed = False
        self._clock = clock
        self._log_limiter = LogLimiter()
        self.replies = 0
        """Valid replies from the address that was in use then, late ones among them."""
        self.secret: Final = server.secret.reveal().encode()
        self.outage: Final = Outage(Event.RADIUS_UNREACHABLE, server=server.address, purpose=purpose.value)

    async def find(self, timeout_s: float) -> str:
        """Return the address to ask at; raises ``_NoAnswerError``."""
        if self._is_named:
            await self._look_up_in_time(timeout_s)
        return self.address

    async def ask(
        self,
        address: str,
        make: Callable[[int], RadiusRequest],
        timeout_s: float,
        tries: int,
        late: Callable[[str], None],
        *,
        is_repeated: bool,
    ) -> tuple[RadiusReply, str]:
        """Ask at an address; return the reply, and where it came from. ``late`` is as in ``_Socket``.

        Where ``is_repeated``, the other addresses of the name are asked behind it, and one that answers is in use
        then, unless the one in use has answered anything meanwhile: the silence of one says nothing of it, for the
        record may be one that is never answered.

        Raises ``_NoAnswerError`` and ``_NoRoomError``.
        """
        replies = self.replies
        others = [each for each in self._addresses if each != address] if is_repeated else []
        for each in (address, *others):
            try:
                reply = await self._socket(each).ask(make, timeout_s, tries, late)
            except _NoAnswerError as error:
                failed = error
                continue
            if each != address and self.replies == replies and each in self._addresses:
                self._move(each)
            return reply, each
        raise failed

    def try_next_address(self) -> None:
        """Ask at the next address of the name, if it has several: none answers at the one in use."""
        if len(self._addresses) > 1:
            self._move(self._addresses[(self._addresses.index(self.address) + 1) % len(self._addresses)])

    def close(self) -> None:
        """Close all sockets; requests that go on to this server are not sent any more."""
        self._is_closed = True
        if self._lookup is not None:
            self._lookup.cancel()
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    def _socket(self, address: str) -> _Socket:
        if self._is_closed:
            raise _NoRoomError("the servers have changed")
        there = [each for each in self._sockets if each.address == address]
        for each in there:
            if each.has_room:
                return each
        if len(there) >= SOCKETS_MAX:
            raise _NoRoomError("too many requests are open")
        try:
            made = _Socket((address, self._port), partial(self._replied, address), self._rejected)
        except OSError as error:
            raise _NoAnswerError(error.strerror or str(error)) from error
        self._sockets.append(made)
        return made

    async def _look_up_in_time(self, timeout_s: float) -> None:
        """Look the name up if it is time; only the first request waits for that. Raises ``_NoAnswerError``."""
        now_ms = self._clock.now().mono
        if self._lookup is None and now_ms >= self._look_up_at and not self._is_closed:
            self._look_up_at = now_ms + NAME_MS
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
        if self.address:
            return
        if self._lookup is not None:
            await asyncio.wait((self._lookup,), timeout=timeout_s)
        if not self.address:
            raise _NoAnswerError(f"{self._name} has no address")

    async def _look_up(self) -> None:
        try:
            addresses = await _NAMES.addresses(self._name)
        except (OSError, UnicodeError) as error:
            self._look_up_at = 0  # the next request tries again; an address that was found before stays
            self._rejected_name(getattr(error, "strerror", "") or str(error))
            return
        finally:
            self._lookup = None
        self._addresses = addresses
        if self.address not in addresses:
            self._move(addresses[0])

    def _move(self, address: str) -> None:
        self.address = address
        sockets, self._sockets = self._sockets, [each for each in self._sockets if each.address == address]
        for each in sockets:
            if each.address != address:
                each.retire()

    def _replied(self, address: str) -> None:
        self.replies += address == self.address

    def _rejected_name(self, why: str) -> None:
        if self._log_limiter.admits(why, self._clock.now().mono):
            _log.warning("radius_name_not_found", server=self._name, why=why)

    def _rejected(self, why: str) -> None:
        if self._log_limiter.admits(why, self._clock.now().mono):
            _log.warning("radius_reply_rejected", server=self._name, why=why)


class _Question(NamedTuple):
    """A request, and the servers that it is put to."""

    settings: RadiusSettings
    choice: ServerChoice
    links: Sequence[_ServerLink]
    make: Callable[[bytes, int], RadiusRequest]
    """Makes the packet with a secret and an identifier."""
    late: Callable[[], None] | None
    """Called for an answer that is no longer waited for."""


class RadiusClient:
    """Asks the servers for one purpose."""

    def __init__(self, clock: Clock, purpose: RadiusPurpose, settings: RadiusSettings | None) -> None:
        """``settings`` None = there are no servers."""
        self._clock = clock
        self._purpose = purpose
        self._settings = settings
        self._links: list[_ServerLink] = []
        self._choice: ServerChoice
        self._trials: set[asyncio.Task[None]] = set()
        """Questions that try a server, while another one has answered them."""
        self._begin(settings)
        self.failed_total = 0
        """Requests that no server has answered, since the start."""

    @property
    def dead(self) -> int:
        """The number of servers that are out of service."""
        return len(self._choice.dead)

    def adjust(self, settings: RadiusSettings | None) -> None:
        """Ask other servers from now on, or in another way; what is open on the old ones gets no answer."""
        if settings != self._settings:
            self.close()
            self._begin(settings)

    def close(self) -> None:
        """Close the sockets."""
        for link in self._links:
            link.outage.over(why=GONE)
            link.close()

    async def ask(
        self,
        code: RadiusCode,
        attributes_at: Callable[[int], Attributes],
        late: Callable[[], None] | None = None,
        *,
        is_doubtful: bool = False,
    ) -> RadiusReply:
        """Return the reply of the first server that answers.

        Args:
            code: the kind of the request.
            attributes_at: makes the attributes of a packet, at that time in milliseconds of UTC.
            late: called where a server answers when it is no longer waited for.
            is_doubtful: perhaps no server ever answers it, as none has before; then silence says nothing of a server.

        Raises:
            RadiusUnreachableError: no server has answered, or none may be asked now.
        """
        settings = self._settings
        if settings is None:
            raise RadiusUnreachableError("no server is configured")
        choice = self._choice
        asked: set[int] = set()
        why = "no server is in service"
        question = _Question(settings, choice, self._links, partial(self._made, settings, code, attributes_at), late)
        has_failed = is_doubtful
        while (chosen := choice.next(asked, self._clock.now().mono, is_doubtful=has_failed)) is not None:
            asked.add(chosen.server)
            try:
                reply = await self._ask_one(question, chosen, is_repeated=is_doubtful, counts=not has_failed)
            except _NoAnswerError as error:
                why = str(error)
                has_failed = True  # perhaps the next server does not answer it either, and is well all the same
            except _NoRoomError as error:
                why = str(error)
            else:
                for each in choice.trials(asked, self._clock.now().mono):
                    self._try(question._replace(late=None), each)
                return reply
        self.failed_total += 1
        raise RadiusUnreachableError(why)

    async def _ask_one(
        self, question: _Question, chosen: ChosenServer, *, is_repeated: bool = False, counts: bool = True
    ) -> RadiusReply:
        """Ask one server, and note whether it answers; its silence says nothing of it unless it ``counts``.

        Raises ``_NoAnswerError`` and ``_NoRoomError``.
        """
        settings, choice, link = question.settings, question.choice, question.links[chosen.server]
        timeout_s = settings.timeout_ms * (min(TRIAL_TIMEOUTS, settings.tries) if chosen.is_trial else 1) / 1_000
        replies, address = link.replies, ""
        try:
            address = await link.find(timeout_s)
            reply, came_from = await link.ask(
                address,
                partial(question.make, link.secret),
                timeout_s,
                1 if chosen.is_trial else settings.tries,
                partial(_came_late, link, choice, chosen, question.late),
                is_repeated=is_repeated,
            )
        except _NoAnswerError as error:
            # It answers others: it delays a reject, or needs longer for this one. Or it is asked elsewhere by now.
            if link.replies > replies or link.address != address:
                choice.put_back(chosen)
                raise
            is_dead = False
            if counts:
                is_dead = choice.failed(chosen, self._clock.now().mono)
            else:
                choice.put_back(chosen)
            if is_dead and choice is self._choice:
                link.outage.found(str(error))
            if is_dead or (chosen.is_trial and not is_repeated):
                link.try_next_address()
            raise
        except BaseException:
            choice.put_back(chosen)
            raise
        if came_from != link.address:
            choice.put_back(chosen)
        elif choice.answered(chosen):
            link.outage.over()
        return reply

    def _try(self, question: _Question, chosen: ChosenServer) -> None:
        """Put a question that was answered to a server that is out of service, and wait for nothing."""

        async def ask() -> None:
            with suppress(_NoAnswerError, _NoRoomError):
                await self._ask_one(question, chosen)

        trial = asyncio.get_running_loop().create_task(ask())
        self._trials.add(trial)
        trial.add_done_callback(self._trials.discard)

    def _made(
        self,
        settings: RadiusSettings,
        code: RadiusCode,
        attributes_at: Callable[[int], Attributes],
        secret: bytes,
        identifier: int,
    ) -> RadiusRequest:
        names: list[tuple[str, str]] = [("NAS-Identifier", settings.nas_identifier)]
        if settings.nas_address:
            kind = "NAS-IPv6-Address" if ":" in settings.nas_address else "NAS-IP-Address"
            names.append((kind, settings.nas_address))
        return RadiusRequest(
            code,
            identifier,
            secret,
            [*attributes_at(self._clock.now().wall), *names],
            secrets.token_bytes(AUTHENTICATOR_BYTES),
            wants_proof=settings.wants_proof,
        )

    def _begin(self, settings: RadiusSettings | None) -> None:
        self._settings = settings
        servers = () if settings is None else settings.servers
        self._links = [_ServerLink(each, self._purpose, self._clock) for each in servers]
        self._choice = ServerChoice(len(servers), settings.rules if settings else DeathRules())


def _came_late(
    link: _ServerLink, choice: ServerChoice, chosen: ChosenServer, late: Callable[[], None] | None, address: str
) -> None:
    """Note a reply to a question that was given up; from another address it says nothing of the one in use."""
    if link.address == address and choice.answered_late(chosen):
        link.outage.over()
    if late is not None:
        late()
