"""Number portability: the routing number of a called number, from a cache, by HTTP or by a SIP redirect server.

Calls to the same number share one lookup. A lookup goes on when no call waits for it any more, at most for its time
limit: the next call finds its result in the cache.
"""

import asyncio
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

import msgspec

from vosd.base.clock import Clock, Instant
from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.callcontrol.number_tools import RoutingNumber, WhichRoutingNumber
from vosd.callcontrol.questions import Ticket, Unanswered
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, HttpAnswer, HttpServer
from vosd.engine.lookups.availability import Availability
from vosd.engine.lookups.sip_question import SipQuestion, Wiring
from vosd.engine.settings import PortabilitySettings
from vosd.sip.headers.contact import by_preference
from vosd.sip.headers.portability import portability_of, routing_number_in
from vosd.sip.wire.message import Response

OPEN_MAX: Final = 256
"""Most open lookups; a call beyond is routed as if there were no answer."""
_HOPS: Final = 70
_REDIRECTIONS: Final = frozenset({300, 301, 302})
_UNKNOWN_NUMBER: Final = frozenset({404, 604})
_NOT_WELL: Final = frozenset({401, 403, 407, 408, *range(500, 600)})
"""Codes about the server or our rights; the others are about the number that was asked for."""


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
        except UNDECODABLE as error:
            raise LookupFailedError(f"no JSON in the answer: {str(error)[:100]}") from error
        for name in self._fields:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise LookupFailedError(f"field {self._settings.field} is no number")
        return str(found)


class AnswerCache:
    """Routing numbers by called number, the oldest removed first where there are too many."""

    def __init__(self, most: int, life_ms: int) -> None:
        self._entries: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._most = most
        self._life_ms = life_ms

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, number: str, mono_ms: int) -> str | None:
        """Return a routing number, empty = not ported; None = not known, or not any more."""
        found = self._entries.get(number)
        if found is None:
            return None
        if found[1] <= mono_ms:
            del self._entries[number]
            return None
        return found[0]

    def put(self, number: str, routing_number: str, mono_ms: int) -> None:
        """Keep an answer for its time."""
        if self._most:
            self._entries.pop(number, None)
            self._entries[number] = routing_number, mono_ms + self._life_ms
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)


class _Lookup:
    """One open lookup, and the calls that wait for it."""

    __slots__ = ("customer", "settings", "tickets", "work")

    def __init__(self, settings: PortabilitySettings, customer: str) -> None:
        self.settings = settings
        self.customer = customer
        """That of the call that began it."""
        self.tickets: list[Ticket] = []
        self.work: asyncio.Task[None] | SipQuestion | None = None


