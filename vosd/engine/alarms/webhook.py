"""Alarms to an HTTP server: one signed POST for each change, in order, repeated until it is taken (ADR 70).

What waits is bounded; the oldest is dropped first, and the next report says how many were.
"""

import asyncio
from collections import deque
from typing import Final

import msgspec
import structlog

from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.engine.alarms.desk import is_wanted, row
from vosd.engine.poster import Poster, UndeliveredError, signed
from vosd.engine.settings import AlarmSettings, WebhookSettings
from vosd.obs.alarms import Change
from vosd.obs.events import Event
from vosd.obs.log import LogLimiter
from vosd.obs.outage import Outage

WAITING_MAX: Final = 1_000
"""Changes that wait for the server."""
BACK_OFF_S: Final = 1.0
BACK_OFF_MAX_S: Final = 60.0
"""The wait after a failure doubles from the first to the second."""

_log = structlog.get_logger()


class Webhook:
    """Queue of changes, and the task that sends them."""

    def __init__(self, node: str, clock: Clock, settings: WebhookSettings | None) -> None:
        """``node`` names this switch in reports."""
        self._node = node
        self._clock = clock
        self._settings = settings
        self._poster = _poster_of(settings)
        self._waiting: deque[Change] = deque()
        self._queued = asyncio.Event()
        self._dropped = 0
        """Since the last report that was taken."""
        self._outage = Outage(Event.ALARM_OUTPUT_DOWN, output="webhook")
        self._log_limiter = LogLimiter()

    def put(self, change: Change) -> None:
        """Queue a change; if the queue is full, in place of the oldest."""
        if self._settings is None or not is_wanted(change, self._settings.level):
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(change)
        self._queued.set()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; what waits goes to the new server."""
        if settings.webhook == self._settings:
            return
        self._hang_up()
        self._settings = settings.webhook
        self._poster = _poster_of(settings.webhook)
        if settings.webhook is None:
            self._waiting.clear()
            self._outage.over()

    async def run(self) -> None:
        """Send what is queued; runs until cancelled."""
        wait_s = BACK_OFF_S
        try:
            while True:
                await self._queued.wait()
                if await self._send_all():
                    wait_s = BACK_OFF_S
                else:
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, BACK_OFF_MAX_S)
        finally:
            self._hang_up()

    async def _send_all(self) -> bool:
        """Send until the queue is empty; return False if the server is not well."""
        while self._waiting and self._poster is not None and self._settings is not None:
            change, dropped = self._waiting[0], self._dropped
            body = _body(self._node, change, dropped)
            try:
                status = await self._poster.post(body, signed(body, self._settings.secret, self._clock.now().wall))
            except UndeliveredError as error:
                self._outage.found(error, waiting=len(self._waiting))
                return False
            if status >= 300 and self._log_limiter.admits(str(status), self._clock.now().mono):
                _log.warning(Event.ALARM_REFUSED.value, output="webhook", status=status)
            self._outage.over()
            self._dropped -= dropped
            if self._waiting and self._waiting[0] is change:
                self._waiting.popleft()
        self._queued.clear()
        return True

    def _hang_up(self) -> None:
        if self._poster is not None:
            self._poster.hang_up()


def _body(node: str, change: Change, dropped: int) -> bytes:
    alarm = change.alarm
    state = "raised" if change.is_raised else "cleared"
    at = alarm.since if alarm.cleared_at is None else alarm.cleared_at
    return msgspec.json.encode(
        {"node": node, "state": state, "at": iso_utc(at), **msgspec.structs.asdict(row(alarm)), "dropped": dropped}
    )


def _poster_of(settings: WebhookSettings | None) -> Poster | None:
    return None if settings is None else Poster(settings.url)
