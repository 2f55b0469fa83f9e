"""Hunting: which gateway is tried next, how the attempts ended, and what the caller is sent if all fail."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.b2bua.boards import NextHop
from vosd.b2bua.ports import Switchboard
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.base.host import domain
from vosd.base.number import for_matching, without_separators
from vosd.routing.failover import FLOW_FAILED, AttemptEnd, AttemptOutcome, is_reached, stops, tries_next, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sip.flows import Flows, hop_of
from vosd.sip.headers.contact import by_preference
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.phone_context import number_of
from vosd.sip.headers.portability import portability_of
from vosd.sip.wire.message import Response
from vosd.sip.wire.uri import DEFAULT_PORTS, Uri
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import Address, RoutingGateway
from vosd.trunks.number_format import NumberNotation
from vosd.trunks.ringing import RingOrder

if TYPE_CHECKING:
    from vosd.b2bua.attempt import GatewayAttempt
    from vosd.b2bua.call_port import CallPort

SERVICE_UNAVAILABLE: Final = 503
GLOBAL_FAILURE: Final = 600
"""The least code with which a telephone refuses a call for all others."""
CONTACTS_MAX: Final = 5
"""Most contacts of one 3xx that are tried."""
CONTACTS_JUDGED_MAX: Final = 20
"""Most contacts of one 3xx that are looked at; a packet has room for hundreds."""
_OF_A_FLOW: Final = frozenset({408, FLOW_FAILED})
"""Final responses that say nothing of the device behind a flow: its other ones are tried (RFC 5626 section 5.3)."""
_OWN_FINDINGS: Final = (EndReason.NO_ANSWER, EndReason.UNREACHABLE, EndReason.NO_COMMON_CODEC, EndReason.NO_MEDIA_PORT)
"""Ends that the switch finds by itself; all others are refusals of gateways."""


class Failure(NamedTuple):
    """Why hunting failed: reason, status for the caller, Q.850 cause, and who ended the call."""

    reason: EndReason
    status: int
    cause: int | None
    source: HangupSource
    text: str | None = None
    """Text of the Reason header of the vendor."""


class Hunt:
    """Hunting of one call.

    The next address of a gateway is tried after one that was silent or answered 503 (RFC 3263 section 4.3). The next
    contact of a phone is tried after any refusal, because each contact is another device. They ring one by one, unless
    the gateway says that they ring together, as the phones of a group may (``RoutingGateway.rings_with``). The
    next contact of a 3xx is tried after any refusal that leads on, because each is another place (RFC 3261 section
    8.1.3.4).
    """

    __slots__ = (
        "_board", "_choices", "_flows", "is_reached", "is_refused", "latest", "named", "next_hops", "outcomes",
        "phones_tried", "phones_until_ms", "refused_number", "responding", "stays", "together_from",
    )  # fmt: skip

    def __init__(self, choices: Iterator[RouteChoice], board: Switchboard, flows: Flows) -> None:
        self._choices = choices
        self._board = board
        self._flows = flows
        self.next_hops: Sequence[NextHop] = ()
        """Other addresses of the gateway that is tried, or contacts of its 3xx."""
        self.responding: str | None = None
        """Name of the gateway of the latest refusal: its other addresses would refuse the call, too."""
        self.refused_number: str | None = None
        """The number that it has refused; None = any, as restored from an earlier version."""
        self.latest: NextHop | None = None
        self.named: set[tuple[str, ...]] | None = None
        """Next hops that have sent a 3xx or are named in one: none is tried twice (RFC 3261 section 8.1.3.4)."""
        self.stays = False
        """Whether only other addresses or contacts of the same gateway are tried after the latest refusal."""
        self.is_refused = False
        """Whether one of several phones that ring together has refused the call for all: no other gateway follows."""
        self.is_reached = False
        """Whether a phone was busy when its turn came, or one of several was reached: no offline gateway follows."""
        self.together_from: int | None = None
        """Number of outcomes when the first phones began to ring together; None = none have."""
        self.phones_tried = 0
        """Attempts at phones: they do not count for ``max_attempts``."""
        self.phones_until_ms = 0
        """Time from the INVITE to the end of the latest one: ``search_ms`` begins there."""
        self.outcomes: list[AttemptOutcome] = []

    def remaining(self) -> tuple[RouteChoice, ...]:
        """Return the gateways that remain; they are examined now, not when their turn comes."""
        choices = tuple(self._choices)
        self._choices = iter(choices)
        return choices

    def take(self, call: "CallPort", now: Instant) -> NextHop | None:
        """Reserve capacity of the next gateway that has some left, and return its address; None = there is none.

        The limits of the search are about vendors: phones ring as long, and as many of them, as is configured.
        """
        latest, settings, elapsed_ms = self.latest, call.settings, now.mono - call.arrival.at.mono
        if latest is not None and latest[0].gateway.is_phone:
            self.phones_until_ms = elapsed_ms
        elif (is_late := elapsed_ms - self.phones_until_ms > settings.search_ms) or (
            len(self.outcomes) - self.phones_tried >= settings.max_attempts
        ):
            self._end(now, is_late=is_late)
            return None
        if latest is not None and latest[0].protect_times and not self.stays:
            self._bring_forward(call, latest[0].protect_times, now)
        while (next_hop := self._next(now)) is not None:
            is_phone = next_hop[0].gateway.is_phone
            if self.is_reached and not is_phone:
                return None
            if (taken := self._board.gateways.occupy(next_hop, now)) is not None:
                if next_hop[0].awaits_number:
                    self._number(next_hop[0], taken[0])
                self.latest = taken
                self.phones_tried += is_phone
                return taken
            self.is_reached = self.is_reached or is_phone
            self._note_pause(next_hop, now)
        return None

    def _note_pause(self, next_hop: NextHop, now: Instant) -> None:
        """Have a 3xx count as the 503 of a place that it names, and that has asked for a pause."""
        latest = self.outcomes[-1] if self.outcomes and next_hop[1].is_redirected else None
        is_redirect = latest is not None and latest.end is AttemptEnd.FINAL and latest.code < 400
        if latest is not None and is_redirect and self._board.gateways.is_paused(next_hop, now):
            self.outcomes[-1] = latest._replace(code=SERVICE_UNAVAILABLE)

    def _end(self, now: Instant, *, is_late: bool) -> None:
        """End the search, and note the gateways that it has not come to."""
        tried = None if self.latest is None else self.latest[0].gateway
        coming = (choice for choice, _ in self.next_hops if choice.gateway is not tried)
        self._board.gateways.search_over(chain(coming, self._choices), now, is_late=is_late)

    def has_next(self, call: "CallPort", attempt: "GatewayAttempt", now: Instant, *, only_protected: bool) -> bool:
        """Return whether a gateway could be tried in place of the attempt in progress, whose capacity counts as free.

        ``only_protected``: a protected one whose time has come. Those that have no room now are asked again when the
        attempt is over.
        """
        settings, elapsed_ms = call.settings, now.mono - call.arrival.at.mono
        begun = len(self.outcomes) - self.phones_tried + 1
        if not attempt.choice.gateway.is_phone and (
            elapsed_ms - self.phones_until_ms > settings.search_ms or begun >= settings.max_attempts
        ):
            return False
        is_denying = False
        if attempt.choice.protect_times and not self.stays:
            is_denying = self._bring_forward(call, attempt.choice.protect_times, now)
        tried = attempt.choice.gateway
        takes_over = partial(_takes_over, tried=tried, elapsed_ms=elapsed_ms, has_denying_joined=is_denying)
        if only_protected and not self.stays:
            self.next_hops = sorted(self.next_hops, key=lambda hop: not takes_over(hop[0]))
        examined: list[NextHop] = []
        is_found = False
        while not is_found and (not only_protected or (self.next_hops and takes_over(self.next_hops[0][0]))):
            next_hop = self._next(now, looks_ahead=True)
            if next_hop is None:
                break
            examined.append(next_hop)
            is_found = self._board.gateways.would_occupy(next_hop, now, attempt.choice)
        self.next_hops = [*examined, *self.next_hops]
        return is_found

    def take_beside(
        self, tried: RoutingGateway, in_progress: Sequence["GatewayAttempt"], now: Instant
    ) -> NextHop | None:
        """Reserve capacity of the next telephone that rings together with the gateway that is tried; None = no more.

        One that has its calls already is left out. All places of a phone are one call of it.
        """
        while (next_hop := self._next_beside(tried, in_progress, now)) is not None:
            is_counted = not is_trying(in_progress, next_hop[0].gateway.name)
            if (taken := self._board.gateways.occupy(next_hop, now, is_counted=is_counted)) is not None:
                if next_hop[0].awaits_number:
                    self._number(next_hop[0], taken[0])
                if self.together_from is None:
                    self.together_from = len(self.outcomes)
                self.phones_tried += 1
                return taken
            self.is_reached = True
        return None

    def _number(self, found: RouteChoice, tried: RouteChoice) -> None:
        """Give further addresses of a gateway the calling number that the first was given when its turn came."""
        self.next_hops = [(tried if choice is found else choice, place) for choice, place in self.next_hops]

    def _next_beside(
        self, tried: RoutingGateway, in_progress: Sequence["GatewayAttempt"], now: Instant
    ) -> NextHop | None:
        """Return the next telephone that rings together with a gateway; of a single phone only its own places do.

        One flow of a device is called at a time (RFC 5626 section 5.3): the others come when all have ended. What
        follows the phones is found before its turn.
        """
        flows = [each for each in self.next_hops if _is_calling_device(in_progress, *each)]
        others = [each for each in self.next_hops if each not in flows]
        if not others and tried.ring_group is not None:
            self.next_hops = ()
            next_hop = self._next(now, looks_ahead=True)
            others = [] if next_hop is None else [next_hop, *self.next_hops]
        if not others or others[0][0].gateway.rings_with != tried.rings_with:
            self.next_hops = [*flows, *others]
            return None
        self.next_hops = [*others[1:], *flows]
        return others[0]

    def _bring_forward(self, call: "CallPort", protect_times: Sequence[int], now: Instant) -> bool:
        """Put protected gateways whose time has come in front; all that remain are examined for that.

        One at rest joins when only such remain; one that is in doubt alone joins as any other.

        With one that denies a prefix of an emergency number those join that deny none, in front of it: the attempt in
        progress may be left at that time only. Return whether there is such a one.
        """
        elapsed_ms = now.mono - call.arrival.at.mono
        if call.journey.ringing_at is not None or elapsed_ms < protect_times[0]:
            return False
        self._board.gateways.examine_at(now, looks_ahead=True)
        joining: list[RouteChoice] = []
        others: list[RouteChoice] = []
        choices = tuple(self._choices)
        is_open = any(not each.is_at_rest for each in (*choices, *(choice for choice, _ in self.next_hops)))
        is_kept_back = is_open and not (self.latest is not None and self.latest[0].is_at_rest)
        for choice in choices:
            protect_ms = choice.gateway.protect_ms
            comes_later = protect_ms is None or protect_ms > elapsed_ms or (choice.is_at_rest and is_kept_back)
            (others if comes_later else joining).append(choice)
        is_denying = any(each.denies_prefix for each in joining)
        if is_denying:
            joining += [each for each in others if not (each.denies_prefix or each.is_last_resort)]
            others = [each for each in others if each.denies_prefix or each.is_last_resort]
        self._choices = iter(others)
        addresses_of = self._board.gateways.addresses_of
        hops = [(choice, address) for choice in joining for address in addresses_of(choice.gateway, now)]
        self.next_hops = [*hops, *self.next_hops]
        if is_denying:
            tried = None if self.latest is None else self.latest[0].gateway
            self.next_hops = sorted(self.next_hops, key=lambda hop: (hop[0].gateway is tried, hop[0].denies_prefix))
        return is_denying

    def wait(self, call: "CallPort", attempt: "GatewayAttempt", until_ms: int, now: Instant) -> None:
        """Set the deadline of an attempt: ``until_ms``, or when the next protected gateway joins if that is earlier."""
        if attempt.choice.protect_times and call.journey.ringing_at is None:
            joining = (call.arrival.at.mono + each for each in attempt.choice.protect_times)
            until_ms = min((each for each in joining if now.mono < each < until_ms), default=until_ms)
        self._board.set_deadline(until_ms)

    def continues_at_gateway(
        self, attempt: "GatewayAttempt", outcome: AttemptOutcome, response: Response, now: Instant
    ) -> bool:
        """Return whether the same gateway is tried again: at a contact of its 3xx, or another address after 503."""
        choice = attempt.choice
        if outcome.code < 400:
            return self.redirected(choice, attempt.address, response, now)
        has_other_address = bool(self.next_hops) and self.next_hops[0][0].gateway is choice.gateway
        return outcome.code == SERVICE_UNAVAILABLE and has_other_address and not stops(choice.gateway, outcome)

    def _next(self, now: Instant, *, looks_ahead: bool = False) -> NextHop | None:
        while self.next_hops:
            if self.stays and self.latest is not None and self.next_hops[0][0].gateway is not self.latest[0].gateway:
                return None
            next_hop, self.next_hops = self.next_hops[0], self.next_hops[1:]
            choice = next_hop[0]
            if choice.gateway.name != self.responding or not self._would_refuse(choice) or self._is_named(next_hop):
                return next_hop
        if self.stays:
            return None
        if self.latest is not None:
            self._board.gateways.examine_at(now, looks_ahead=looks_ahead)
        for choice in self._choices:
            if choice.gateway.name == self.responding and self._would_refuse(choice):
                continue
            addresses = self._board.gateways.addresses_of(choice.gateway, now)
            if addresses:
                if len(addresses) > 1:
                    self.next_hops = [(choice, address) for address in addresses[1:]]
                return choice, addresses[0]
        return None

    def _would_refuse(self, choice: RouteChoice) -> bool:
        """Return whether the gateway ``responding`` has refused the number by which this choice would call it."""
        return self.refused_number is None or self.refused_number == choice.callee_out

    def _is_named(self, next_hop: NextHop) -> bool:
        return self.named is not None and _hop_key(next_hop) in self.named

    def note(self, choice: RouteChoice, outcome: AttemptOutcome, *, device: str = "", redirected: bool = False) -> None:
        """Remember how an attempt ended; ``device`` is the one that has several flows (``Address.device``)."""
        self.outcomes.append(outcome)
        if device and outcome.end is AttemptEnd.FINAL and outcome.code not in _OF_A_FLOW:
            name = choice.gateway.name
            self.next_hops = [
                each for each in self.next_hops if (each[0].gateway.name, each[1].device) != (name, device)
            ]
        if choice.gateway.ring_group is not None and is_reached(outcome):
            self.is_reached = True
        self.stays = redirected and not tries_next(choice.gateway, outcome)
        if redirected or choice.gateway.is_phone or _is_of_address(outcome):
            self.responding = self.refused_number = None
        else:
            self.responding, self.refused_number = choice.gateway.name, choice.callee_out

    def repeat(self) -> None:
        """Let the latest gateway be tried once more."""
        self.next_hops = () if self.latest is None else (self.latest, *self.next_hops)
        self.stays = self.is_refused = False
        self.responding = self.refused_number = None

    def note_beside(self, choice: RouteChoice, outcome: AttemptOutcome, device: str) -> bool:
        """Remember how one of several attempts ended; return whether it ends the others (RFC 3261 section 16.7).

        It ends the search, too, but for a phone of a group that rings in turn: the next phone follows.
        """
        self.note(choice, outcome, device=device)
        if outcome.end is not AttemptEnd.FINAL or outcome.code < GLOBAL_FAILURE:
            self.is_refused = self.is_refused or not tries_next(choice.gateway, outcome)
            return False
        group = choice.gateway.ring_group
        if group is None or group.order is RingOrder.TOGETHER:
            self.is_refused = True
            self.outcomes, self.together_from = [outcome], None  # the caller gets it, whatever the others have answered
        return True

    def redirected(self, choice: RouteChoice, seen_at: Address, redirect: Response, now: Instant) -> bool:
        """Put the contacts of a vendor's 3xx in front, if its trunk allows that; return whether there are any to try.

        They are tried on the vendor's account and under its limits, because the vendor has named them, and none is the
        place of another vendor (``GatewayBoard.redirected_to``). Those of an earlier 3xx that one of its contacts has
        redirected remain behind them.
        """
        if choice.gateway.dialect.redirects is not Redirects.FOLLOW:
            return False
        if self.named is None:
            self.named = set()
        if self.latest is not None:
            self.named.add(_hop_key(self.latest))
        remaining = [each for each in self.next_hops if each[0].gateway is choice.gateway and self._is_named(each)]
        next_hops: list[NextHop] = []
        for contact in by_preference(redirect.headers("contact"))[:CONTACTS_JUDGED_MAX]:
            next_hop = self._next_hop_of(choice, seen_at, contact, now)
            if next_hop is not None and _hop_key(next_hop) not in self.named:
                self.named.add(_hop_key(next_hop))
                next_hops.append(next_hop)
                if len(next_hops) == CONTACTS_MAX:
                    break
        own = [*next_hops, *remaining]
        self.next_hops = [*own, *(each for each in self.next_hops if each[0].gateway is not choice.gateway)]
        return bool(own)

    def _next_hop_of(self, choice: RouteChoice, seen_at: Address, contact: NameAddr, now: Instant) -> NextHop | None:
        """Return one contact of a 3xx as the next hop; None for no SIP address, our own, or a name not resolved yet."""
        hop = hop_of(contact.uri)
        if hop is None or (found := self._flows.located(hop)) is None:
            return None
        uri = Uri.parse(contact.uri)
        if hop.transport is None and uri.param("transport") is not None:
            return None  # no socket of ours has it, and UDP would be a guess
        transport = found.transport
        if transport is None and found.host == seen_at.host and found.port in {None, seen_at.port}:
            transport = seen_at.transport  # what was just reached over TLS is not called again in clear
        port = found.port or DEFAULT_PORTS[transport or "udp"]
        if self._flows.is_ours(found.host, port):
            return None
        place = Address(found.host, port, transport, is_redirected=True)
        if domain(uri.host) is not None:
            name = uri.host.removesuffix(".")  # certificates name no host with the final dot of DNS
            place = place._replace(name=name, written=str(Address(uri.host, uri.port, hop.transport)))
        callee, named = _number_in(contact.uri, choice), portability_of(contact.uri)
        is_dialled = for_matching(callee) == for_matching(choice.callee_out)
        is_same = is_dialled and not (named.is_looked_up or named.routing_number)
        ported = choice.routing_number if is_same else named.routing_number
        only_known = self._flows.is_beside_us(found.host, seen_at.host)
        return self._board.gateways.redirected_to(choice, place, callee, ported, now, only_known=only_known)

    def failure(self) -> Failure:
        """Return the failure that follows from all attempts."""
        if not self.outcomes and self._board.gateways.has_looped:
            return Failure(EndReason.LOOP, 482, EndReason.LOOP.q850_cause, HangupSource.SWITCH)
        if not self.outcomes:
            return Failure(EndReason.NO_AVAILABLE_ROUTE, 503, None, HangupSource.SWITCH)
        outcomes = self.outcomes
        if self.together_from is not None:  # of several alike the lowest class is the best (RFC 3261 section 16.7)
            before, together = outcomes[: self.together_from], outcomes[self.together_from :]
            outcomes = [*before, *sorted(together, key=_badness, reverse=True)]
        reason, status, cause, text = verdict(outcomes)
        source = HangupSource.SWITCH if reason in _OWN_FINDINGS else HangupSource.CALLEE
        if cause is None and reason is EndReason.UNAVAILABLE:
            cause = q850_of_status(status)
        return Failure(reason, status, cause, source, text)


def _takes_over(choice: RouteChoice, *, tried: RoutingGateway, elapsed_ms: int, has_denying_joined: bool) -> bool:
    """Return whether a gateway may be tried in place of the one that is tried: it is protected, and its time has come.

    Those that have joined with one that denies a prefix, and that one itself, may when they join and not later: it has
    the last place, and the attempt in progress would be left for it at the time of another one, which has no room or
    was tried.
    """
    protect_ms = choice.gateway.protect_ms
    is_due = protect_ms is not None and protect_ms <= elapsed_ms and not choice.denies_prefix
    return choice.gateway is not tried and (has_denying_joined or is_due)


def _number_in(uri: str, choice: RouteChoice) -> str:
    """Return the number that a Contact of a 3xx names, as rates and rules have it; without one the number before.

    A vendor that is sent numbers in another form names them in that one.
    """
    number, forms = without_separators(number_of(uri)) or choice.callee_out, choice.gateway.dialect.number_format
    if forms is None or forms.request_uri is NumberNotation.AS_IS:
        return number
    digits = forms.international(number)
    return choice.callee_out if digits and digits == forms.international(choice.callee_out) else digits or number


def is_trying(attempts: Sequence["GatewayAttempt"], gateway: str) -> bool:
    """Return whether one of some attempts is at a gateway."""
    return any(each.choice.gateway.name == gateway for each in attempts)


def _is_calling_device(attempts: Sequence["GatewayAttempt"], choice: RouteChoice, address: Address) -> bool:
    """Return whether one of some attempts is at another flow of the device that has an address."""
    return bool(address.device) and any(
        each.address.device == address.device and each.choice.gateway.name == choice.gateway.name for each in attempts
    )


def _badness(outcome: AttemptOutcome) -> tuple[int, bool]:
    """Return by what the outcomes of several phones are compared: class (without response 4xx) and ringing.

    One that rang and was not answered says more than one that was silent.
    """
    return outcome.code // 100 or 4, not outcome.rang


def _is_of_address(outcome: AttemptOutcome) -> bool:
    """Return whether an attempt failed at its address, so that another of the gateway is tried (RFC 3263 4.3)."""
    if outcome.end is AttemptEnd.WITHHELD:
        return False
    return outcome.code == SERVICE_UNAVAILABLE if outcome.end is AttemptEnd.FINAL else not outcome.rang


def _hop_key(next_hop: NextHop) -> tuple[str, ...]:
    """Return what makes two next hops the same to the peer: number with its routing number, host, port, transport."""
    choice, address = next_hop
    transport = address.transport or "udp"
    number = f"{choice.callee_out};rn={choice.routing_number}" if choice.routing_number else choice.callee_out
    return number, address.host, str(address.port or DEFAULT_PORTS[transport]), transport
