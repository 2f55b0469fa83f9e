"""INVITEs that do not become calls: the response, and the record of the refusal."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from vosd.b2bua.outgoing.reasons import of_signature, reason_headers
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.bucket import Bucket
from vosd.base.cause import EndReason, HangupSource, q850_of_refusal, q850_of_status
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.ids import uuid7
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.bookkeeping import draft
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.callcontrol.ports import CallObserver, CallReporter, CallSink
from vosd.engine.calls.notices import Notices
from vosd.obs.events import log as _log
from vosd.obs.figures import Figure
from vosd.obs.log import call_line
from vosd.sip.drops import Drop
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import (
    Event,
    InviteArrived,
    InviteRefused,
    RegisterArrived,
    RequestArrived,
    StandaloneArrived,
    UnknownSourceIgnored,
)
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.own_answers import warning_of
from vosd.sip.screening import EXPLAINED
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.traffic.counted import TrafficKey, TrafficKind
from vosd.trunks.dialect import CallerDialect, ReasonForm

A_SECOND: Final = 10
"""Records a second at most; a flood would fill the database."""
_REMEMBERED_MAX: Final = 1_024

_UNKNOWN_SOURCES: Final = CallerDialect()
_STALE_DATE: Final = b"SIP/2.0 403 Stale Date\r\n"
"""Status line for a token that was signed too long ago (RFC 8224 section 6.2.2)."""
_UNRECORDED: Final = frozenset({EndReason.UNKNOWN_SOURCE, EndReason.OVERLOAD})
"""Unknown sources would fill the database; under overload of the database a record would add to it."""


_BY_ACCESS: Final = frozenset({EndReason.GEOFENCE_BLOCKED, EndReason.USER_AGENT_NOT_ALLOWED})
_OF_KNOWN: Final = _BY_ACCESS | {EndReason.NUMBER_NOT_ALLOWED}
"""Reasons for which calls are refused by ``Admission.identify`` whose trunk is known."""


class IllegalCalls:
    """Choose the calls of unknown sources that leave a record, where one is wanted: a bounded number, each once.

    The sender repeats an INVITE that is not answered for half a minute.
    """

    def __init__(self) -> None:
        self._bucket = Bucket(A_SECOND, 0)
        self._seen: dict[tuple[str, str], None] = {}
        """Source and Call-ID of the latest ones."""

    def admits(self, event: UnknownSourceIgnored) -> bool:
        """Return whether this INVITE leaves a record."""
        request = event.request
        if request is None or request.method != "INVITE" or event.why is not Drop.UNKNOWN_SOURCE:
            return False
        key = (str(event.source), request.call_id)
        if key in self._seen or not self._bucket.take(1, A_SECOND, A_SECOND, event.at.mono / 1_000):
            return False
        if len(self._seen) >= _REMEMBERED_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = None
        return True


class Refusals:
    """Answers refused calls and writes their records; ``entropy`` spreads the Retry-After of an overload."""

    def __init__(
        self,
        node: str,
        endpoint: Endpoint,
        sink: CallSink,
        notices: Notices,
        observer: CallObserver,
        entropy: Callable[[], bytes],
        admission: Admission,
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._sink = sink
        self._notices = notices
        self._observer = observer
        self._entropy = entropy
        self.adopt(admission)
        self._illegal = IllegalCalls()
        self.reporter: CallReporter | None = None
        """As in ``CallServices``; calls of unknown sources are not reported."""

    def adopt(self, admission: Admission) -> None:
        """Take another catalogue: it says which of the calls that are not admitted leave records."""
        self._admission, parameters = admission, admission.catalogue.parameters
        self._is_emergency = parameters.special_numbers.is_emergency
        self._records_zero = parameters.record_zero_hold_time
        self._records_illegal = parameters.record_illegal_calls

    def refuse(self, event: InviteArrived, arrival: Arrival, call_request: CallRequest, refusal: Refusal) -> None:
        """Answer a call that was not admitted; an unknown source gets what the configuration says."""
        dialect = _UNKNOWN_SOURCES if call_request.mapping is None else call_request.mapping.dialect
        refusal = refusal._replace(status=dialect.sent_for(refusal.status))
        if is_answered_where_seen(dialect.nat, event.request, event.source):
            event.transaction.answer_at(event.source)
        match refusal.reason:
            case EndReason.UNKNOWN_SOURCE:
                status = refusal.status if self._endpoint.answers_unknown_sources else None
                summary = f"INVITE {event.request.uri}"
                self.unknown_source(
                    UnknownSourceIgnored(event.source, summary, event.at, request=event.request, status=status)
                )
                if status is not None:
                    self._answer(event, refusal, dialect.reasons)
                else:
                    self._endpoint.ignore(event.transaction)
            case EndReason.OVERLOAD:
                self._answer(event, refusal, dialect.reasons, f"Retry-After: {1 + self._entropy()[0] % 5}\r\n")
                self.record(arrival, call_request, refusal)
            case _:
                more = EXPLAINED.get(refusal.status, "")
                if call_request.identity_status:
                    more += of_signature(dialect.reasons, call_request.identity_status)
                is_stale = refusal.reason is EndReason.IDENTITY_INVALID and call_request.identity_status == 403
                line = _STALE_DATE if is_stale and refusal.status == 403 else None
                self._answer(event, refusal, dialect.reasons, more, line)
                self.record(arrival, call_request, refusal)

    def unknown_source(self, event: UnknownSourceIgnored) -> None:
        """Log a request of an unknown source, and report an INVITE to people who follow calls.

        It leaves no record, because unknown sources could fill the database, unless the configuration wants one; of
        those there are not many a second.
        """
        self._notices.unknown_source(event)
        request = event.request
        if request is None or request.method != "INVITE":
            return
        is_recorded = self._records_illegal and self._illegal.admits(event)
        call_request = CallRequest(event.source.host, event.source.port, 0, at=event.at)
        if not is_recorded:
            self._count(TrafficKind.UNKNOWN, call_request, event.at, EndReason.UNKNOWN_SOURCE, event.status)
        if not (is_recorded or self._observer.are_present):
            return
        numbers, callee = InviteNumbers(request), request.uri
        caller = numbers.calling()
        with suppress(ParseError):
            callee = numbers.called()
        call_id = uuid7(event.at.wall, self._entropy())
        arrival = Arrival(call_id, caller, callee, request.call_id, str(event.source), event.at)
        reason = EndReason.UNKNOWN_SOURCE
        ending = Ending(reason, HangupSource.SWITCH, event.at, event.status, reason.q850_cause)
        journey = Journey()
        record = draft(self._node, arrival, call_request, journey, ending)
        if is_recorded:
            self._sink.ended(record)
            call_line(record)
        self._observer.ended(arrival, journey, record)

    def refuse_extension(
        self, event: InviteArrived, arrival: Arrival, call_request: CallRequest, status: int, headers: str
    ) -> None:
        """Answer a call that requires an extension which its trunk does not allow, or lacks one (420, 421, 422).

        The trunk's map of codes does not apply, because ``headers`` belong to the code.
        """
        dialect = _UNKNOWN_SOURCES if call_request.mapping is None else call_request.mapping.dialect
        if is_answered_where_seen(dialect.nat, event.request, event.source):
            event.transaction.answer_at(event.source)
        reason = EndReason.SESSION_INTERVAL_TOO_SMALL if status == 422 else EndReason.UNAVAILABLE
        self.answer(event, status, headers, dialect.reasons, reason)
        self.record(arrival, call_request, Refusal(reason, status, headers.strip()))

    def answer(
        self,
        event: InviteArrived,
        status: int,
        headers: str,
        form: ReasonForm = _UNKNOWN_SOURCES.reasons,
        reason: EndReason | None = None,
    ) -> None:
        """Answer an INVITE that is malformed or not acceptable; no record is written here.

        Without a record there is no end ``reason``, and the Reason has no text.
        """
        headers += reason_headers(form, reason, q850_of_status(status), status)
        event.transaction.respond(status, self._endpoint.token(), self._endpoint.server_header + headers, event.at)

    def unreadable(self, event: Event, error: ParseError) -> None:
        """Answer a request that turned out to be malformed while it was processed."""
        if not isinstance(event, InviteArrived | RegisterArrived | StandaloneArrived | RequestArrived):
            _log.warning("message_unreadable", reason=error.reason)
            return
        if event.transaction.state is not TransactionState.PROCEEDING:
            return  # the error occurred after the answer
        if isinstance(event, InviteArrived):
            is_own = error.reason is Flaw.OWN_ERROR
            sent_by = self._endpoint.flows.listeners[event.source.flow].sent_by
            self.answer(event, error.status, "" if is_own else warning_of(error, sent_by))
            if not is_own:  # the same error might occur again
                status, why = error.status, str(error)
                self.note_refused(InviteRefused(event.request, event.source, event.at, status, why, event.user))
        else:
            event.transaction.respond(error.status, self._endpoint.token(), self._endpoint.server_header, event.at)

    def note_refused(self, event: InviteRefused) -> None:
        """Record a call to an emergency number that was refused before its trunk was known; other ones leave no CDR.

        So do the calls of known trunks that were refused for the address that they come from.
        """
        request, source, at = event.request, event.source, event.at
        numbers = InviteNumbers(request)
        call_request = CallRequest(
            source.host, source.port, 0, at=at, numbers=numbers, user=event.user, refusal=event.why
        )
        with suppress(ParseError):
            refused = self._admission.identify(call_request)
            is_known = refused is None or refused.reason in _OF_KNOWN
            call_request.numbers = None
            reason = EndReason.GEOFENCE_BLOCKED if event.is_blocked else EndReason.UNAVAILABLE
            if is_known and (event.is_blocked or self._is_emergency(call_request.callee_billing)):
                call_id, came = uuid7(at.wall, self._entropy()), at.came if at.waited_ms else at
                caller, callee = call_request.caller_in, call_request.callee_in
                arrival = Arrival(call_id, caller, callee, request.call_id, str(source), came)
                self.record(arrival, call_request, Refusal(reason, event.status, event.why))
            else:
                kind = TrafficKind.UNKNOWN if call_request.mapping is None else TrafficKind.NO_CDR
                self._count(kind, call_request, at, reason, event.status)

    def _count(
        self, kind: TrafficKind, call_request: CallRequest, at: Instant, reason: EndReason, status: int | None
    ) -> None:
        """Count an INVITE that leaves no record in the sums of reports."""
        account, mapping = call_request.account, call_request.mapping
        key = TrafficKey(
            kind, customer_account=account.id if account else "", mapping_gateway=mapping.name if mapping else "",
            end_reason=reason.text, sip_code=status or 0, hangup_source=HangupSource.SWITCH.text,
        )  # fmt: skip
        self._notices.without_cdr.note_refused(at.came.wall, key)

    def _answer(
        self, event: InviteArrived, refusal: Refusal, form: ReasonForm, more: str = "", line: bytes | None = None
    ) -> None:
        reason = refusal.reason
        cause = q850_of_refusal(reason, refusal.status)
        headers = self._endpoint.server_header + reason_headers(form, reason, cause, refusal.status) + more
        event.transaction.respond(refusal.status, self._endpoint.token(), headers, event.at, line=line)

    def record(self, arrival: Arrival, call_request: CallRequest, refusal: Refusal) -> None:
        """Write the record of a call that was not admitted, with the instant of its arrival, or a line in the log."""
        reason, status, detail = refusal
        if reason in _UNRECORDED:
            self._notices.refused(refusal, arrival.at)
            self._count(TrafficKind.NO_CDR, call_request, arrival.at, reason, status)
            return
        _log.debug("call_refused", call_id=arrival.call_id, reason=reason.text, detail=detail)
        ending = Ending(reason, HangupSource.SWITCH, arrival.at, status, q850_of_refusal(reason, status))
        call_request.refusal = call_request.refusal or detail
        journey, recorded = Journey(), self._records_zero or self._is_emergency(call_request.callee_billing)
        record = draft(self._node, arrival, call_request, journey, ending, recorded=recorded)
        if reason in _BY_ACCESS:
            account, name = record.customer_account, record.mapping_gateway
            self._notices.access_refused(account, name, record.source_address, detail, arrival.at)
        if record.recorded:
            self._sink.ended(record)
        else:
            self._notices.counted[Figure.CALLS_WITHOUT_CDR] += 1
            self._notices.without_cdr.note(record)
        call_line(record)
        self._observer.ended(arrival, journey, record)
        if self.reporter is not None:
            self.reporter.ended(record)
