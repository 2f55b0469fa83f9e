"""Port of a live call to its media."""

from typing import Protocol

from vosd.b2bua.boards import SoundOffer
from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.media.source import RelayPort
from vosd.trunks.announcements import Announcements


class CallMedia(Protocol):
    """The media of all calls (``engine.media.relayed_calls``)."""

    def silence(self, call: Call, answered_at: Instant) -> Limit | None:
        """Return when silence ends an answered call, if nothing more comes; None = it does not."""
        ...

    def is_key_repeated(self, leg: Leg, key: str, duration_ms: int, now: Instant, *, by_info: bool) -> bool:
        """Return whether a key of a leg has just come by the other way, media or INFO; note it if not."""
        ...

    def is_key_taken(self, leg: Leg, far: Leg, key: str, duration_ms: int) -> bool:
        """Send a key of an INFO in the media of the other leg, if that is its way; return whether it did."""
        ...

    def leg_at(self, port: int) -> Leg | None:
        """Return the leg that has a port of the relay."""
        ...

    def leg_of(self, number: int) -> Leg | None:
        """Return a leg that has not ended, by its number."""
        ...

    def judge_source(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Take media from a host at a port, or drop them."""
        ...

    def send_key(self, leg: Leg, far: Leg, key: str, duration_ms: int, now: Instant) -> None:
        """Send a key that came in the media of a leg to the other one, unless the media have it already."""
        ...

    def sound_for(self, announcements: Announcements, reason: EndReason) -> str:
        """Return the name of the sound for a reason: of a trunk, else of the installation; empty = none."""
        ...

    def offer_sound(self, call: Call, name: str, times: int, most_ms: int, now: Instant) -> SoundOffer | None:
        """Return how a caller is played a sound so often, for a time at most; None = it cannot be."""
        ...

    def target_rings(self, call: Call, session: bytes, now: Instant) -> None:
        """Let a side that is transferred be played the early media of its target, or ring-back in place of music."""
        ...

    def sound_over(self, call: Call, now: Instant) -> None:
        """Play the caller nothing more."""
        ...

    def sound_failed(self, port: int) -> Leg | None:
        """Note that the peer of a port is played nothing any more; return a leg whose announcement it was."""
        ...

    def resume(self, call: Call, newcomer: Leg | None) -> None:
        """Go on with the media of a call of an earlier process, and of a newcomer that waits to replace a side."""
        ...

    def leave(self, call: Call) -> None:
        """Forget a call that was resumed and does not go on after all."""
        ...

    def report(self, call: Call, ended_at: Instant) -> str | None:
        """Return the document of the CDR about the media of a call that is over; None = they were not relayed."""
        ...
