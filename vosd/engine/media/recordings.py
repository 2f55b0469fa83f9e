"""Calls that are recorded: which, and into which file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zlib import crc32

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.media.key_conversion import are_encrypted
from vosd.media.leg_media import LegMedia
from vosd.media.relay import MediaRelay
from vosd.media.source import RelayPort
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter

_PERCENT: Final = 100


def file_of(one: LegMedia, other: LegMedia) -> str:
    """Return the file of two connected legs, empty where they have none; of two files that of the earlier leg."""
    earlier, later = (one, other) if one.number < other.number else (other, one)
    return earlier.recording or later.recording


class CallRecordings:
    """Begins recordings under one directory."""

    def __init__(self, relay: MediaRelay, directory: Path) -> None:
        self._relay = relay
        self._directory = directory
        self._recorded: dict[int, LegMedia] = {}
        """Legs of attempts whose calls are recorded, by their ports."""
        self._log_limiter = LogLimiter()
        relay.recording_failed = self._failed

    def begin(self, caller: Leg, callee: Leg, ports: tuple[RelayPort, RelayPort], now: Instant) -> None:
        """Record a call whose callee sends media, if it is one of the share that its accounts or trunks want.

        The choice follows from the id of the call, so that it is the same for each attempt and after a restart. A
        recording goes on with a leg that takes the place of another one.
        """
        first, second = caller.facts.media, callee.facts.media
        if first is None or second is None:
            return
        if file := file_of(first, second):
            self.resume(*ports, file)
            return
        share = max(first.settings.record, first.recorded_share, second.settings.record, second.recorded_share)
        call_id = callee.call.arrival.call_id
        if crc32(call_id.encode()) % _PERCENT >= share:
            self.resume(*ports, "")  # early media of an attempt that has failed since were recorded
            return
        day = datetime.fromtimestamp(now.wall / 1_000, UTC).date().isoformat()
        file = callee.call.journey.recording or f"{day}/{call_id}.pcap"
        if self._relay.record(*ports, self._directory / file):
            second.recording = file
            self._recorded[ports[1].id] = second
            _log.info("recording_begun", call_id=call_id, file=file)
            gateway = "" if callee.route_choice is None else callee.route_choice.gateway.name
            if are_encrypted(caller, callee) and self._log_limiter.admits(gateway, now.mono):
                _log.warning("recording_encrypted", call_id=call_id, file=file, routing_gateway=gateway)

    def keep(self, media: LegMedia) -> None:
        """Note a leg of an earlier process: its recording may turn out to have no file."""
        port = media.audio_port
        if media.recording and port is not None:
            self._recorded[port.id] = media

    def moved(self, media: LegMedia, before: RelayPort) -> None:
        """Note that a leg has another port."""
        if self._recorded.pop(before.id, None) is not None:
            self.keep(media)

    def resume(self, one: RelayPort, other: RelayPort, file: str) -> None:
        """Go on with the recording of a call between two ports; where it has no ``file``, end that of another call."""
        if file:
            self._relay.record(one, other, self._directory / file)
            return
        for port in (one, other):
            self._relay.record_no_more(port)

    def leg_over(self, leg: Leg, media: LegMedia) -> None:
        """Note that a leg has ended, while its ports are known; its call is recorded in that file, too.

        The recording goes on with the caller of a callee that has left by a transfer.
        """
        if media.recording:
            leg.call.journey.recording = media.recording
            callee, caller = leg.call.callee, leg.call.caller.leg
            if callee is not None and callee.leg is leg and callee.progress.has_left and caller is not None:
                staying = caller.facts.media
                if staying is not None:
                    staying.recording = media.recording
                    self.keep(staying)
            for port in filter(None, media.ports):
                self._recorded.pop(port.id, None)

    def _failed(self, port: int) -> None:
        """Note that there is no file."""
        media = self._recorded.pop(port, None)
        if media is not None:
            media.recording = ""
