"""One registration of the switch with a vendor: begin, refresh, retry, end (RFC 3261 section 10.2).

All its REGISTERs share one Call-ID and one CSeq sequence; at most one is open. Challenges are answered by the client
core. Draws no random numbers; sets its timer with the endpoint and reacts to events.
"""

from collections.abc import Callable
from typing import Final, Protocol

from vosd.base.clock import Instant
from vosd.base.host import bracketed
from vosd.base.wheel import Timer
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.flows import Hop
from vosd.sip.headers.contact import Contact, seconds
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.retry_after import retry_after_s
from vosd.sip.registration.registrar_address import AddressesOf, RegistrarAddress
from vosd.sip.registration.states import HOLDING, PARTED, RegistrationChange, RegistrationState, Terms
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import DEFAULT_PORTS, Uri, are_equivalent

REFRESH_MIN_MS: Final = 5_000
"""Shortest time to a refresh, however short the granted duration."""
REPEAT_MS: Final = 2 * REFRESH_MIN_MS
"""Time for another refresh after one that was not answered."""
BACK_OFF_MS: Final = 30_000
BACK_OFF_MAX_MS: Final = 300_000
"""The wait after a failure or a refusal doubles from the first to the second."""
RETRY_AFTER_MAX_S: Final = 3_600
"""Longest Retry-After that is respected."""
REFUSALS: Final = frozenset({401, 402, 403, 404, 405, 407, 410, 501, 604})
"""Final statuses by which the vendor refuses us; all others except success mean: try again later."""


EXPIRES_MAX_S: Final = 604_800
"""Longest duration requested or accepted: a week."""
CONTACTS_MAX: Final = 256
"""Most contacts read from one answer: ours may be among other people's."""
SERVICE_ROUTES_MAX: Final = 8
SERVICE_ROUTE_CHARS_MAX: Final = 1_024
"""A longer route is ignored: it would be in every INVITE."""
_LOOSE: Final = ";lr"


def granted_s_of(response: Response, ours: str, asked_s: int) -> int:
    """Return the duration granted by a 200: of our Contact, else of the Expires header, else as requested (10.2.4).

    Some registrars list the address they see us at: a single Contact is taken for ours, whatever it says. Of several
    none of which is ours, without Expires, any may be it: the shortest duration counts.
    """
    contacts = []
    for value in response.headers("contact")[:CONTACTS_MAX]:
        try:
            contacts.append(Contact.parse(value))
        except ParseError:
            continue  # not necessarily ours
    ours_parsed = Uri.parse(ours)
    mine = [each for each in contacts if are_equivalent(Uri.parse(each.uri), ours_parsed)]
    chosen = mine or (contacts if len(contacts) == 1 else [])
    granted_s = chosen[0].expires_s if chosen else None
    if granted_s is None:
        written = response.header("expires")
        others = () if mine else (each.expires_s for each in contacts if each.expires_s)
        granted_s = min(others, default=asked_s) if written is None else seconds(written.strip())
    return min(granted_s, EXPIRES_MAX_S)


def service_route_of(response: Response) -> tuple[str, ...]:
    """Return the route for our requests (RFC 3608); empty if it cannot be taken as a whole."""
    route = tuple(response.headers("service-route"))
    if len(route) > SERVICE_ROUTES_MAX or sum(map(len, route)) > SERVICE_ROUTE_CHARS_MAX:
        return ()
    try:
        uris = [NameAddr.parse(each).uri for each in route]
        is_whole = all(Uri.parse(uri).scheme in {"sip", "sips"} and _LOOSE in uri.lower() for uri in uris)
    except ParseError:
        return ()
    return tuple(f"<{uri}>" for uri in uris) if is_whole and all(map(str.isprintable, uris)) else ()


def min_expires_of(response: Response) -> int:
    """Return the Min-Expires of a registrar (section 20.23); 0 if there is none that we would request."""
    least_s = seconds((response.header("min-expires") or "0").strip())
    return least_s if least_s <= EXPIRES_MAX_S else 0


class ChangeListener(Protocol):
    """Receiver of the changes."""

    def __call__(self, registration: "OutboundRegistration", change: RegistrationChange, /) -> None:
        """Called with a change."""


Draw = Callable[[int], int]
"""Return a random whole number from 0 to below the argument."""


