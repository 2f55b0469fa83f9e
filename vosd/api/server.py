"""HTTP server of the API: uvicorn over h11, with limits of time, size and number."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from ipaddress import ip_network
from itertools import count
from typing import Any, Final, cast

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from vosd.api.access_log import AccessLog
from vosd.api.address_gate import Served
from vosd.api.handshakes import TlsAcceptor
from vosd.api.http import CutOffError, Receive, Scope, Send, send_answer
from vosd.api.problems import problem
from vosd.api.request_rates import network_of
from vosd.base.host import is_valid_address, owner_network_of
from vosd.base.networks import NetworkTable
from vosd.engine.settings import ApiSettings
from vosd.net.tls import EPHEMERAL_SUITES, keep_handshakes_short

CONNECTIONS_MAX: Final = 1_000
"""A further one ends an idle one; where all are in use, requests on as many more get 503, those beyond are cut."""
PER_SOURCE_MAX: Final = 300
"""Connections of one address; requests on as many more get 429, those beyond are cut. Trusted proxies have no bound."""
HEAD_BYTES_MAX: Final = 32_768
HEAD_S: Final = 10
"""Time for a client to send the head of its first request; also the time that a connection may be idle."""
SLOW_S: Final = 30
"""Time for a client to read the 64 KiB of an answer that wait for it; one that does not is disconnected."""
GRACE_S: Final = 2
"""Time for requests that are under way when the process is to end."""
_LOOK_S: Final = 0.1
"""Interval at which a second signal is looked for behind that."""
_MOMENTS: Final = count()
"""The order in which connections have become idle: many do within one tick of the loop's clock."""
_RESET: Final = struct.pack("ii", 1, 0)
"""Value of ``SO_LINGER`` by which a connection that is closed is reset."""
_PEER: Final = "vosd.peer"
"""Key of a scope: host and port at the other end of the connection, which may be a proxy's."""


class ApiServer(Server):
    """Serves one application on a socket that listens already."""

    def __init__(
        self,
        application: Any,
        settings: ApiSettings,
        end_streams: Callable[[], None],
        access_log: AccessLog,
        *,
        takes_signals: bool,
    ) -> None:
        """``end_streams`` ends answers that have no end by themselves."""
        proxies = NetworkTable((each, None) for each in map(ip_network, settings.trusted_proxies))
        super().__init__(
            Config(
                _with_addresses(access_log.around(application)),
                http=partial(_Connection, proxies, access_log),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                loop="none",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                timeout_keep_alive=HEAD_S,
                timeout_graceful_shutdown=GRACE_S,
                h11_max_incomplete_event_size=HEAD_BYTES_MAX,
                ssl_certfile=settings.certificate,
                ssl_keyfile=settings.key,
                ssl_ciphers=EPHEMERAL_SUITES,
            )
        )
        self._takes_signals = takes_signals
        self._end_streams = end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections; those over TLS are accepted here, because uvicorn does not bound handshakes."""
        context = self.config.ssl
        if context is None or sockets is None:
            await super().startup(sockets)
            return
        keep_handshakes_short(context, until_end=True)
        await super().startup([])
        make = partial(self.config.http_protocol_class, self.config, self.server_state, self.lifespan.state)  # type: ignore[call-arg]
        acceptors = [TlsAcceptor(each, context, make, self.config.backlog) for each in sockets]
        self.servers = cast("list[asyncio.base_events.Server]", acceptors)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections, those with a stream without end too, and wait until all requests have ended."""
        self._end_streams()
        await super().shutdown(sockets)
        # cancelled, but some end what they have begun: an audit line, a mail and its note
        while self.server_state.tasks and not self.force_exit:
            await asyncio.wait(self.server_state.tasks, timeout=_LOOK_S)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the switch where this process is one of its own."""
        if not self._takes_signals:
            yield
            return
        with super().capture_signals():
            yield

    async def run(self, listener: socket.socket, until: Awaitable[object] | None) -> None:  # type: ignore[override]
        """Serve until ``until`` returns, or until a signal."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        if until is None:
            await serving
            return
        ending = asyncio.ensure_future(until)
        await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
        self.should_exit = True
        await serving


