"""Report phones that come online or go offline to another program: one HTTP POST for each change.

Runs beside the calls; nothing waits for it. At most one report for each phone is queued, its latest state, however long
the service is down. After a start, and when the service changes, every online phone is reported. SIP is not known here.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from vosd.base.clock import Clock
from vosd.base.host import bracketed
from vosd.cdr.columns import iso_utc
from vosd.engine.background import send_queued
from vosd.engine.counting import Counting
from vosd.engine.poster import Poster, UndeliveredError
from vosd.engine.registration.bindings import RegistrantKind, Registrations
from vosd.engine.settings import PhoneServiceSettings
from vosd.obs.events import GONE, Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.sip.wire.outgoing import Peer

BACK_OFF_S: Final = 1.0
BACK_OFF_MAX_S: Final = 60.0
"""The wait after a failure doubles from the first to the second."""


class PhoneState(Enum):
    """Reported state of a phone."""

    ONLINE = "online"
    OFFLINE = "offline"


class PhoneReport(NamedTuple):
    """One change of one phone."""

    phone: str
    state: PhoneState
    peer: Peer | None
    """Address of the phone, or its last one; None if that is not known any more."""
    at: int
    """UTC milliseconds."""

    def to_json(self) -> bytes:
        """Return the body of its request."""
        ip, port = (None, None) if self.peer is None else (self.peer.host, self.peer.port)
        fields = {"phone": self.phone, "state": self.state.value, "ip": ip, "port": port, "ts": iso_utc(self.at)}
        return msgspec.json.encode(fields)


class PhoneService(Counting):
    """Queue of reports, and the task that sends them."""

    def __init__(
        self, clock: Clock, settings: PhoneServiceSettings | None, registered: Callable[[], Registrations]
    ) -> None:
        """``registered`` returns the table of registrations; it is called when needed."""
        self._clock = clock
        self._settings = settings
        self._registered = registered
        self._waiting: dict[str, PhoneReport] = {}
        """By phone, the oldest change first."""
        self._queued = asyncio.Event()
        self._poster = _poster_of(settings)
        self._is_away = False
        self._log_limiter = LogLimiter()

    def __len__(self) -> int:
        """Return the number of phones that wait to be reported."""
        return len(self._waiting)

    def changed(self, phone: str, place: Peer | None, /, *, is_online: bool) -> None:
        """Queue a report, in place of an unsent one of the same phone."""
        if self._settings is not None:
            state = PhoneState.ONLINE if is_online else PhoneState.OFFLINE
            self._put(PhoneReport(phone, state, place, self._clock.now().wall))

    def begin(self) -> None:
        """Report every phone that is online."""
        if self._settings is not None:
            for name, kind, binding in self._registered().listed():
                if kind is RegistrantKind.PHONE:
                    self._put(PhoneReport(name, PhoneState.ONLINE, binding.peer, binding.registered_at))

    def adjust(self, settings: PhoneServiceSettings | None) -> None:
        """Apply other settings; a new service receives a report for every online phone."""
        if settings == self._settings:
            return
        self._settings = settings
        self._hang_up()
        if self._is_away:
            _log.info(Event.PHONE_SERVICE_UP, why=GONE)
        self._is_away = False
        self._poster = _poster_of(settings)
        self._waiting.clear()
        self.begin()

    async def run(self) -> None:
        """Send the queued reports, one after the other, until cancelled."""
        try:
            await send_queued(self._queued, self._report_all, BACK_OFF_S, BACK_OFF_MAX_S)
        finally:
            self._hang_up()

    def _put(self, report: PhoneReport) -> None:
        self._waiting.pop(report.phone, None)
        self._waiting[report.phone] = report
        self._queued.set()

    async def _report_all(self) -> bool:
        """Send until the queue is empty; return False if the service is down."""
        while self._waiting and (settings := self._settings) is not None and (poster := self._poster) is not None:
            report = next(iter(self._waiting.values()))
            status, why = 0, ""
            try:
                status = await poster.post(report.to_json(), {})
            except UndeliveredError as error:
                why = str(error)
            if poster is not self._poster:  # a reload has replaced the service meanwhile: its answer says nothing now
                poster.hang_up()
                continue
            if why:
                self._failed(settings, why)
                return False
            if status >= 300 and self._log_limiter.admits(str(status), self._clock.now().mono):
                _log.warning(Event.PHONE_SERVICE_REFUSED, service=str(settings), status=status, phone=report.phone)
            self._succeeded(settings)
            if self._waiting.get(report.phone) is report:
                del self._waiting[report.phone]
        self._queued.clear()
        return True

    def _hang_up(self) -> None:
        if self._poster is not None:
            self._poster.hang_up()

    def _failed(self, settings: PhoneServiceSettings, why: str) -> None:
        if not self._is_away:
            _log.warning(Event.PHONE_SERVICE_DOWN, service=str(settings), why=why, waiting=len(self._waiting))
        self._is_away = True

    def _succeeded(self, settings: PhoneServiceSettings) -> None:
        if self._is_away:
            _log.info(Event.PHONE_SERVICE_UP, service=str(settings), waiting=len(self._waiting))
        self._is_away = False


def _poster_of(settings: PhoneServiceSettings | None) -> Poster | None:
    return None if settings is None else Poster(f"http://{bracketed(settings.host)}:{settings.port}{settings.path}")
