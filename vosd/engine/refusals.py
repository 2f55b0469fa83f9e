"""INVITEs that do not become calls: what the caller hears, and what is remembered (INTERFACES sections 3, 4 and 6)."""

from collections.abc import Callable

import structlog

from vosd.b2bua.call import reason_line
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.errors import Refusal
from vosd.engine.admission import Application
from vosd.engine.bookkeeping import draft
from vosd.engine.ledger import Ledger
from vosd.engine.notices import Notices
from vosd.obs.log import call_line
from vosd.sip.endpoint import Endpoint
from vosd.sip.errors import ParseError
from vosd.sip.events import Event, InviteArrived, RequestArrived, StrangerIgnored
from vosd.sip.transaction.states import State

_log = structlog.get_logger()


class Refusals:
    """Answers refused calls and leaves their records; ``entropy`` spreads the Retry-After of an overload."""

    def __init__(
        self, node: str, endpoint: Endpoint, ledger: Ledger, notices: Notices, entropy: Callable[[], bytes]
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._ledger = ledger
        self._notices = notices
        self._entropy = entropy

    def refuse(self, event: InviteArrived, arrival: Arrival, application: Application, refusal: Refusal) -> None:
        """Answer a call that was not admitted; an unknown source gets what the configuration says."""
        match refusal.reason:
            case EndReason.UNKNOWN_SOURCE:
                self._notices.stranger(StrangerIgnored(event.source, f"INVITE {event.request.uri}", event.at))
                if self._endpoint.answers_strangers:
                    self._answer(event, refusal)
                else:
                    self._endpoint.ignore(event.transaction)
            case EndReason.OVERLOAD:  # too much waits to be written already: a record would only add to it
                self._answer(event, refusal, f"Retry-After: {1 + self._entropy()[0] % 5}\r\n")
                self._notices.refused(refusal, event.at)
            case _:
                self._answer(event, refusal)
                self._record(event, arrival, application, refusal)

    def unreadable(self, event: Event, error: ParseError) -> None:
        """Answer a request that turned out to be malformed where it was read last."""
        if not isinstance(event, InviteArrived | RequestArrived):
            _log.warning("a message inside a call could not be read", reason=error.reason)
            return
        if event.transaction.state is not State.PROCEEDING:
            return  # the mistake came after the answer
        event.transaction.respond(error.status, self._endpoint.token(), self._endpoint.server_header, event.at)

    def _answer(self, event: InviteArrived, refusal: Refusal, more: str = "") -> None:
        reason = refusal.reason
        headers = self._endpoint.server_header + reason_line(reason, reason.q850_cause) + more
        event.transaction.respond(refusal.status, self._endpoint.token(), headers, event.at)

    def _record(self, event: InviteArrived, arrival: Arrival, application: Application, refusal: Refusal) -> None:
        reason, status, detail = refusal
        _log.debug("call refused", call_id=arrival.call_id, reason=reason.text, detail=detail)
        ending = Ending(reason, HangupSource.SWITCH, event.at, status, reason.q850_cause)
        record = draft(self._node, arrival, application, Journey(), ending, recorded=True)
        self._ledger.ended(record)
        call_line(record)
