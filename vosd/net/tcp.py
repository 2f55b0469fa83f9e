"""A TCP or TLS listener: the connections that peers open to it, and those that we open from its address.

To the core it is a flow like a UDP socket: complete messages arrive with the peer's address, and a message is sent on
the open connection with that address or on a new one. Unlike UDP, failures are reported. Does not read messages and
does not bind dialogs to connections: RFC 3261 section 18 identifies a connection by its addresses.
"""

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections import OrderedDict
from collections.abc import Collection, Coroutine, Iterable
from functools import partial
from itertools import chain
from typing import Any, Final

from vosd.base.host import bracketed, plain_host
from vosd.net.aliases import alias_in
from vosd.net.connection import LAST_RECEIVED, UNREAD_BYTES_MAX, Connection, Framer, PeerEnd
from vosd.net.entrance import GIVEN_UP_S, Core, Entrance, may_be_given_up
from vosd.net.far_ends import FarEnds
from vosd.net.shield import ShieldAnswer
from vosd.net.slots import ConnectionOrigin, ConnectionSlots
from vosd.net.sockets import Marker, bound, unbound
from vosd.net.stream_pings import StreamPings
from vosd.net.stream_turns import StreamTurns
from vosd.net.tls import TlsContexts, bears, has_expired, is_of, names_in
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter, PlaceLimiter
from vosd.sip.drops import Drop
from vosd.sip.headers.via import branch_of, sender_of
from vosd.sip.settings import Limits
from vosd.sip.wire.classify import MessageKind, Rank, classify, is_awaited, own_tag, top_via
from vosd.sip.wire.outgoing import OF_RESPONSES
from vosd.sip.wire.stream import StreamFramer
from vosd.sip.wire.uri import DEFAULT_PORTS

CONNECT_S: Final = 5.0
"""Longest time for opening a connection, without TLS."""
HANDSHAKE_S: Final = 5.0
"""Longest time of a TLS handshake."""
WITH_HANDSHAKE: Final = 1.5
"""Connection and handshake together may take so many times as long as the core allows for a connection: a vendor that
accepts connections and then stays mute has failed before its ``response_timeout`` is over.
"""
ACCEPTED_AT_ONCE: Final = 64
"""Connections accepted in one turn of the event loop."""
BACKLOG: Final = 1_024
LOST_MAX: Final = 4_096
"""Places to which we had opened connections that are over; the one that was lost first is forgotten first."""
RECEIVE_BYTES: Final = 128 * 1024
"""Receive buffer of each connection that a peer opens, and over TLS of those to gateways; the kernel doubles it for its
own needs, and fills it while the connection is held. Without it one may have ``net.ipv4.tcp_rmem``, megabytes, of the
memory for all TCP of the machine.
"""
UNKNOWN_BYTES: Final = 8 * 1024
"""Receive buffer over TLS of an unknown source, or of a place that no gateway has: few changes of keys are read in a
turn (``tls_bytes``).
"""
PAUSE_S: Final = 0.5
"""Pause of accepting when the kernel has no file descriptors or memory left."""
DEAD_PEER_MS: Final = 15_000
"""A connection whose peer acknowledges nothing for so long is broken (TCP_USER_TIMEOUT)."""
PROBE_AFTER_S: Final = 120
"""Idle time before TCP keep-alive probes, so that a dead connection is not kept for calls."""


class UnsentMessages:
    """Messages that wait for a connection that is being opened.

    Their bytes are counted as they come: a peer that closes its connections may leave ten thousand responses at once.
    """

    __slots__ = ("messages", "size")

    def __init__(self, first: bytes) -> None:
        self.messages = [first]
        self.size = len(first)
        """Bytes of all of them."""

    def add(self, data: bytes) -> None:
        """Let a further message wait."""
        self.messages.append(data)
        self.size += len(data)

    def keep(self, messages: Iterable[bytes]) -> None:
        """Let only these messages wait."""
        self.messages = [*messages]
        self.size = sum(map(len, self.messages))