class _Connection(H11Protocol):
    """A connection that must send the head of each request in time, and read its answer.

    uvicorn bounds the time between requests alone.
    """

    def __init__(self, proxies: NetworkTable[None], access_log: AccessLog, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._proxies = proxies
        self._access_log = access_log
        self._network = ""
        self._owner = ""
        """The network of the client that may have one owner; empty = the client is a trusted proxy, or not known."""
        self._is_refused = False
        self._idle_since = next(_MOMENTS)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app = partial(self._served, self.app)
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)
        self._idle_since = next(_MOMENTS)
        if self.client is not None:
            self._network = network_of(self.client[0])
            self._owner = "" if self._proxies.longest(self.client[0]) else owner_network_of(self.client[0])
        if len(self.connections) <= PER_SOURCE_MAX:
            return
        connections = [each for each in self.connections if isinstance(each, _Connection)]
        of_source = sum(each._network == self._network for each in connections) if self._owner else 0
        # Those that are refused take no places of others, however long they stay silent.
        if of_source > 2 * PER_SOURCE_MAX or len(connections) > 2 * CONNECTIONS_MAX:
            self._give_up()
        elif of_source > PER_SOURCE_MAX:
            said = f"more than {PER_SOURCE_MAX} connections of this address are open"
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", said)
        elif sum(not each._is_refused for each in connections) > CONNECTIONS_MAX and not self._end_idle(connections):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many connections are open")

    def _end_idle(self, connections: Sequence["_Connection"]) -> bool:
        """End the longest idle connection of the networks that have most idle ones; return False where none is idle.

        A client that only holds connections does not keep out one that asks, whatever addresses of its network it uses.
        """
        others = (each for each in connections if each is not self and each._owner and not each._is_refused)
        idle = [each for each in others if each._is_idle]
        if not idle:
            return False
        counts = Counter(each._owner for each in idle)
        most = max(counts.values())
        # Of several such networks as well: one that has only come now has not had the time to ask.
        min((each for each in idle if counts[each._owner] == most), key=lambda each: each._idle_since)._give_up()
        return True

    @property
    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever its type says
        return cycle is None or cycle.response_complete

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_idle:
            self._waiting.cancel()

    def on_response_complete(self) -> None:
        self._waiting.cancel()
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)
        self._idle_since = next(_MOMENTS)
        super().on_response_complete()
        if not self._is_idle:  # the next request had come before
            self._waiting.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(SLOW_S, self._give_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        if self.flow.write_paused:
            self._unread.cancel()
        super().connection_lost(exc)

    async def _served(self, application: Served, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_PEER] = scope["client"]
        try:
            await application(scope, receive, send)
        except CutOffError:
            if scope["http_version"] == "1.0":
                # the end of the connection would be the end of the answer (RFC 9112 section 6.3), so it is reset
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.transport.abort()
            else:
                self.transport.close()
            # uvicorn logs an answer that ends early while the client is there
            while (await receive())["type"] != "http.disconnect":
                pass

    def _refuse(self, status: HTTPStatus, code: str, said: str) -> None:
        self._is_refused = True
        self.app = self._access_log.around(_refusal(status, code, said))

    def _give_up(self) -> None:
        self.transport.abort()


def _with_addresses(served: Served) -> Served:
    """Return an application whose client is the proxy where that names something else than an address.

    So does a Squid that hides its clients: it says ``unknown``.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["client"] is not None and not is_valid_address(scope["client"][0]):
            scope["client"] = scope[_PEER]
        await served(scope, receive, send)

    return serve


def _refusal(status: HTTPStatus, code: str, said: str) -> Any:
    """Return an application that refuses the request and closes its connection."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(status, code, said, headers=(("Connection", "close"),))
        await send_answer(send, receive, answer, {}, method=scope["method"])

    return refuse
