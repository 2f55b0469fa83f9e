"""What the log says again and again, and must not say each time: once a minute for each cause is enough."""

from collections import Counter

import structlog

from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import Attempt, CallRecord
from vosd.obs.events import Event
from vosd.obs.log import Seldom
from vosd.routing.failover import OUR_CREDENTIALS
from vosd.sip.events import StrangerIgnored

_log = structlog.get_logger()


class Notices:
    """Warnings that come with calls, each at most once a minute for its source, gateway or reason."""

    def __init__(self) -> None:
        self._seldom = Seldom()
        self._refreshes_failed: Counter[str] = Counter()
        """By gateway, since the start."""

    def stranger(self, event: StrangerIgnored) -> None:
        """Warn of a source that is no gateway of ours, or is not heard any more."""
        if self._seldom.admits(event.source.host, event.at.mono):
            _log.warning(event.why, source=str(event.source), request=event.summary[:200])

    def quarrels(self, record: CallRecord, at: Instant) -> None:
        """Warn of vendors that want money or credentials of us: callers are not told (INTERFACES section 4)."""
        for attempt in record.attempts:
            if attempt.code in OUR_CREDENTIALS and self._seldom.admits(f"{attempt.gateway} {attempt.code}", at.mono):
                _log.warning("vendor refuses us", gateway=attempt.gateway, code=attempt.code, call_id=record.call_id)

    def strayed(self, call_id: str, attempt: Attempt, at: Instant, *, is_recorded: bool) -> None:
        """Warn of an answer that was hung up at once: the vendor may charge for it."""
        if is_recorded and not self._seldom.admits(f"{attempt.gateway} strayed", at.mono):
            return
        _log.warning("answer hung up at once", gateway=attempt.gateway, call_id=call_id, why=attempt.reason)

    def refresh_failed(self, gateway: str, call_id: str, status: int, at: Instant) -> None:
        """Warn of a gateway that does not take refreshes of a session (TMR-12); ``status`` 408 may be silence."""
        self._refreshes_failed[gateway] += 1
        if self._seldom.admits(f"{gateway} {Event.SESSION_REFRESH_FAILED}", at.mono):
            failed = self._refreshes_failed[gateway]
            _log.warning(
                Event.SESSION_REFRESH_FAILED.value, gateway=gateway, code=status, failed=failed, call_id=call_id
            )

    def refused(self, refusal: Refusal, at: Instant) -> None:
        """Warn of a refusal that leaves no record."""
        if self._seldom.admits(refusal.reason.text, at.mono):
            _log.warning("calls refused", reason=refusal.reason.text, detail=refusal.detail)
