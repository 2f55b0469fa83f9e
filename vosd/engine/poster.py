"""POST to one HTTP server, over a connection that is kept open, for reports that no call waits for; their signature.

Knows nothing of retries.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from vosd.base.secret import Secret
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, HttpConnection, HttpServer

TIMEOUT_S: Final = 5.0
"""Time limit of one report, including its connection."""
_NOT_NOW: Final = frozenset({408, 425, 429})
"""Statuses that are retried, in addition to all 5xx."""
_OF_THE_SERVER: Final = frozenset({401, 403, 404, 407})
_NAMES: Final = HostNames(64, "names of reports")
"""Receivers of reports and the service of phones; alarms have one of their own, for they may be about these."""


def is_of_the_server(status: int) -> bool:
    """Return whether a status says nothing of the report, but of the server, its path or our secret: retry then."""
    return 300 <= status < 400 or status in _OF_THE_SERVER


class UndeliveredError(Exception):
    """The server cannot be reached, or is not well; the message says why. The report may be sent again."""


class Poster:
    """Sends reports to one server, one after the other."""

    def __init__(self, url: str, *, allow_private: bool = True, names: HostNames = _NAMES) -> None:
        """Without ``allow_private`` the server must have an address of the internet; ``names`` look up its host."""
        self._server = HttpServer(url, names, allow_private=allow_private)
        self._connection: HttpConnection | None = None
        """Kept open from an earlier report."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a JSON document and return the status of the answer, below 500.

        Raises:
            UndeliveredError: there was no answer in time, or one that asks to try again.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._post(body, headers)
        except NO_ANSWER as error:
            self.hang_up()
            is_silent = isinstance(error, TimeoutError) and not error.args
            why = f"no answer within {TIMEOUT_S:g} s" if is_silent else str(error) or type(error).__name__
            raise UndeliveredError(why) from error
        if status >= 500 or status in _NOT_NOW:
            self.hang_up()
            raise UndeliveredError(f"status {status}")
        return status

    def hang_up(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send one request; another connection is opened where the one before was closed meanwhile."""
        fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers.items()]
        request = self._server.request("POST", self._server.target, fields)
        if self._connection is not None and await self._connection.is_idle():
            try:
                return (await self._connection.ask(request, body, status_only=True)).status
            except (ConnectionError, EOFError):
                pass
        self.hang_up()
        self._connection = await self._server.connect()
        return (await self._connection.ask(request, body, status_only=True)).status


def signed(body: bytes, secret: Secret | None, wall_ms: int) -> dict[str, str]:
    """Return the headers that prove who sends a report, and when; none without a secret.

    The signature is HMAC-SHA256 of the timestamp, a dot and the body, so an old report cannot be sent again later.
    """
    if secret is None:
        return {}
    timestamp = str(wall_ms // 1_000)
    digest = hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Vosd-Timestamp": timestamp, "X-Vosd-Signature": f"sha256={digest}"}
