"""Relay requests that belong to no call: MESSAGE by rule, and what telephones and their mailboxes tell each other.

A MESSAGE is admitted like a call, but costs nothing and leaves a line in the log instead of a CDR (RFC 3428).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from vosd.b2bua.identity import caller_identity_of
from vosd.base.bucket import Bucket
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.callcontrol.number_billing import bill_number
from vosd.callcontrol.payers import payers_objection
from vosd.catalogue.catalogue import Catalogue, UserChanges
from vosd.engine.counting import Counting
from vosd.engine.messages.delivery import TOO_LARGE, DeliveryOutcome, RelayPlace, RequestDelivery
from vosd.engine.messages.destinations import places_of
from vosd.engine.messages.mailboxes import ALLOW_EVENTS, places_of_notification, places_of_subscription
from vosd.engine.messages.writing import (
    BODY_MAX,
    MessageSender,
    OutgoingMessage,
    copied,
    written_as_it_came,
    written_message,
)
from vosd.obs.events import log as _log
from vosd.obs.figures import Figure
from vosd.obs.log import LogLimiter
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import StandaloneArrived
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.screening import hops_left, own_branch
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import MappingGateway

OPEN_MAX: Final = 1_000
"""Most requests that wait for an answer; more are 503."""
OPEN_OF_ONE_MAX: Final = 50
"""Most of one phone, or of one trunk with a login."""
BURST: Final = 10
"""MESSAGEs that a sender may send at once, if it may send so many in a minute."""
_STEPS: Final = (Admission.identify, Admission.check_open, Admission.check_loop)
_BUSY: Final = "Retry-After: 5\r\n"
_MINUTE: Final = "Retry-After: 60\r\n"
_LOOPED: Final = Refusal(EndReason.LOOP, 482, "a Via of this switch is in the request already")
_OF_OUR_REQUEST: Final = {
    401: 503, 402: 503, 407: 503, 408: 480, 430: 480, 420: 503, 421: 503, 422: 503, 483: 480, 494: 503,
}  # fmt: skip
"""Statuses that are about our own request, and what its sender gets instead; never 408 (RFC 4320 section 4.2)."""


class MessageRelay(Counting):
    """Takes the requests outside of dialogs that go on to another party."""

    def __init__(
        self,
        endpoint: Endpoint,
        catalogue: Catalogue,
        admission: Callable[[], Admission],
        closed: Callable[[], Refusal | None],
    ) -> None:
        """``closed`` returns why nothing new is taken."""
        self._endpoint = endpoint
        self._admission = admission
        self._closed = closed
        self._senders: dict[str, Bucket] = {}
        """Messages that each sender may still send, by name of its trunk or phone."""
        self._with_messages = {name for name, each in catalogue.mapping_gateways.items() if each.messages_per_minute}
        """Trunks and phones that may send any."""
        self._open: set[RequestDelivery] = set()
        self._open_of: Counter[str] = Counter()
        """Number of them by user who has authenticated."""
        self._log_limiter = LogLimiter()
        self._delivered = self._refused = self._notified = 0

    def adopt(self, catalogue: Catalogue, changes: UserChanges) -> None:
        """Relay what the trunks and phones of another catalogue send and are sent; it costs what has changed."""
        self._with_messages |= changes.with_messages
        self._with_messages -= changes.without_messages
        for name in self._senders.keys() & changes.without_messages:
            del self._senders[name]
        methods = {"MESSAGE"} if self._with_messages else set[str]()
        self._endpoint.relay(frozenset(methods | {"SUBSCRIBE", "NOTIFY"} if catalogue.mailboxes else methods))

    def take(self, event: StandaloneArrived) -> None:
        """Relay a request, or answer it; raises ParseError where a header that is needed is malformed."""
        if len(self._open) >= OPEN_MAX or (event.user and self._open_of[event.user] >= OPEN_OF_ONE_MAX):
            self._answer(event, 503, _BUSY)
            return
        match event.request.method:
            case "MESSAGE":
                self._take_message(event)
            case "SUBSCRIBE":
                self._take_subscription(event)
            case _:
                self._take_notification(event)

    def census(self) -> Mapping[Figure, int]:
        """Return the requests that wait for an answer."""
        return {Figure.RELAYS: len(self._open)}

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start."""
        return {
            Figure.MESSAGES_DELIVERED: self._delivered,
            Figure.MESSAGES_REFUSED: self._refused,
            Figure.NOTIFICATIONS: self._notified,
        }

    # -- MESSAGE ------------------------------------------------------------------------------------------------

    def _take_message(self, event: StandaloneArrived) -> None:
        request, source, admission = event.request, event.source, self._admission()
        identity = caller_identity_of(request)
        call = CallRequest(
            source_host=source.host,
            source_port=source.port,
            hops=hops_left(request),
            looped=_LOOPED if own_branch(request, self._endpoint.flows.mark) else None,
            at=event.at,
            numbers=InviteNumbers(request),
            closed=self._closed(),
            user=event.user,
            caller_privacy=identity.privacy,
        )
        for step in _STEPS:
            refusal = step(admission, call)
            if isinstance(refusal, Refusal):
                self._refuse(event, call, refusal.status, refusal.detail)
                return
        mapping, account = call.mapping, call.account
        if mapping is None or account is None or not mapping.messages_per_minute:
            self._refuse(event, call, 403, "its trunk or phone may send no messages")
        elif not self._may_send(mapping, event.at):
            self._refuse(event, call, 503, f"more than {mapping.messages_per_minute} messages a minute", _MINUTE)
        elif len(request.body) > BODY_MAX:
            self._refuse(event, call, TOO_LARGE, f"a body of {len(request.body)} bytes")
        elif isinstance(refusal := _number_objection(admission, call, account), Refusal):
            self._refuse(event, call, refusal.status, refusal.detail)
        elif isinstance(groups := places_of(admission, call), Refusal):
            self._refuse(event, call, groups.status, groups.detail)
        else:
            limit = admission.catalogue.parameters.challenges_max
            numbers, drops = (call.callee_in, call.caller_in), mapping.drops_caller
            identity = identity.withheld_as(call.caller_privacy)  # a diversion may have asked for it
            if mapping.caller_numbers is not None:
                identity = identity.of_user(mapping.caller_numbers.permits)
            sender = MessageSender(account.id, mapping.name, identity, *numbers, call.hops, limit, drops)
            write = partial(written_message, self._endpoint, request, sender)
            self._begin(event, groups, write, partial(self._sent, event, call))

    def _may_send(self, mapping: MappingGateway, now: Instant) -> bool:
        a_minute, seconds = mapping.messages_per_minute, now.mono / 1_000
        burst = min(a_minute, BURST)
        bucket = self._senders.get(mapping.name)
        if bucket is None:
            bucket = self._senders[mapping.name] = Bucket(burst, seconds)
        return bucket.take(1, a_minute / 60, burst, seconds)

    def _sent(self, event: StandaloneArrived, call: CallRequest, outcome: DeliveryOutcome, now: Instant) -> None:
        """Answer the sender of a MESSAGE."""
        gateway = None if outcome.place is None else outcome.place.gateway.name
        status = outcome.status
        if status >= 300:
            counted = 480 if status < 400 else _OF_OUR_REQUEST.get(status, status)
            self._refuse(event, call, counted, f"answered with {status}", gateway=gateway, now=now)
            return
        self._delivered += 1
        _log.info("message_delivered", gateway=gateway, code=status, **_described(event, call))
        self._answer(event, status, now=now)

    def _refuse(
        self, event: StandaloneArrived, call: CallRequest, status: int, why: str, headers: str = "",
        *, gateway: str | None = None, now: Instant | None = None,
    ) -> None:  # fmt: skip
        self._refused += 1
        if call.mapping is not None:
            status = call.mapping.dialect.sent_for(status)
        customer = "" if call.mapping is None else call.mapping.name
        if self._log_limiter.admits(f"{customer} {status}", event.at.mono):
            _log.info("message_refused", gateway=gateway, code=status, why=why, **_described(event, call))
        self._answer(event, status, headers, now=now)

    # -- mailboxes ----------------------------------------------------------------------------------------------

    def _take_subscription(self, event: StandaloneArrived) -> None:
        found, hops = places_of_subscription(event, self._admission()), hops_left(event.request)
        if isinstance(found[0], int):
            self._answer(event, found[0], found[1])
        elif hops < 0:
            self._answer(event, 483)
        else:
            write = partial(written_as_it_came, self._endpoint, event.request, contact_user=found[1], hops=hops)
            self._begin(event, [[each] for each in found[0]], write, partial(self._subscribed, event))

    def _subscribed(self, event: StandaloneArrived, outcome: DeliveryOutcome, now: Instant) -> None:
        """Answer a SUBSCRIBE: its dialog is that of the gateway, its target is the switch."""
        status, response = outcome.status, outcome.response
        headers = ""
        if status < 300 and response is not None:
            headers = self._endpoint.flows.contacts[event.source.flow] + copied(response, "expires")
        elif status == 423 and response is not None:
            headers = copied(response, "min-expires")
        elif status == 489:
            headers = ALLOW_EVENTS
        self._answer(event, _OF_OUR_REQUEST.get(status, status), headers, response, now=now)

    def _take_notification(self, event: StandaloneArrived) -> None:
        found, hops = places_of_notification(event, self._admission()), hops_left(event.request)
        if isinstance(found, tuple):
            self._answer(event, *found)
        elif hops < 0 or len(event.request.body) > BODY_MAX:
            self._answer(event, 483 if hops < 0 else TOO_LARGE)
        else:
            write = partial(written_as_it_came, self._endpoint, event.request, contact_user="", hops=hops)
            self._begin(event, [found], write, partial(self._notified_of, event))

    def _notified_of(self, event: StandaloneArrived, outcome: DeliveryOutcome, now: Instant) -> None:
        """Answer a NOTIFY."""
        self._notified += outcome.status < 300
        status = _OF_OUR_REQUEST.get(outcome.status, outcome.status)
        self._answer(event, status, "", outcome.response, now=now)

    # -- both ---------------------------------------------------------------------------------------------------

    def _begin(
        self,
        event: StandaloneArrived,
        groups: Sequence[Sequence[RelayPlace]],
        write: Callable[[RelayPlace], OutgoingMessage],
        answer: Callable[[DeliveryOutcome, Instant], None],
    ) -> None:
        """Send a request, as ``write`` writes it for each place, and have its sender answered."""

        def send(owner: RequestDelivery, place: RelayPlace, now: Instant) -> Client | None:
            message = write(place)
            if not message.fits(self._endpoint):
                return None
            dialog, method, headers, body = message
            return self._endpoint.client.send_request(dialog, method, headers, body, owner, now)

        def ended(delivery: RequestDelivery, outcome: DeliveryOutcome, now: Instant) -> None:
            self._open.discard(delivery)
            self._open_of[event.user] -= 1
            if not self._open_of[event.user]:
                del self._open_of[event.user]
            answer(outcome, now)

        delivery = RequestDelivery(self._endpoint, groups, send, ended)
        self._open.add(delivery)
        self._open_of[event.user] += 1
        event.transaction.defer_response(self._endpoint.server_header, event.at)
        delivery.begin(event.at)

    def _answer(
        self, event: StandaloneArrived, status: int, headers: str = "", response: Response | None = None,
        *, now: Instant | None = None,
    ) -> None:  # fmt: skip
        """Answer a request; with the tag of ``response``, which it shares its dialog with."""
        endpoint, transaction = self._endpoint, event.transaction
        if transaction.state is not TransactionState.PROCEEDING:
            return  # an error of ours was answered before
        gateway = self._admission().catalogue.mapping_gateways.get(event.user)
        if gateway is not None and is_answered_where_seen(gateway.dialect.nat, event.request, event.source):
            transaction.answer_at(event.source)
        tag = endpoint.token() if response is None or not response.to_tag else response.to_tag
        transaction.respond(status, tag, endpoint.server_header + headers, now or event.at)


def _number_objection(admission: Admission, call: CallRequest, account: Account) -> Refusal | None:
    """Find the number of a MESSAGE and the one that would be billed; return why its sender may not send to it."""
    refusal = admission.check_number(call) or bill_number(admission, call)
    return refusal or payers_objection(call, account, admission.catalogue, admission.live)


def _described(event: StandaloneArrived, call: CallRequest) -> dict[str, object]:
    """Return what the log says of a MESSAGE; never its text."""
    return {
        "source": str(event.source),
        "customer": None if call.mapping is None else call.mapping.name,
        "caller": call.caller or call.caller_in,
        "callee": call.callee or call.callee_in,
        "bytes": len(event.request.body),
    }