class OutboundRegistration:
    """One registration with a vendor."""

    __slots__ = (
        "_address", "_alarm", "_answers", "_asked", "_draw", "_endpoint", "_expires_s", "_lengthened", "_listener",
        "_series", "_waits", "contact", "expires_at", "failed_at", "failures", "last_status", "next_attempt_at",
        "registered_at", "reported", "service_route", "state", "terms",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        terms: Terms,
        where: AddressesOf,
        draw: Draw,
        listener: ChangeListener,
        server_name: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._address = RegistrarAddress(where)
        self._draw = draw
        self._listener = listener
        self.reported: RegistrationChange | None = None
        """The change that was reported last."""
        self._alarm: Timer[TimerOwner] | None = None
        self._asked: Client | None = None
        self._answers = _answers(terms)
        self._expires_s = terms.expires_s
        self._lengthened = 0
        """Number of 423 that this attempt has followed."""
        self._waits = 0
        """Number of waits since the last success by which the next one is longer."""
        address = f"<sip:{escape_user(terms.user)}@{bracketed(terms.domain)}>"
        self._series = Dialog.outside(
            call_id=endpoint.token(),
            local=f"{address};tag={endpoint.token()}",
            remote=address,
            target=f"sip:{bracketed(terms.domain)}",
            peer=Peer(0, terms.domain, 0),  # replaced before each REGISTER
            answers=self._answers,
            server_name=server_name,
        )
        self.terms = terms
        self.state = RegistrationState.UNREGISTERED
        self.contact = ""
        """The registered URI, or the last one."""
        self.registered_at: Instant | None = None
        """Time since which the vendor has had our binding without interruption."""
        self.expires_at: Instant | None = None
        self.next_attempt_at: Instant | None = None
        self.failures = 0
        """Consecutive failures."""
        self.failed_at = Instant(0, 0)
        """Time of the last failure or refusal."""
        self.last_status: int | None = None
        """Last final status; 0 = time-out; None = no REGISTER was sent yet."""
        self.service_route: tuple[str, ...] = ()
        """Route for requests to the vendor, from its last answer (RFC 3608)."""

    def __repr__(self) -> str:
        return f"<OutboundRegistration {self.terms.user}@{self.terms.domain} {self.state.name}>"

    @property
    def is_registered(self) -> bool:
        """Whether the vendor has our binding, as far as we know."""
        return self.state in HOLDING

    @property
    def binding(self) -> tuple[str, str, str]:
        """Binding at the vendor: user and domain of the address of record, and the Contact.

        Before the first REGISTER that is the Contact that it will have; empty while the registrar has no address.
        """
        contact = self.contact
        if not contact and (hop := self._address.choose()) is not None:
            contact = self._contact_at(self._flow_to(hop))
        return self.terms.user, self.terms.domain, contact

    def is_backing_off(self, now: Instant) -> bool:
        """Whether the next attempt waits for a failure alone, not for a refusal or a Retry-After."""
        is_waiting = self.failures > 0 and self._asked is None
        is_refused = self.state is RegistrationState.REFUSED or self.state in PARTED
        return is_waiting and not is_refused and self._address.rests_for_ms(now) is None

    # -- commands ----------------------------------------------------------------------------------------------

    def begin(self, at: Instant) -> None:
        """Register for the first time at ``at``: many registrations must not all begin at once."""
        self.next_attempt_at = at
        self._set_alarm()

    def amend(self, terms: Terms, at: Instant) -> None:
        """Continue with another login or duration for the same address; send a REGISTER at ``at``, or earlier.

        A registration that is being removed is kept after all: its higher CSeq makes a removal on the way out of order.
        """
        if self.state in PARTED:
            self._forget_binding()
            self.reported = None
        self.terms = terms
        self._expires_s = terms.expires_s
        self._answers = self._series.answers = _answers(terms)
        if self._asked is not None:
            self._asked.forget()
            self._asked = None
            self.state = RegistrationState.REGISTERED if self.is_registered else RegistrationState.UNREGISTERED
        self.retry(at)

    def retry(self, at: Instant) -> None:
        """Send the next REGISTER at ``at``, or earlier; one that waits for its response is the next one."""
        if self._asked is None:
            self.begin(at if self.next_attempt_at is None else min(at, self.next_attempt_at))

    def set_rounds_max(self, rounds_max: int) -> None:
        """Change the number of challenges answered for one request; sends nothing."""
        self.terms = self.terms._replace(rounds_max=rounds_max)
        self._answers.rounds_max = rounds_max

    def leave(self, now: Instant) -> None:
        """Remove the registration, if there is or may be one."""
        if self.state in PARTED:
            return
        self.next_attempt_at = None
        if self._asked is not None:
            self.state = RegistrationState.PARTING
        elif self.is_registered:
            self._remove(now)
        else:
            self._end()
        self._set_alarm()

    def abandon(self) -> None:
        """End without a REGISTER: another registration keeps the same binding."""
        if self._asked is not None:
            self._asked.forget()
            self._asked = None
        self._end()
        self._set_alarm()

    # -- events ------------------------------------------------------------------------------------------------

    def alarm_fired(self, event: AlarmFired) -> None:
        """Refresh, retry, or note that the granted duration has expired."""
        self._alarm = None
        now = event.at
        if self.expires_at is not None and self.expires_at.mono <= now.mono:
            self._lapse()
        if self.next_attempt_at is not None and self.next_attempt_at.mono <= now.mono:
            self._attempt(now)
        self._set_alarm()

    def response_came(self, event: ResponseArrived) -> None:
        """Process a response; challenges that can be answered are not reported here."""
        status = event.response.status
        # An older REGISTER may be answered after the registration was amended: only the open one counts.
        if status < 200 or event.transaction is not self._asked:
            return
        self._asked = None
        self._address.answered()
        self.last_status = status
        if self.state is RegistrationState.PARTING and (status < 300 or self.expires_at is not None):
            self._remove(event.at)
        elif self.state in PARTED:
            self._end()
        elif status < 300:
            self._accepted(event.response, event.at)
        # One 423 is followed; a registrar that raises Min-Expires each time would otherwise be asked without end.
        elif status == 423 and not self._lengthened and min_expires_of(event.response) > self._expires_s:
            self._expires_s = min_expires_of(event.response)
            self._lengthened += 1
            self._ask(self._expires_s, event.at)
        elif status in REFUSALS:
            self._refused(event.response, event.at)
        else:
            self._failed(retry_after_s(event.response), event.at)
        self._set_alarm()

    def no_response(self, event: NoResponse) -> None:
        """Process the time-out of a REGISTER."""
        if event.transaction is not self._asked:
            return
        self._asked = None
        self._unanswered(event.at)
        self._set_alarm()

    # -- inside -------------------------------------------------------------------------------------------------

    def _attempt(self, now: Instant) -> None:
        self.next_attempt_at = None
        self.state = RegistrationState.REFRESHING if self.is_registered else RegistrationState.TRYING
        self._lengthened = 0
        self._address.begin()
        self._ask(self._expires_s, now)

    def _remove(self, now: Instant) -> None:
        self.state = RegistrationState.LEAVING
        self._ask(0, now)

    def _ask(self, expires_s: int, now: Instant) -> None:
        """Send a REGISTER; a registrar without address counts as one that does not answer."""
        hop = self._address.choose(now)
        if hop is None and expires_s == 0:
            hop = self._address.latest  # a name that is out of the configuration is not looked up any more
        if hop is None:
            self._unanswered(now)
        else:
            self._send(hop, expires_s, now)

    def _send(self, hop: Hop, expires_s: int, now: Instant) -> None:
        flow, agent = self._flow_to(hop), self.terms.user_agent
        transport = self._endpoint.flows.listeners[flow].transport
        self._series.reach_by(Peer(flow, hop.host, hop.port or DEFAULT_PORTS[transport]))
        self.contact = self._contact_at(flow)
        product = f"User-Agent: {agent}\r\n" if agent else self._endpoint.agent_header
        headers = f"Contact: <{self.contact}>\r\nExpires: {expires_s}\r\n{product}Supported: path\r\n"
        self._asked = self._endpoint.client.send_request(self._series, "REGISTER", headers, b"", self, now)

    def _flow_to(self, hop: Hop) -> int:
        return self._endpoint.flows.towards(hop.host, hop.transport, self.terms.interface)

    def _contact_at(self, flow: int) -> str:
        """Return our Contact in REGISTERs that leave by a flow."""
        ours, host = self._endpoint.flows.listeners[flow], self.terms.contact_host
        return f"sip:{escape_user(self.terms.contact_user)}@{ours.address_as(host) if host else ours.address}"

    def _accepted(self, response: Response, now: Instant) -> None:
        granted_s = granted_s_of(response, self.contact, self._expires_s)
        if granted_s <= 0:  # a 200 that does not list our contact, or grants it no time: we are not registered
            self._lapse()
            self._failed(None, now)
            return
        self.failures = self._waits = 0
        self._address.succeeded()
        self.state = RegistrationState.REGISTERED
        if self.registered_at is None:
            self.registered_at = now
        self.expires_at = now.plus(1_000 * granted_s)
        self.next_attempt_at = now.plus(self._refresh_after_ms(1_000 * granted_s))
        self.service_route = service_route_of(response)
        self._report(RegistrationChange.GAINED)

    def _refresh_after_ms(self, granted_ms: int) -> int:
        """Return when to refresh a binding: at 80 % of its time, or sooner, so that a refresh can be repeated.

        A registrar that does not answer is known after ``give_up_ms`` (32 s), and the next REGISTER must not be sent
        before (RFC 3261 section 10.2.4). Not before a third of the time, which leaves none for that below 57 s.
        """
        latest_ms = granted_ms - self._endpoint.store.timers.give_up_ms - REPEAT_MS
        return max(min(granted_ms * 4 // 5, latest_ms), granted_ms // 3, REFRESH_MIN_MS)

    def _unanswered(self, now: Instant) -> None:
        self.last_status = 0
        if self.state in PARTED:
            self._end()
        else:
            self._failed(None, now)

    def _failed(self, retry_after: int | None, now: Instant) -> None:
        """Ask the next address (RFC 3263 section 4.3), or retry later; the binding is valid until it expires."""
        self._address.failed(None if retry_after is None else now.plus(_wait_ms(retry_after)))
        another = self._address.choose_another(now)
        if another is not None:
            self._send(another, self._expires_s, now)
            return
        left_ms = None if self.expires_at is None else self.expires_at.mono - now.mono
        self._back_off(self._address.rests_for_ms(now), now, left_ms)
        if self.is_registered:
            self.state = RegistrationState.REGISTERED
        else:
            self.state = RegistrationState.UNREGISTERED
            self._report(RegistrationChange.LOST)

    def _refused(self, response: Response, now: Instant) -> None:
        """Retry as after a failure, so that a corrected account works within minutes; the binding is gone at once."""
        self._address.failed()
        retry_after = retry_after_s(response)
        self._back_off(None if retry_after is None else _wait_ms(retry_after), now, None)
        if self.reported is RegistrationChange.GAINED:
            self._report(RegistrationChange.LOST)
        self._forget_binding()
        self.state = RegistrationState.REFUSED
        self._report(RegistrationChange.REFUSED)

    def _back_off(self, rests_for_ms: int | None, now: Instant, left_ms: int | None) -> None:
        """Schedule the next attempt: after the time that Retry-After leaves, else with growing delay.

        A binding that ends in ``left_ms`` is saved where that is possible: the delay is at most half of that time.
        """
        self.failures += 1
        self.failed_at = now
        if rests_for_ms is not None:
            self.next_attempt_at = now.plus(rests_for_ms + self._draw(rests_for_ms // 10 + 1))
            return
        wait_ms = min(BACK_OFF_MS << min(self._waits, 8), BACK_OFF_MAX_MS)
        if left_ms is not None and left_ms // 2 < wait_ms:
            wait_ms = max(left_ms // 2, REFRESH_MIN_MS)
        else:
            self._waits += 1
        self.next_attempt_at = now.plus(wait_ms - wait_ms // 10 + self._draw(wait_ms // 5 + 1))

    def _lapse(self) -> None:
        """Note that the registration has expired without refresh."""
        self._forget_binding()
        match self.state:
            case RegistrationState.REGISTERED:
                self.state = RegistrationState.UNREGISTERED
            case RegistrationState.REFRESHING:
                self.state = RegistrationState.TRYING
        self._report(RegistrationChange.LOST)

    def _forget_binding(self) -> None:
        self.expires_at = None
        self.registered_at = None
        self.service_route = ()

    def _end(self) -> None:
        self.state = RegistrationState.GONE
        self._forget_binding()

    def _report(self, change: RegistrationChange) -> None:
        """Report a change: none twice, and after a refusal no loss."""
        if change is self.reported or (
            change is RegistrationChange.LOST and self.reported is RegistrationChange.REFUSED
        ):
            return
        self.reported = change
        self._listener(self, change)

    def _set_alarm(self) -> None:
        """Set the timer to the earliest of the deadlines."""
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None
        times = [at for at in (self.next_attempt_at, self.expires_at) if at is not None]
        if times and self.state is not RegistrationState.GONE:
            self._alarm = self._endpoint.set_alarm(self, min(times))


def _wait_ms(retry_after_s: int) -> int:
    """Return for how long a Retry-After in seconds is respected, in milliseconds."""
    return max(1_000 * min(retry_after_s, RETRY_AFTER_MAX_S), REFRESH_MIN_MS)


def _answers(terms: Terms) -> Answers:
    """Return the credentials for the registrar; a refused password is not sent again and again."""
    return Answers(terms.login, terms.rounds_max)
