"""INVITEs that do not become calls: what the caller hears, and what is remembered (INTERFACES sections 3, 4 and 6)."""

from collections.abc import Callable
from typing import Final

import structlog

from vosd.b2bua.reasons import reason_headers
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.errors import Refusal
from vosd.engine.admission import Application
from vosd.engine.bookkeeping import draft
from vosd.engine.ledger import Ledger
from vosd.engine.notices import Notices
from vosd.engine.onlookers import Onlookers
from vosd.obs.log import call_line
from vosd.routing.dialect import CallerDialect, ReasonForm
from vosd.sip.endpoint import Endpoint
from vosd.sip.errors import ParseError
from vosd.sip.events import Event, InviteArrived, RegisterArrived, RequestArrived, StrangerIgnored
from vosd.sip.nat import is_behind_nat
from vosd.sip.transaction.states import State

_log = structlog.get_logger()
_STRANGERS: Final = CallerDialect()
_UNRECORDED: Final = frozenset({EndReason.UNKNOWN_SOURCE, EndReason.OVERLOAD})
"""Strangers would fill the database, and where too much waits to be written a record would only add to it."""


class Refusals:
    """Answers refused calls and leaves their records; ``entropy`` spreads the Retry-After of an overload."""

    def __init__(
        self,
        node: str,
        endpoint: Endpoint,
        ledger: Ledger,
        notices: Notices,
        onlookers: Onlookers,
        entropy: Callable[[], bytes],
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._ledger = ledger
        self._notices = notices
        self._onlookers = onlookers
        self._entropy = entropy

    def refuse(self, event: InviteArrived, arrival: Arrival, application: Application, refusal: Refusal) -> None:
        """Answer a call that was not admitted; an unknown source gets what the configuration says."""
        dialect = _STRANGERS if application.mapping is None else application.mapping.dialect
        refusal = refusal._replace(status=dialect.sent_for(refusal.status))
        if is_behind_nat(dialect.nat, event.request, event.source):
            event.transaction.answer_at(event.source)
        match refusal.reason:
            case EndReason.UNKNOWN_SOURCE:
                self._notices.stranger(StrangerIgnored(event.source, f"INVITE {event.request.uri}", event.at))
                if self._endpoint.answers_strangers:
                    self._answer(event, refusal, dialect.reasons)
                else:
                    self._endpoint.ignore(event.transaction)
            case EndReason.OVERLOAD:
                self._answer(event, refusal, dialect.reasons, f"Retry-After: {1 + self._entropy()[0] % 5}\r\n")
                self.record(arrival, application, refusal)
            case _:
                self._answer(event, refusal, dialect.reasons)
                self.record(arrival, application, refusal)

    def answer(self, event: InviteArrived, status: int, headers: str) -> None:
        """Answer an INVITE that is refused for its form: it leaves no record."""
        event.transaction.respond(status, self._endpoint.token(), self._endpoint.server_header + headers, event.at)

    def unreadable(self, event: Event, error: ParseError) -> None:
        """Answer a request that turned out to be malformed where it was read last."""
        if not isinstance(event, InviteArrived | RegisterArrived | RequestArrived):
            _log.warning("a message inside a call could not be read", reason=error.reason)
            return
        if event.transaction.state is not State.PROCEEDING:
            return  # the mistake came after the answer
        event.transaction.respond(error.status, self._endpoint.token(), self._endpoint.server_header, event.at)

    def _answer(self, event: InviteArrived, refusal: Refusal, form: ReasonForm, more: str = "") -> None:
        reason = refusal.reason
        headers = self._endpoint.server_header + reason_headers(form, reason, reason.q850_cause, refusal.status) + more
        event.transaction.respond(refusal.status, self._endpoint.token(), headers, event.at)

    def record(self, arrival: Arrival, application: Application, refusal: Refusal) -> None:
        """Leave the record of a call that was not admitted, at the instant it came, or a line in the log."""
        reason, status, detail = refusal
        if reason in _UNRECORDED:
            self._notices.refused(refusal, arrival.at)
            return
        _log.debug("call refused", call_id=arrival.call_id, reason=reason.text, detail=detail)
        ending = Ending(reason, HangupSource.SWITCH, arrival.at, status, reason.q850_cause)
        journey = Journey()
        record = draft(self._node, arrival, application, journey, ending, recorded=True)
        self._ledger.ended(record)
        call_line(record)
        self._onlookers.ended(arrival, journey, record)
