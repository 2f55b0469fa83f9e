"""A listener for SIP over WebSocket: the connections that peers open to it, and no others (RFC 7118)."""

import ssl
from collections.abc import Sequence

from vosd.net.connection import Framer, PeerEnd
from vosd.net.tcp import StreamFlow
from vosd.net.websocket import WebSocketFramer


class WebSocketFlow(StreamFlow):
    """One listening socket, with TLS contexts (``wss``) or without (``ws``)."""

    origins: Sequence[str] = ()
    """Origins of pages whose scripts may connect from now on."""

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one message on the connection with that peer; without one it has failed: a browser takes none."""
        peer = PeerEnd(*to)
        connection = self._open.get(peer)
        if connection is not None and connection.is_open:
            connection.send(data)
        else:
            self._loop.call_soon(self._core.failed, self._flow, *peer)

    def _server_context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls.browsers or self.tls.server

    def _framer(self) -> Framer:
        return WebSocketFramer(self._limits, self.origins)
