"""Warnings about calls, logged at most once a minute for each cause."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from vosd.b2bua.call import Call
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import Attempt, CallRecord
from vosd.engine.counting import Counting
from vosd.engine.peers.unknown_sources import NearMatches
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.obs.log import LogLimiter
from vosd.routing.dynamic_lists import ListedCaller
from vosd.routing.failover import OUR_CREDENTIALS
from vosd.sip.door.door import WaitingMessage
from vosd.sip.drops import Drop
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived, UnknownSourceIgnored
from vosd.sip.transaction.client import Client
from vosd.sip.wire.outgoing import Peer
from vosd.traffic.live_counts import AttemptsWithoutCdr
from vosd.trunks.gateways import RoutingGateway

LATE_PRACK_MS: Final = 5_000
"""Time between the answers of vendor and switch from which on it is reported: few lose several PRACKs in a row."""
_CALL_ID: Final = b"\r\nCall-ID: "

VendorsByHost: TypeAlias = Mapping[str, Mapping[str, Sequence[int | None]]]
"""Routing gateways by their configured hosts, and the ports that each has there."""


class Notices(Counting):
    """Warnings that come with calls, each at most once a minute for its source, gateway or reason."""

    def __init__(self, endpoint: Endpoint) -> None:
        """``endpoint`` is asked to report BYEs that are not answered."""
        endpoint.set_unclaimed_owner(self)
        self.vendors: VendorsByHost = {}
        self.near_matches = NearMatches()
        self._log_limiter = LogLimiter()
        self.byes_unanswered = 0
        """Since the start."""
        self.refreshes_failed: Counter[str] = Counter()
        """Refreshes of a session that a peer did not take: by gateway or phone, since the start."""
        self.unrecorded: Counter[EndReason] = Counter()
        """Calls that were refused without a record, since the start."""
        self.counted: Counter[Figure] = Counter()
        """Figures that are counted in the path of a call, since the start."""
        self.without_cdr = AttemptsWithoutCdr()
        """Attempts that left no CDR, for the sums of reports."""

    def doorkeeper_failed(self, waiting: WaitingMessage, error: Exception, at: Instant) -> None:
        """Report an error of the doorkeeper: its message did not wait for what it would have said."""
        if self._log_limiter.admits("doorkeeper_failed", at.mono):
            call = waiting.call
            call_id = call.arrival.call_id if isinstance(call, Call) else None
            _log.error("doorkeeper_failed", message=type(waiting.message).__name__, call_id=call_id, exc_info=error)

    def unknown_source(self, event: UnknownSourceIgnored) -> None:
        """Warn about an unknown or locked-out source, and name gateways with similar addresses."""
        if not self._log_limiter.admits(event.source.host, event.at.mono):
            return
        nearly = self.near_matches.of(event.source, event.request, event.at) if event.why is Drop.UNKNOWN_SOURCE else []
        answer = {} if event.status is None else {"answered": event.status}
        more = {"nearly": nearly} if nearly else {}
        _log.warning(event.why.event, source=str(event.source), request=event.summary[:200], **answer, **more)

    def source_denied(self, host: str, why: str, gateways: Sequence[str], at: Instant) -> None:
        """Warn that the requests of a known source are dropped by the rules of access."""
        if self._log_limiter.admits(f"{host} {Event.SOURCE_DENIED}", at.mono):
            names = [*gateways, *self.vendors.get(host, ())]
            _log.warning(Event.SOURCE_DENIED.value, source=host, gateways=names, why=why)

    def access_refused(self, account: str | None, name: str | None, source: str, why: str, at: Instant) -> None:
        """Warn about a call of a known customer that was refused for where it or its media come from, or its agent."""
        if self._log_limiter.admits(f"{name} {Event.ACCESS_REFUSED}", at.mono):
            _log.warning(Event.ACCESS_REFUSED.value, account=account, name=name, source=source, why=why)

    def account_refused(self, record: CallRecord, at: Instant) -> None:
        """Warn about vendors that refuse our credentials or want payment; the caller is sent another code."""
        for attempt in record.attempts:
            if attempt.code in OUR_CREDENTIALS and self._log_limiter.admits(
                f"{attempt.gateway} {attempt.code}", at.mono
            ):
                _log.warning(Event.ACCOUNT_REFUSED, gateway=attempt.gateway, code=attempt.code, call_id=record.call_id)

    def late_answer(self, call_id: str, attempt: Attempt, at: Instant, *, is_recorded: bool) -> None:
        """Warn about a late 2xx that the vendor may charge for; it was answered with BYE."""
        if is_recorded and not self._log_limiter.admits(f"{attempt.gateway} late answer", at.mono):
            return
        _log.warning("answer_released", gateway=attempt.gateway, call_id=call_id, why=attempt.reason)

    def unacknowledged_answer(self, record: CallRecord, at: Instant) -> None:
        """Warn about a customer that sent no PRACK for early media, or a late one: until then the vendor alone is paid.

        The caller may have had the media of the callee: the SDP was in the response that it did not acknowledge.
        """
        if record.answered_at is None and record.hangup_source == "switch":
            return
        customer, gateway = record.mapping_gateway, record.routing_gateway
        if self._log_limiter.admits(f"{customer} unacknowledged", at.mono):
            _log.warning(
                Event.ANSWER_UNHEARD, customer=customer, gateway=gateway, call_id=record.call_id, cost=str(record.cost)
            )

    def sold_below_cost(self, record: CallRecord, at: Instant) -> None:
        """Warn about a call that the vendor charges more for than the customer pays."""
        account, prefix, gateway = record.customer_account, record.rate_prefix, record.routing_gateway
        if record.loss is not None and self._log_limiter.admits(f"{account} {prefix} {gateway} loss", at.mono):
            _log.warning(
                Event.LOSS_CALLS,
                account=account,
                prefix=prefix,
                gateway=gateway,
                loss=format_amount(record.loss),
                currency=record.loss_currency,
                call_id=record.call_id,
                do=f"vosd cdr list --loss --account {account}, vosd route explain",
            )

    def no_response(self, event: NoResponse) -> None:
        """Warn about a peer that does not answer our BYE: it may still bill the call.

        The CDR is found by the Call-ID: ``vosd cdr list --sip-call-id``.
        """
        if not isinstance(event.transaction, Client):
            return
        peer, data = event.transaction.sent.peer, event.transaction.sent.data
        if not data.startswith(b"BYE "):
            return
        self.byes_unanswered += 1
        if self._log_limiter.admits(f"{peer.host} {Event.BYE_UNANSWERED}", event.at.mono):
            _log.warning(
                Event.BYE_UNANSWERED.value,
                peer=str(peer),
                **self._vendors_at(peer),
                sip_call_id=_call_id_of(data),
                unanswered=self.byes_unanswered,
            )

    def response_came(self, event: ResponseArrived) -> None:
        """Warn about a peer that refuses our BYE, because it may still bill the call; 481 is no refusal."""
        if not isinstance(event.transaction, Client):
            return
        peer, data = event.transaction.sent.peer, event.transaction.sent.data
        if data.startswith(b"BYE ") and self._log_limiter.admits(f"{peer.host} {Event.BYE_REFUSED}", event.at.mono):
            _log.warning(
                Event.BYE_REFUSED.value,
                peer=str(peer),
                **self._vendors_at(peer),
                sip_call_id=_call_id_of(data),
                code=event.response.status,
            )

    def refresh_failed(self, gateway: str, call_id: str, status: int, at: Instant) -> None:
        """Warn about a gateway that does not take refreshes of a session; ``status`` 408 may be silence."""
        self.refreshes_failed[gateway] += 1
        if self._log_limiter.admits(f"{gateway} {Event.SESSION_REFRESH_FAILED}", at.mono):
            failed = self.refreshes_failed[gateway]
            _log.warning(
                Event.SESSION_REFRESH_FAILED.value, gateway=gateway, code=status, failed=failed, call_id=call_id
            )

    def _vendors_at(self, peer: Peer) -> Mapping[str, list[str]]:
        """Return the routing gateways at an address, which may stand for other vendors at its other ports.

        Those of its host where none has that port: a peer may have named another one. Customers and phones are none.
        """
        at_host = self.vendors.get(peer.host, {})
        names = [name for name, ports in at_host.items() if peer.port in ports] or list(at_host)
        return {"gateways": names} if names else {}

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start, for ``vosd status``."""
        return {**self.counted, Figure.REFUSED_FOR_OVERLOAD: self.unrecorded[EndReason.OVERLOAD]}

    def refused(self, refusal: Refusal, at: Instant) -> None:
        """Count a refusal that leaves no record, and warn of it."""
        self.unrecorded[refusal.reason] += 1
        if self._log_limiter.admits(refusal.reason.text, at.mono):
            count = self.unrecorded[refusal.reason]
            _log.warning("calls_refused", reason=refusal.reason.text, refused=count, detail=refusal.detail)


def caller_listed(listing: ListedCaller) -> None:
    """Warn about a caller that was put on the dynamic blacklist: it is refused for a while."""
    _log.warning(
        Event.CALLER_BLACKLISTED.value,
        gateway=listing.gateway,
        caller=listing.caller,
        cause=listing.cause.value,
        limit=listing.limit,
        until=iso_utc(listing.until),
    )


def vendors_by_host(gateways: Iterable[RoutingGateway]) -> VendorsByHost:
    """Return the names of the routing gateways at each host that is configured, with their ports."""
    found: dict[str, dict[str, list[int | None]]] = {}
    for gateway in gateways:
        for address in gateway.places:
            found.setdefault(address.host, {}).setdefault(gateway.name, []).append(address.port)
    return found


def _call_id_of(request: bytes) -> str:
    return request.partition(_CALL_ID)[2].partition(b"\r\n")[0].decode("utf-8", "replace")