class PortabilityLookups:
    """Answers which number calls are routed by."""

    def __init__(self, clock: Clock, settings: PortabilitySettings | None) -> None:
        """``settings`` None = there is no server to ask."""
        self._clock = clock
        self._open: dict[str, _Lookup] = {}
        self._numbers: dict[Ticket, str] = {}
        self.availability = Availability("number_portability")
        self.wiring: Wiring | None = None
        self._take(settings)

    def __len__(self) -> int:
        return len(self._open)

    def adjust(self, settings: PortabilitySettings | None) -> None:
        """Ask another server from now on; what the earlier one has said is forgotten."""
        if settings != self._settings:
            self._take(settings)
            self.availability.begin_anew()

    def ask(self, ticket: Ticket, question: WhichRoutingNumber) -> RoutingNumber | Unanswered | None:
        """Return the answer from the cache, or begin or join a lookup."""
        now, number, settings = self._clock.now(), question.number, self._settings
        cached = self._cache.get(number, now.mono)
        if cached is not None:
            return RoutingNumber(cached)
        if settings is None or self.wiring is None:
            return Unanswered("no number portability server is configured")
        lookup = self._open.get(number)
        if lookup is None:
            if self.availability.rests(now.mono, question.customer):
                return Unanswered("the number portability server does not answer")
            if len(self._open) >= OPEN_MAX:
                return Unanswered("too many lookups are open")
            lookup = self._open[number] = _Lookup(settings, question.customer)
            self._begin(lookup, number, settings, self.wiring, now)
        lookup.tickets.append(ticket)
        self._numbers[ticket] = number
        return None

    def cancel(self, ticket: Ticket) -> None:
        """Note that a call does not wait any more; the lookup goes on, for the cache."""
        number = self._numbers.pop(ticket, None)
        lookup = None if number is None else self._open.get(number)
        if lookup is not None:
            lookup.tickets.remove(ticket)

    def stop(self) -> None:
        """End all lookups: the switch stops."""
        for lookup in self._open.values():
            if isinstance(lookup.work, asyncio.Task):
                lookup.work.cancel()

    def _take(self, settings: PortabilitySettings | None) -> None:
        self._settings = settings
        self._http = None if settings is None or not settings.url else HttpLookup(settings)
        most, life_ms = (0, 0) if settings is None else (settings.cache_entries, 1_000 * settings.cache_ttl_s)
        self._cache = AnswerCache(most, life_ms)

    def _begin(self, lookup: _Lookup, number: str, settings: PortabilitySettings, wiring: Wiring, now: Instant) -> None:
        if self._http is not None:
            lookup.work = asyncio.get_running_loop().create_task(self._ask_http(self._http, lookup, number))
        elif settings.server is not None:

            def done(response: Response | None, at: Instant) -> None:
                self._answered_by_sip(lookup, number, response, at)

            question = lookup.work = SipQuestion(wiring.endpoint, done)
            question.begin(settings.server, number, "", _HOPS, settings.timeout_ms, now)

    async def _ask_http(self, http: HttpLookup, lookup: _Lookup, number: str) -> None:
        try:
            routing_number = await http.look_up(number)
        except NumberRefusedError as error:
            self._refused(lookup, number, str(error), None)
        except LookupFailedError as error:
            self._failed(lookup, number, str(error), None)
        except Exception as error:  # noqa: BLE001  the boundary of a task: a call waits for what becomes of it
            self._failed(lookup, number, f"{type(error).__name__}: {error}", None)
        else:
            self._found(lookup, number, routing_number, None)

    def _answered_by_sip(self, lookup: _Lookup, number: str, response: Response | None, at: Instant) -> None:
        if response is None:
            self._failed(lookup, number, "no answer in time", at)
        elif response.status in _UNKNOWN_NUMBER:
            self._found(lookup, number, "", at)
        elif response.status not in _REDIRECTIONS:
            note = self._failed if response.status in _NOT_WELL else self._refused
            note(lookup, number, f"status {response.status}", at)
        else:
            try:
                routing_number = _routing_number(response)
            except LookupFailedError as error:
                self._refused(lookup, number, str(error), at)  # the server is there
            else:
                self._found(lookup, number, routing_number, at)

    def _found(self, lookup: _Lookup, number: str, routing_number: str, in_turn: Instant | None) -> None:
        if lookup.settings == self._settings:
            self.availability.answered()
            self._cache.put(number, routing_number, self._clock.now().mono)
        self._tell(lookup, number, RoutingNumber(routing_number), in_turn)

    def _failed(self, lookup: _Lookup, number: str, why: str, in_turn: Instant | None) -> None:
        if lookup.settings == self._settings:
            self.availability.failed(why, self._clock.now(), lookup.customer)
        self._tell(lookup, number, Unanswered(why), in_turn)

    def _refused(self, lookup: _Lookup, number: str, why: str, in_turn: Instant | None) -> None:
        if lookup.settings == self._settings:
            self.availability.refused()
        self._tell(lookup, number, Unanswered(why), in_turn)

    def _tell(self, lookup: _Lookup, number: str, answer: RoutingNumber | Unanswered, in_turn: Instant | None) -> None:
        """Give the answer to the calls that wait; ``in_turn`` is the instant of the message that has it."""
        del self._open[number]
        wiring, tickets = self.wiring, tuple(lookup.tickets)
        for ticket in tickets:
            self._numbers.pop(ticket, None)
        for ticket in tickets:
            if wiring is not None and in_turn is not None:
                wiring.answer_in_turn(ticket, answer, in_turn)
            elif wiring is not None:
                wiring.answer(ticket, answer)


def _routing_number(redirect: Response) -> str:
    """Return the routing number in the most preferred Contact of a 3xx; empty = the number is not ported.

    Raises:
        LookupFailedError: it has no Contact that can be read, or a routing number that cannot be used.
    """
    contacts = by_preference(redirect.headers("contact"))
    if not contacts:
        raise LookupFailedError("no Contact in the answer that can be read")
    uri = contacts[0].uri
    said = portability_of(uri)
    if said.is_unusable:
        raise LookupFailedError(f"no routing number in the answer: {uri[:40]!r}")
    return said.routing_number
