"""Events of media that reach a call from the relay: keys, sources to be judged, sounds that cannot be played."""

from collections.abc import Callable
from typing import Final

from vosd.b2bua.call import Call
from vosd.base.bucket import Bucket
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.services import CallServices
from vosd.media.source import RelayPort
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter
from vosd.routing.access import AccessAction

KEYS_PER_S: Final = 1_000
KEYS_AT_ONCE: Final = 2_000
"""Rate limit for the keys in the media of one account's calls: each may become an INFO, and costs as much as a message
of a call.
"""


class MediaEvents:
    """Passes what the relay reports to the calls of a switch."""

    def __init__(
        self,
        services: CallServices,
        end: Callable[[Call, EndReason, Instant], None],
        abort: Callable[[Call, Instant], None],
    ) -> None:
        """``abort`` ends a call after an error."""
        self._services = services
        self._end = end
        self._abort = abort
        self._keys: dict[str, Bucket] = {}
        """Keys that may come in the calls of each account."""
        self._log_limiter = LogLimiter()

    def key_pressed(self, port: int, key: str, duration_ms: int, now: Instant) -> None:
        """Handle a key that came in the media at a port of the relay."""
        media = self._services.media
        leg = None if media is None else media.keys.leg_at(port)
        if media is None or leg is None:
            return
        live_call = self._services.running.get(leg.call.arrival.call_id)
        if live_call is None or not self._may_press(live_call, now):
            return
        call = live_call.call
        try:
            far = call.conversation.key_pressed(leg, key, duration_ms, now)
            if far is not None:
                media.keys.send_key(leg, far, key, duration_ms, now)
        except Exception:  # noqa: BLE001  the same boundary as in ``Switch.handle``
            _log.exception("call_aborted", call_event="key")
            self._abort(call, now)

    def _may_press(self, live_call: LiveCall, now: Instant) -> bool:
        """Count a key against the limit of the account that pays for its call; return whether it is within."""
        payer, seconds = live_call.call_request.account, now.mono / 1_000
        account = "" if payer is None else payer.id
        bucket = self._keys.get(account)
        if bucket is None:
            bucket = self._keys[account] = Bucket(KEYS_AT_ONCE, seconds)
        if bucket.take(1, KEYS_PER_S, KEYS_AT_ONCE, seconds):
            return True
        if self._log_limiter.admits(account, now.mono):
            do = "look at what its calls send: keys in media beyond this are lost (docs/media.md)"
            _log.warning("keys_over_limit", account=account, per_s=KEYS_PER_S, do=do)
        return False

    def source_found(self, port: RelayPort, number: int, host: str, now: Instant) -> None:
        """Judge an address that media of a leg come from.

        A blocked address ends the call only if the peer of the leg has named it. ``media_source: any`` lets in other
        addresses, too. Their packets are dropped: a forged address must not end a call.
        """
        media = self._services.media
        leg = None if media is None else media.leg_of(number)
        live_call = None if leg is None else self._services.running.get(leg.call.arrival.call_id)
        if media is None or leg is None or live_call is None:
            return
        call = live_call.call
        try:
            action = live_call.media.judged_source(host, now)
            media.judge_source(port, host, may_send=action is AccessAction.ALLOW)
            sources = () if leg.facts.media is None else leg.facts.media.sources
            if action is AccessAction.BLOCK and any(each is not None and host in each.hosts() for each in sources):
                self._end(call, EndReason.GEOFENCE_BLOCKED, now)
        except Exception:  # noqa: BLE001  the same boundary as in ``Switch.handle``
            _log.exception("call_aborted", call_event="source of media")
            self._abort(call, now)

    def sound_failed(self, port: int, now: Instant) -> None:
        """Handle that the peer of a port of the relay is not played its sound after all."""
        media = self._services.media
        leg = None if media is None else media.sound_failed(port)
        live_call = None if leg is None else self._services.running.get(leg.call.arrival.call_id)
        if live_call is None:
            return
        try:
            live_call.call.sound_failed(now)
        except Exception:  # noqa: BLE001  the same boundary as in ``Switch.handle``
            _log.exception("call_aborted", call_event="sound")
            self._abort(live_call.call, now)
