"""Legs with media, by their numbers."""

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.media.leg_media import LegMedia


class NumberedLegs:
    """Legs that have not ended; their numbers are unique over restarts."""

    def __init__(self, now: Instant) -> None:
        """``now`` is the start of the process."""
        self.by_number: dict[int, Leg] = {}
        self._last_number = now.wall << 20

    def new_number(self) -> int:
        """Return the number of a new leg."""
        self._last_number += 1
        return self._last_number

    def resume(self, leg: Leg, media: LegMedia) -> None:
        """Go on with a leg of an earlier process."""
        self.by_number[media.number] = leg
        self._last_number = max(self._last_number, media.number)

    def all_media(self) -> list[LegMedia]:
        """Return the media of all legs."""
        return [media for leg in self.by_number.values() if (media := leg.facts.media) is not None]

    def partner(self, leg: Leg) -> Leg | None:
        """Return the leg that a leg talks to: each was sent the other's description last; None = there is none."""
        media = leg.facts.media
        other = None if media is None else self.by_number.get(media.author)
        theirs = None if other is None else other.facts.media
        return other if media is not None and theirs is not None and theirs.author == media.number else None