class StreamFlow:
    """One listening socket and all connections with its local address."""

    def __init__(
        self,
        flow: int,
        local: PeerEnd,
        core: Core,
        entrance: Entrance,
        limits: Limits,
        slots: ConnectionSlots,
        far_ends: FarEnds,
        pings: StreamPings,
        turns: StreamTurns,
        marker: Marker,
        tls: TlsContexts | None,
        handed: socket.socket | None = None,
    ) -> None:
        """Listen, or go on with the socket of an earlier process, ``handed`` over with who waits to be accepted.

        Raises:
            ListenerUnusableError: the address is not local, already in use, or not permitted.
        """
        self.tls = tls
        """TLS contexts for new connections; None = plain TCP."""
        self.marker = marker
        self._flow = flow
        self._local = local
        self._core = core
        self._entrance = entrance
        self.serve = entrance.serve
        self._limits = limits
        self._slots = slots
        self._far_ends = far_ends
        self._keep_alives = pings
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._listening = bound(socket.SOCK_STREAM, *local, marker) if handed is None else handed
        self._goes_on_since = None if handed is None else self._loop.time()
        marker.mark(self._listening)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._open: dict[PeerEnd, Connection] = {}
        self._beside: dict[PeerEnd, list[Connection]] = {}
        """Further ones of ours beside an open one, for other vendors whose names lead to its place."""
        self._unsent: dict[tuple[PeerEnd, str], UnsentMessages] = {}
        """Messages waiting for a connection that is being opened, by its place and by its name if it is a further one.
        """
        self._aliases: dict[PeerEnd, Connection] = {}
        """Connections that gateways have opened, by the addresses for which they may be used (RFC 5923)."""
        self._lost: OrderedDict[PeerEnd, str] = OrderedDict()
        """Places to which we had opened connections that are over, the latest last, and the names of these."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._log_limiter = LogLimiter()
        self._places_logged = PlaceLimiter()
        self._listening.listen(BACKLOG)
        self._loop.add_reader(self._listening, self._accept)

    @property
    def listening(self) -> socket.socket:
        """The listening socket, which a service manager may keep."""
        return self._listening

    def pause(self) -> None:
        """Accept nothing more."""
        self._loop.remove_reader(self._listening)

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of the listening socket."""
        host, port, *_ = self._listening.getsockname()
        return host, port

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one message on the connection with that peer, or on a new one.

        A response whose connection is lost goes to the port of the first Via (RFC 3261 section 18.2.2): the one that
        its peer has connected from takes no connection. The core sends the final response to an INVITE there itself.
        Where we had opened the lost one, it is opened again. An unknown source without a call has no connection opened
        to it: it could name every port of an address that it shares with others.
        """
        peer = PeerEnd(*to)
        connection = self._connection_of(data, peer) or self._connection_with(peer)
        if connection is not None:
            self._send_on(connection, peer, data)
            return
        if data.startswith(_RESPONSE):
            place = self._listening_at(data, peer)
            if not self._may_connect_for(data, peer) or (place != peer and is_awaited(data)):
                self._loop.call_soon(self._core.failed, self._flow, *peer, None)
                return
            if place != peer:
                self.send(data, place)
                return
        name = "" if self.tls is None else self._core.server_name_of(data)  # also for a response
        self._send_when_open(data, peer, name or self._lost.get(peer, ""))

    def hang_up(self, on: tuple[str, int], why: str) -> None:
        """Close the connections with a peer, if there are any."""
        peer = PeerEnd(*on)
        if peer in self._open:
            for connection in (self._open[peer], *self._beside.get(peer, ())):
                connection.close(why)

    def has_connection(self, on: tuple[str, int]) -> bool:
        """Return whether there is a connection with a peer whose end was not reported yet."""
        return PeerEnd(*on) in self._open

    def has_accepted(self, on: tuple[str, int]) -> bool:
        """Return whether there is such a connection which the peer has opened."""
        connection = self._open.get(PeerEnd(*on))
        return connection is not None and not connection.origin.is_ours

    def remark(self, marker: Marker) -> None:
        """Mark new connections with another class; open connections keep theirs."""
        self.marker = marker
        marker.mark(self._listening)

    async def close(self) -> None:
        """Stop accepting, and close every connection after its last bytes are written."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in [*self._open.values(), *chain(*self._beside.values())]:
            connection.close()
        if self._open:
            self._emptied.clear()
            await self._emptied.wait()

    # -- the peers' connections ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Accept waiting connections, one batch at a time."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:  # closed by the peer before it was accepted
                continue
            except OSError as error:
                self._pause(error)
                return
            self._admit(sock, PeerEnd(address[0], address[1]))

    def _admit(self, sock: socket.socket, peer: PeerEnd) -> None:
        is_known = self._core.is_known_source(peer.host)
        # A known source may have calls, for which a denied one must be able to connect again.
        if not is_known and self._core.is_denied(peer.host):
            self._core.dropped[Drop.DENIED] += 1
            sock.close()
            return
        if is_known:
            self._entrance.recognise(peer.host)
        origin = ConnectionOrigin.GATEWAY if is_known else ConnectionOrigin.UNKNOWN
        is_tls = self.tls is not None
        is_trunk = is_tls and self._core.is_gateway(peer.host)
        full = self._slots.take(origin, peer.host, self._loop.time(), is_tls=is_tls, is_trunk=is_trunk)
        if full is not None:
            sock.close()
            self._warn(peer, f"the limit {full} of sip.connections is reached")
            return
        self._run(self._start(sock, peer, origin))

    async def _start(self, sock: socket.socket, peer: PeerEnd, origin: ConnectionOrigin) -> None:
        """Set up an accepted connection; release its slot if that fails."""
        connection = self._connection(peer, origin)
        self._note_wait(connection, sock)
        context = self._server_context()
        task = asyncio.current_task()
        if origin is ConnectionOrigin.UNKNOWN and task is not None:
            self._slots.offer(connection, peer.host, partial(self._make_room, connection, task))
        try:
            self._tune(sock)
            if origin is ConnectionOrigin.UNKNOWN and context is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNKNOWN_BYTES)
            patience_s = None if context is None else HANDSHAKE_S
            await connection.set_up(
                self._loop.connect_accepted_socket(
                    lambda: connection, sock, ssl=context, ssl_handshake_timeout=patience_s
                )
            )
        except OSError as error:  # ssl.SSLError and time-outs are such
            self._warn(peer, f"no connection: {_reason(error)}")
        finally:
            if not connection.was_made:
                sock.close()
                self._slots.keep(connection, peer.host)
                self._slots.give_back(connection.origin, peer.host)

    def _pause(self, error: OSError) -> None:
        """Pause accepting when no more files can be opened, instead of retrying in a busy loop."""
        self._loop.remove_reader(self._listening)
        self._loop.call_later(PAUSE_S, self._resume)
        if self._log_limiter.admits("", round(self._loop.time() * 1000)):
            _log.error(
                "accept_failed",
                flow=self._flow,
                error=str(error),
                do="let the service open more files (LimitNOFILE), or lower sip.connections.max",
            )

    def _resume(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._accept)

    # -- our own ------------------------------------------------------------------------------------------------

    def _send_when_open(self, data: bytes, peer: PeerEnd, name: str, *, is_further: bool = False) -> None:
        """Send a message on a new connection, beside the open one if it is a further one."""
        way = (peer, name if is_further else "")
        waiting = self._unsent.get(way)
        if waiting is None:
            self._unsent[way] = UnsentMessages(data)
            self._run(self._connect(peer, name, is_further=is_further))
        elif waiting.size + len(data) <= UNREAD_BYTES_MAX:
            waiting.add(data)
        else:  # of a response the core knows nothing any more
            self._core.dropped[Drop.WAITED_FOR_CONNECTION] += 1
            self._warn(peer, f"more than {UNREAD_BYTES_MAX // 1024} kB wait until it is open", f"{peer.port} {name}")
            self._loop.call_soon(self._core.unsent, data)

    async def _connect(self, peer: PeerEnd, name: str, *, is_further: bool) -> None:
        """Open a connection for the waiting messages; report a failure to the core.

        ``name`` is that of the vendor for whose message it is opened; empty = not known.
        """
        give_up = self._give_up_further if is_further else self._give_up
        if (":" in peer.host) is not (":" in self._local.host):
            family = "IPv6" if ":" in peer.host else "IPv4"
            transport = "tcp" if self.tls is None else "tls"
            give_up(peer, name, f"sip.listen has no {transport} socket with an {family} address")
            return
        origin = ConnectionOrigin.SWITCH if self._core.is_vendor_at(*peer) else ConnectionOrigin.ELSEWHERE
        try:
            full = self._slots.take(origin, peer.host, self._loop.time())
        except ValueError as error:  # a host that is no address
            give_up(peer, name, _reason(error))
            return
        if full is not None:
            give_up(peer, name, f"the limit {full} of sip.connections is reached")
            return
        connection = self._connection(peer, origin)
        connection.use.name, connection.use.is_further = name, is_further
        why = None
        try:
            async with asyncio.timeout(None) as patience:
                if origin is ConnectionOrigin.ELSEWHERE:
                    self._slots.opening(connection, peer.host, partial(patience.reschedule, self._loop.time()))
                await self._dial(peer, connection)
        except (OSError, ValueError) as error:  # or a name that no certificate has
            why = "the slot was needed for another place" if patience.expired() else _reason(error)
        finally:
            if not connection.was_made:
                self._slots.closed(connection, peer.host)
                self._slots.give_back(origin, peer.host)
        if why is not None:
            give_up(peer, name, why)

    async def _dial(self, peer: PeerEnd, connection: Connection) -> None:
        """Connect to a peer, whose certificate must bear the name.

        That of a customer, which it has proven as a client, may be its address instead (RFC 3261 section 26.3.1): it
        may accept connections with another certificate than it opens them with.
        """
        context, name = self._client_context(peer, connection.use.name)
        try:
            await self._dial_as(name, peer, connection, context)
        except ssl.SSLCertVerificationError:
            if name != connection.use.name or connection.origin is not ConnectionOrigin.ELSEWHERE:
                raise
            await self._dial_as(peer.host, peer, connection, context)

    async def _dial_as(
        self, name: str | None, peer: PeerEnd, connection: Connection, context: ssl.SSLContext | None
    ) -> None:
        sock = unbound(socket.SOCK_STREAM, self._local.host, self.marker)
        within_s, began = self._core.connects_within(peer.host), self._loop.time()
        try:
            self._tune(sock)
            # Bound to the listener's address, so that the vendor sees the address it was configured with.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self._local.host, 0))
            if context is not None:
                is_elsewhere = connection.origin is ConnectionOrigin.ELSEWHERE
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNKNOWN_BYTES if is_elsewhere else RECEIVE_BYTES)
            async with asyncio.timeout(min(CONNECT_S, within_s)):
                await self._loop.sock_connect(sock, peer)
            left_s = max(within_s / 2, WITH_HANDSHAKE * within_s - (self._loop.time() - began))
            patience_s = None if context is None else min(HANDSHAKE_S, left_s)
            await connection.set_up(
                self._loop.create_connection(
                    lambda: connection, sock=sock, ssl=context, server_hostname=name, ssl_handshake_timeout=patience_s
                )
            )
        finally:
            if not connection.was_made:
                sock.close()

    def _server_context(self) -> ssl.SSLContext | None:
        """Return what callers are accepted with; None = plain TCP."""
        return None if self.tls is None else self.tls.server

    def _client_context(self, peer: PeerEnd, name: str) -> tuple[ssl.SSLContext | None, str | None]:
        """Return what a peer is connected with over TLS, and the name that its certificate must bear.

        ``name`` is that of the vendor; empty = not known.

        Raises:
            OSError: its identity is not configured any more.
        """
        if self.tls is None:
            return None, None
        name = self._name_at(*peer, name)
        identity = self._core.identity_at(name or peer.host, peer.port)
        client = self.tls.towards(identity)
        if client is None:
            raise OSError(f"sip.tls.identities has no {identity!r}")
        return client.context, client.server_name or name or self._core.name_of(*peer) or peer.host

    def _name_at(self, host: str, port: int, name: str) -> str:
        """Return the name that counts at a place; empty = that of the place.

        A customer may be a vendor, too: where it is connected to as such, its certificate is the one of the vendor.
        """
        core = self._core
        is_customers = name and core.is_vendor_at(host, port) and not core.is_vendor_at(name, port)
        return "" if is_customers else name

    def _name_for(self, data: bytes) -> str:
        """Return the name of the vendor that a message is for; empty = not known."""
        return "" if self.tls is None or data.startswith(_RESPONSE) else self._core.server_name_of(data)

    def _send_on(self, connection: Connection, peer: PeerEnd, data: bytes) -> None:
        """Send a message, on another connection if this one is of another vendor whose name leads to the same place."""
        name = self._name_for(data)
        if not self._is_connection_of(connection, name, peer.port):
            other = self._connection_for(name, peer)
            if other is None:
                self._send_when_open(data, peer, name, is_further=True)
                return
            connection = other
        connection.use.names.add(OF_RESPONSES if data.startswith(_RESPONSE) else name)
        self._note(connection, data)
        connection.send(data)
        self._slots.carried(connection)

    def _connection_for(self, name: str, peer: PeerEnd) -> Connection | None:
        """Return an open connection with an address on which messages for a name may be sent."""
        first = (self._open.get(peer), self._alias_of(peer))
        for each in chain(first, self._beside.get(peer, ())):
            if each is not None and each.is_open and self._is_connection_of(each, name, peer.port):
                return each
        return None

    def _note(self, connection: Connection, data: bytes) -> None:
        """Note a request on a connection that is, or may come to be, beside another one with its place."""
        is_beside = connection.has_alias or (self._beside and connection in self._beside.get(connection.peer, ()))
        if is_beside and not data.startswith(_RESPONSE):
            connection.use.note(branch_of(top_via(data)))

    def _connection_of(self, data: bytes, peer: PeerEnd) -> Connection | None:
        """Return the further connection that the request of a response, a CANCEL or an ACK has taken, if it is open."""
        alias, further = self._alias_of(peer), self._beside.get(peer, ())
        if alias is None and not further:
            return None
        branch = branch_of(top_via(data))
        ways = further if alias is None else (alias, *further)
        return next((each for each in ways if branch in each.use.branches and each.is_open), None)

    def _is_connection_of(self, connection: Connection, name: str, port: int) -> bool:
        """Return whether messages for a name may be sent on a connection: it was verified for that name, too."""
        if self.tls is None or name in {"", connection.use.name} or not self._name_at(connection.peer.host, port, name):
            return True
        identity = self._core.identity_at(name, port)
        client = self.tls.towards(identity)
        is_shared = identity == self._core.identity_at(connection.use.name or connection.peer.host, port)
        if client is None or (connection.origin.is_ours and not is_shared):
            return False
        return client.context.verify_mode is ssl.CERT_NONE or bears(connection.certificate, client.server_name or name)

    def _give_up(self, peer: PeerEnd, name: str, why: str) -> None:
        waiting = self._taken_unsent((peer, ""))
        if self._connection_with(peer) is not None:  # the peer has connected meanwhile, and calls may run over that
            for data in waiting:
                self.send(data, peer)
            return
        self._warn(peer, f"no connection: {why}", f"{peer.port} {name}")
        named = [(self._name_for(data), data) for data in waiting]
        if all(each in {"", name} for each, _ in named):
            self._core.failed(self._flow, *peer, {"", name, OF_RESPONSES} if self._opens_further(peer) else None)
            return
        for each, data in sorted(named, key=lambda pair: pair[0] == ""):  # the other vendor's first: it is connected to
            if each != name or data.startswith(_RESPONSE):
                self.send(data, peer)
        self._core.failed(self._flow, *peer, {name})

    def _give_up_further(self, peer: PeerEnd, name: str, why: str) -> None:
        """Report the failure to open a further connection for a vendor: those of others with its place go on."""
        waiting = self._taken_unsent((peer, name))
        other = self._connection_for(name, peer)
        if other is not None:
            for data in waiting:
                self._send_on(other, peer, data)
            return
        self._warn(peer, f"no connection: {why}", f"{peer.port} {name}")
        self._core.failed(self._flow, *peer, {name})

    # -- connection.Owner ---------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Register a connection, and send the waiting messages."""
        first = self._open.get(connection.peer)
        if first is None or not self._is_beside(connection, first):
            self._open[connection.peer] = connection
        else:
            self._beside.setdefault(connection.peer, []).append(connection)
        self._lost.pop(connection.peer, None)
        if self.tls is not None and self._open[connection.peer] is connection:
            certificate = None if connection.origin.is_ours else connection.certificate
            self._core.certified(self._flow, *connection.peer, names_in(certificate))
            if has_expired(certificate, time.time()):  # noqa: TID251 - compared with the date of a certificate
                connection.close("its certificate has expired")
        self._keep_alives.watch(connection)
        if connection.origin is ConnectionOrigin.ELSEWHERE:
            self._slots.opened(connection, connection.peer.host)
        for data in self._taken_unsent((connection.peer, connection.use.name if connection.use.is_further else "")):
            self._send_on(connection, connection.peer, data)

    def message_came(self, connection: Connection, data: bytes) -> bool:
        """Pass a message to the entrance; return whether it is served."""
        if self._slots.limits.alias and not connection.has_alias and connection.origin is ConnectionOrigin.GATEWAY:
            self._take_alias(connection, data)
        self._slots.carried(connection)
        if self._beside:
            self._note(connection, data)
        is_left = connection.was_left and classify(data) is MessageKind.CALL
        came = connection.came_at or None
        waited_s = 0.0 if came is None else self._loop.time() - came
        # Nothing is repeated on a connection: the caller of an INVITE waits for as long as it takes to give up.
        if is_left or (waited_s > GIVEN_UP_S and may_be_given_up(data, waited_s)):
            self._core.dropped[Drop.WAITED_FOR_START] += 1
            return False
        verdict = self._entrance.receive(self._flow, data, *connection.peer, came)
        if connection.origin is ConnectionOrigin.UNKNOWN:
            self._judge_unknown(connection, data, verdict)
        return verdict is not None and verdict is not ShieldAnswer.REFUSE

    def knows(self, connection: Connection) -> bool:
        """Return whether the peer is a known source; if it has become one, count its connection as such."""
        if connection.origin is not ConnectionOrigin.UNKNOWN:
            return True
        if not self._core.is_known_source(connection.peer.host):
            return False
        connection.origin = ConnectionOrigin.GATEWAY
        connection.hold_up_to(RECEIVE_BYTES)
        self._far_ends.forget(connection)
        self._slots.keep(connection, connection.peer.host)
        self._slots.recognise(connection.peer.host)
        self._entrance.recognise(connection.peer.host)
        return True

    def is_known(self, connection: Connection) -> bool:
        """Return whether the peer is a known source now."""
        return self._core.is_known_source(connection.peer.host)

    def has_call(self, connection: Connection) -> bool:
        """Return whether the connection has brought one of the last messages of a call that has not ended."""
        return self._far_ends.has_call(connection, self._core.has_dialog)

    def closed(self, connection: Connection, why: str | None, *, in_doubt: bool) -> None:
        """Forget a connection and report it to the core."""
        peer = connection.peer
        if connection.origin is ConnectionOrigin.UNKNOWN:
            self._slots.keep(connection, peer.host)
            self._far_ends.forget(connection)
        elif connection.origin is ConnectionOrigin.ELSEWHERE:
            self._slots.closed(connection, peer.host)
        self._slots.give_back(connection.origin, peer.host)
        self._keep_alives.forget(connection)
        has_other = self._forget(connection)
        if not self._open:
            self._emptied.set()
        is_refused = in_doubt and self.tls is not None and connection.is_fresh_without_word
        why = why or (_WITHOUT_WORD if is_refused else None)
        if why is not None:
            self._warn(peer, why)
        places = [peer]
        if connection.has_alias:
            places += [alias for alias, other in self._aliases.items() if other is connection]
            for alias in places[1:]:
                del self._aliases[alias]
        for place in places:
            is_beside = has_other and place == peer
            # Else the peer has connected again, from the same port, or one of ours is beside another one of ours.
            if place not in self._open or (is_beside and not connection.origin.is_ours):
                self._core.closed(self._flow, *place)
            if in_doubt:
                names = connection.use.names if self._has_another_way(place) else None
                self._drop_requests(place, names)
                self._core.failed(self._flow, *place, names)

    def _drop_requests(self, place: PeerEnd, names: Collection[str] | None) -> None:
        """Send no request later, on a connection that is being opened, that is reported as failed now.

        It came while the connection with its place was closing. ``names``: those for these names alone; None = all.
        """
        for (peer, _), waiting in self._unsent.items():
            if peer == place:
                waiting.keep(
                    data
                    for data in waiting.messages
                    if data.startswith(_UNREPORTED) or (names is not None and self._name_for(data) not in names)
                )

    def _taken_unsent(self, way: tuple[PeerEnd, str]) -> list[bytes]:
        """Return the messages that wait for a connection, which wait for it no more."""
        waiting = self._unsent.pop(way, None)
        return [] if waiting is None else waiting.messages

    def _is_beside(self, connection: Connection, first: Connection) -> bool:
        """Return whether a new connection is kept beside the first one with its place, and does not take its place."""
        return first.is_open and connection.origin.is_ours and (connection.use.is_further or first.origin.is_ours)

    def _has_another_way(self, place: PeerEnd) -> bool:
        """Return whether requests for another name may go on to a place when one of its connections has ended."""
        if self.tls is None:  # one connection carries all names
            return False
        return place in self._open or place in self._aliases or self._opens_further(place)

    def _opens_further(self, place: PeerEnd) -> bool:
        return any(peer == place and name for peer, name in self._unsent)

    def _forget(self, connection: Connection) -> bool:
        """Forget a closed connection; return whether another one was kept beside it."""
        peer = connection.peer
        beside = self._beside.get(peer, [])
        if self._open.get(peer) is connection:
            if beside:
                self._open[peer] = beside.pop(0)
            else:
                del self._open[peer]
                if connection.origin.is_ours:
                    self._lost[peer] = connection.use.name
                    if len(self._lost) > LOST_MAX:
                        self._lost.popitem(last=False)
        elif connection in beside:
            beside.remove(connection)
        else:
            return False
        if not beside:
            self._beside.pop(peer, None)
        return peer in self._open

    # -- inside -------------------------------------------------------------------------------------------------

    def _judge_unknown(self, connection: Connection, data: bytes, verdict: Rank | ShieldAnswer | None) -> None:
        """Keep, or close, the connection of an unknown source for its message.

        Only a dialog is a call: any host can send the ACK of a refusal.
        """
        if verdict is None:
            connection.close("too many messages of an unknown source")
            return
        self._slots.used(connection, connection.peer.host)
        if verdict is Rank.RUNNING:
            tag = self._core.dialog_of(data)
            if tag:
                self._far_ends.note(connection, tag)

    def _note_wait(self, connection: Connection, sock: socket.socket) -> None:
        """Note how long the bytes of a connection have waited for a start, and whether its peer had closed it.

        That peer's caller is gone. The state, the number of bytes and the age of the last ones are the kernel's.
        """
        if self._goes_on_since is None:
            return
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_RECEIVED.size)
        state, received_ms_ago = LAST_RECEIVED.unpack(info)
        waited_s = received_ms_ago / 1_000
        now = self._loop.time()
        if waited_s <= now - self._goes_on_since:
            return
        connection.was_left = state in _CLOSED_BY_PEER
        if self.tls is None and waited_s > GIVEN_UP_S:  # what waits of TLS is no message
            connection.came_at = now - waited_s
            [connection.waiting_bytes] = _UNREAD.unpack(fcntl.ioctl(sock, termios.FIONREAD, bytes(_UNREAD.size)))

    def _make_room(self, connection: Connection, task: asyncio.Task[None]) -> bool:
        """End a connection of an unknown source, or its set-up by ``task``, for another one; return whether it ends.

        It does not where its peer is known by now or has a call.
        """
        if self.knows(connection) or self.has_call(connection):
            return False
        if connection.was_made:
            connection.cut("the slot was needed for another unknown source")
        else:
            task.cancel()
        return True

    def _take_alias(self, connection: Connection, data: bytes) -> None:
        """Use a connection for requests to its peer, where it asks for that and may (RFC 5923 sections 8 and 9).

        Otherwise a host could draw to itself the calls to another one. So the peer must be a gateway, and ask for its
        own address; where we would demand a certificate of it, it must have shown one with the same name. A connection
        that we have opened to that address, and an earlier alias, win.
        """
        wish = alias_in(data)
        host, port = connection.peer.host, 0 if wish is None else wish.port
        if wish is None or not self._core.is_gateway(host):
            return
        wanted = ""
        if self.tls is not None:
            client = self.tls.towards(self._core.identity_at(host, port))
            wanted = "" if client is None else client.server_name or self._core.name_of(host, port) or host
            if not wanted or not is_of(connection.certificate, wanted):
                return
        if plain_host(wish.host) not in {plain_host(host), wanted}:
            return
        place = PeerEnd(host, port)
        if place not in self._open and place not in self._aliases:
            self._aliases[place] = connection
            connection.has_alias = True

    def _listening_at(self, response: bytes, peer: PeerEnd) -> PeerEnd:
        """Return where the sender of a request accepts connections: where we had opened one, or as the first Via says.

        After a restart it is not known who had opened it: then it is the one of both that a vendor is configured at.
        """
        sender = sender_of(top_via(response))
        if sender is None or peer in self._lost:
            return peer
        place = PeerEnd(peer.host, sender[1] or DEFAULT_PORTS["tcp" if self.tls is None else "tls"])
        return peer if self._core.is_vendor_at(*peer) and not self._core.is_vendor_at(*place) else place

    def _may_connect_for(self, response: bytes, peer: PeerEnd) -> bool:
        """Return whether a response is worth a new connection: its peer is a known source, or has a call.

        That call may have ended by the response.
        """
        if self._core.is_known_source(peer.host) or self._core.has_dialog(own_tag(MessageKind.WITHIN, response)):
            return True
        return self._core.ends_call(response)

    def _connection_with(self, peer: PeerEnd) -> Connection | None:
        """Return the open connection that is used for an address."""
        connection = self._open.get(peer) or self._alias_of(peer)
        if connection is not None and connection.is_open:
            return connection
        return next((each for each in self._beside.get(peer, ()) if each.is_open), None)

    def _alias_of(self, peer: PeerEnd) -> Connection | None:
        """Return the connection that is used for an address, while a reload has not ended that."""
        connection = self._aliases.get(peer)
        if connection is None or not (self._slots.limits.alias and self._core.is_gateway(peer.host)):
            return None
        return connection

    def _connection(self, peer: PeerEnd, origin: ConnectionOrigin) -> Connection:
        return Connection(peer, origin, self, self._framer(), self._slots.limits, self._turns)

    def _framer(self) -> Framer:
        """Return what cuts the bytes of a new connection into messages."""
        return StreamFramer(self._limits)

    def _tune(self, sock: socket.socket) -> None:
        """Set the socket options of every connection."""
        sock.setblocking(False)
        self.marker.mark(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _warn(self, peer: PeerEnd, why: str, way: str = "") -> None:
        """Log why there is no connection, at most once a minute for each place of a few that are connected to."""
        count = self._places_logged.count(peer.host, way, round(self._loop.time() * 1000))
        if count:
            place = f"{bracketed(peer.host)}:{peer.port}"
            _log.warning("connection", peer=place, flow=self._flow, why=why, count=count)


_RESPONSE: Final = b"SIP/2.0 "
_UNREPORTED: Final = (_RESPONSE, b"ACK ")
"""Beginnings of messages whose failure nothing waits for."""
_WITHOUT_WORD: Final = "the peer has closed before it sent anything: it may not accept our certificate"
"""By TLS 1.3 a client's handshake is complete before the server has seen its certificate (RFC 8446 section 2)."""
_UNREAD: Final = struct.Struct("@i")
_CLOSED_BY_PEER: Final = (7, 8)
"""Linux: CLOSE, that of an accepted connection which was reset, and CLOSE_WAIT."""
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: the port is chosen at connect, so it must be unused for that peer only."""


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error) or type(error).__name__
