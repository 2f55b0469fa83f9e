"""Look a number up by HTTP: one GET on a connection of its own."""

import asyncio
from typing import Final
from urllib.parse import quote

import msgspec

from vosd.base.errors import VosError
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, HttpAnswer, HttpServer
from vosd.engine.settings import PortabilitySettings
from vosd.sip.headers.portability import routing_number_in

NUMBER: Final = "{number}"
"""Placeholder of the number in the URL."""
NOT_PORTED: Final = frozenset({204, 404})
"""Statuses that say that nothing is known of the number, which is routed as dialled."""
NOT_WELL: Final = frozenset({401, 403, 407, 408, 429})
"""Statuses of 4xx that are about the server or our rights; the others are about the number that was asked for."""

_NAMES: Final = HostNames(64, "names of lookups")
"""One server is asked at a time: the others are those before a reload."""


class LookupFailedError(VosError):
    """There is no usable answer; the message says why."""


class NumberRefusedError(LookupFailedError):
    """The server answers, and refuses this number."""


class HttpLookup:
    """Asks one server."""

    def __init__(self, settings: PortabilitySettings) -> None:
        """``settings`` say where, how long, and what of the answer is the number."""
        self._settings = settings
        self._server = HttpServer(settings.url, _NAMES)
        self._fields = tuple(settings.field.split(".")) if settings.field else ()

    async def look_up(self, number: str) -> str:
        """Return the routing number, as it was sent; empty = the number is not ported.

        Raises:
            LookupFailedError: there was no usable answer in time.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1_000):
                status, body, _ = await self._fetch(number)
        except TimeoutError:
            raise LookupFailedError("no answer in time") from None
        except NO_ANSWER as error:
            raise LookupFailedError(str(error)[:200] or type(error).__name__) from error
        if status in NOT_PORTED:
            return ""
        if 400 <= status < 500 and status not in NOT_WELL:
            raise NumberRefusedError(f"status {status}")
        if status != 200:
            raise LookupFailedError(f"status {status}")
        return self._number_in(body)

    async def _fetch(self, number: str) -> HttpAnswer:
        """Ask on a connection of its own; raises what is in ``NO_ANSWER``."""
        authorization = self._settings.authorization
        return await self._server.ask_once(
            "GET",
            self._server.target.replace(NUMBER, quote(number, safe="")),
            [
                ("Accept", "application/json, text/plain"),
                ("Connection", "close"),
                *([] if authorization is None else [("Authorization", authorization.reveal())]),
            ],
        )

    def _number_in(self, body: bytes) -> str:
        """Return the routing number of a body; raises LookupFailedError where it has something else."""
        text = self._field_in(body) if self._fields else body.decode("latin-1").strip()
        number = routing_number_in(text)
        if text and not number:
            raise LookupFailedError(f"no number in the answer: {text[:40]!r}")
        return number

    def _field_in(self, body: bytes) -> str:
        """Return a field of a JSON document as text; empty where it is missing or null."""
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise LookupFailedError(f"no JSON in the answer: {str(error)[:100]}") from error
        for name in self._fields:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise LookupFailedError(f"field {self._settings.field} is no number")
        return str(found)
