"""Alarms to an HTTP server: one signed POST for each change, in order, repeated until it is taken (ADR 70)."""

from typing import Final

import msgspec

from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.engine.alarms.desk import row
from vosd.engine.alarms.output import AlarmOutput
from vosd.engine.background import send_queued
from vosd.engine.host_names import HostNames
from vosd.engine.poster import Poster, UndeliveredError, is_of_the_server, signed
from vosd.engine.settings import AlarmSettings, WebhookSettings
from vosd.obs.alarms import AlarmChange
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter

BACK_OFF_S: Final = 1.0
BACK_OFF_MAX_S: Final = 60.0
"""The wait after a failure doubles from the first to the second."""

_NAMES: Final = HostNames(2, "name of the receiver of alarms")


class AlarmWebhook(AlarmOutput[WebhookSettings]):
    """Posts changes to a server."""

    def __init__(self, node: str, clock: Clock, settings: WebhookSettings | None) -> None:
        """``node`` names this switch in reports."""
        super().__init__("webhook", settings, lambda alarms: alarms.webhook)
        self._node = node
        self._clock = clock
        self._poster = _poster_of(settings)
        self._log_limiter = LogLimiter()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; what waits goes to the new server."""
        if settings.webhook != self._settings:
            self._hang_up()
            self._poster = _poster_of(settings.webhook)
        super().adjust(settings)

    async def run(self) -> None:
        """Send what is queued; runs until cancelled."""
        try:
            await send_queued(self._queued, self._send_all, BACK_OFF_S, BACK_OFF_MAX_S, self._pause)
        finally:
            self._hang_up()

    async def _send_all(self) -> bool:
        """Send until the queue is empty; return False if the server is not well."""
        while len(self._changes) and (poster := self._poster) is not None and self._settings is not None:
            (change,), dropped = self._changes.taken(1)
            body = _body(self._node, change, dropped)
            try:
                status = await poster.post(body, signed(body, self._settings.secret, self._clock.now().wall))
            except UndeliveredError as error:
                why = str(error)
            else:
                why = f"status {status}" if is_of_the_server(status) else ""
            if poster is not self._poster:  # a reload has replaced the server meanwhile: its answer says nothing now
                poster.hang_up()
                continue
            if why:
                self._outage.found(why, waiting=len(self._changes))
                return False
            if status >= 400 and self._log_limiter.admits(str(status), self._clock.now().mono):
                _log.warning(Event.ALARM_REFUSED.value, output="webhook", status=status)
            self._outage.over()
            self._delivered()
        self._queued.clear()
        return True

    def _hang_up(self) -> None:
        if self._poster is not None:
            self._poster.hang_up()


def _body(node: str, change: AlarmChange, dropped: int) -> bytes:
    alarm = change.alarm
    state = "raised" if change.is_raised else "cleared"
    at = alarm.since if alarm.cleared_at is None else alarm.cleared_at
    return msgspec.json.encode(
        {"node": node, "state": state, "at": iso_utc(at), **msgspec.structs.asdict(row(alarm)), "dropped": dropped}
    )


def _poster_of(settings: WebhookSettings | None) -> Poster | None:
    return None if settings is None else Poster(settings.url, names=_NAMES)
