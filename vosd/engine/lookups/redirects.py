"""The external redirect server as a source of routes: the Contacts of its 3xx, in order of preference, as gateways."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from vosd.base.clock import Clock, Instant
from vosd.base.host import bracketed
from vosd.base.number import without_separators
from vosd.callcontrol.invite_numbers import NUMBER_MAX
from vosd.callcontrol.number_tools import Redirected, WhereTo
from vosd.callcontrol.questions import Ticket, Unanswered
from vosd.engine.lookups.availability import Availability
from vosd.engine.lookups.sip_question import SipQuestion, Wiring
from vosd.routing.lookups import RedirectTarget
from vosd.sip.flows import hop_of
from vosd.sip.headers.contact import Contact
from vosd.sip.headers.phone_context import number_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.uri import DEFAULT_PORTS
from vosd.trunks.gateways import Address, RoutingGateway

CONTACTS_MAX: Final = 32
"""Most Contacts of one answer that are read."""
OPEN_MAX: Final = 1_000
"""Most open questions; a call beyond is routed as if the server were silent."""
_REDIRECTIONS: Final = frozenset({300, 301, 302})


class RedirectServer:
    """Asks the server, one INVITE for each call."""

    def __init__(self, clock: Clock, server: Address | None) -> None:
        """``server`` None = there is none."""
        self._clock = clock
        self._server = server
        self._open: dict[Ticket, tuple[SipQuestion, Address]] = {}
        """The question of each call, and the server that it was put to."""
        self.availability = Availability("redirect_server")
        self.wiring: Wiring | None = None

    def __len__(self) -> int:
        return len(self._open)

    def adjust(self, server: Address | None) -> None:
        """Ask another server from now on."""
        if server != self._server:
            self._server = server
            self.availability.begin_anew()

    def ask(self, ticket: Ticket, question: WhereTo) -> Unanswered | None:
        """Send the INVITE, unless there is no answer to be expected."""
        now, wiring, server = self._clock.now(), self.wiring, self._server
        if wiring is None or server is None:
            return Unanswered("no redirect server is configured")
        if self.availability.rests(now.mono):
            return Unanswered("the redirect server does not answer")
        if len(self._open) >= OPEN_MAX:
            return Unanswered("too many questions are open")

        def done(response: Response | None, at: Instant) -> None:
            self._answered(ticket, server, response, at)

        asked = SipQuestion(wiring.endpoint, done)
        self._open[ticket] = asked, server
        asked.begin(server, question.callee, question.caller, question.hops, question.timeout_ms, now)
        return None

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Send CANCEL: the caller has given up, or the time of its call is over (``is_overdue``).

        That ends a moment before the time of the question where the switch was busy: the server is silent all the same.
        """
        found, now = self._open.pop(ticket, None), self._clock.now()
        if found is None:
            return
        asked, server = found
        asked.abandon(now)
        if is_overdue and asked.has_had_time(now):
            self._silent(server, now)

    def _answered(self, ticket: Ticket, server: Address, response: Response | None, at: Instant) -> None:
        wiring = self.wiring
        if wiring is None or self._open.pop(ticket, None) is None:
            return
        if response is None:
            self._silent(server, at)
            wiring.answer_in_turn(ticket, Unanswered("the redirect server is silent"), at)
            return
        if server == self._server:
            self.availability.answered()
        targets = self._targets(response, server, wiring) if response.status in _REDIRECTIONS else ()
        wiring.answer_in_turn(ticket, Redirected(tuple(targets)), at)

    def _silent(self, server: Address, at: Instant) -> None:
        """Note that a server has not answered; a former one says nothing about the one that is asked now."""
        if server == self._server:
            self.availability.failed("no answer in time", at)

    def _targets(self, response: Response, server: Address, wiring: Wiring) -> Iterator[RedirectTarget]:
        """Yield the gateways of an answer, each number there once."""
        seen = set()
        for contact in sorted(_contacts(response), key=lambda each: -each.q):
            target = _target(contact, server, wiring.endpoint.flows.sent_by, wiring.vendors_at)
            if target is not None and target not in seen:
                seen.add(target)
                yield target


def _contacts(response: Response) -> Iterator[Contact]:
    for value in response.headers("contact")[:CONTACTS_MAX]:
        try:
            yield Contact.parse(value)
        except ParseError:
            continue  # a malformed contact is left out


def _target(
    contact: Contact, server: Address, ours: frozenset[str], vendors_at: Callable[[str], Sequence[RoutingGateway]]
) -> RedirectTarget | None:
    """Return the gateway at the host of a Contact; None for an unknown host, for ourselves and for the server itself.

    Of several gateways at a host the one with the port of the Contact is meant, else the first.
    """
    hop = hop_of(contact.uri)
    callee = without_separators(number_of(contact.uri))
    if hop is None or not callee or len(callee) > NUMBER_MAX:
        return None
    port = hop.port or DEFAULT_PORTS[hop.transport or "udp"]
    if f"{bracketed(hop.host)}:{port}" in ours or (hop.host, port) == (server.host, server.port):
        return None  # a loop
    gateways = vendors_at(hop.host)
    fitting = [each for each in gateways if any(_is_at(address, hop.host, port) for address in each.places)]
    named = [*fitting, *gateways]
    return RedirectTarget(named[0].name, callee) if named else None


def _is_at(address: Address, host: str, port: int) -> bool:
    return address.host == host and (address.port or DEFAULT_PORTS[address.transport or "udp"]) == port
