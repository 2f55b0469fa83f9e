"""Legs without a call that peers may still have: which are to be released, and how often each was asked to end.

Every process notes what it asks and what is done. So one that is killed soon after its start leaves less than it found,
and a leg whose peer never answers is not kept for ever.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.engine.journal.entries import HungUp, LeftOver, Releases, frame_of
from vosd.obs.events import log as _log
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot

TIMES_ASKED: Final = 7
"""Number of processes that ask the peer of a leg to end it, if each is killed before the peer has answered.

An INVITE without any response is sent that often (RFC 3261 section 17.1.1.2: timers A and B).
"""
ASKED_FOR_MS: Final = 32_000
"""Least time since the first of them asked, 64·T1: a quick series of kills leaves a peer no time to answer."""
_KEY_BYTES: Final = 8


class LeftOverLegs:
    """Legs by key, each in a ``LeftOver`` of its own."""

    def __init__(self, append: Callable[[bytes], None]) -> None:
        """``append`` writes a frame."""
        self._append = append
        self._legs: dict[bytes, LeftOver] = {}
        self.given_up: dict[bytes, LeftOver] = {}
        """Legs whose peers were asked too often."""

    def __len__(self) -> int:
        """Return how many legs are to be released."""
        return len(self._legs)

    def __contains__(self, key: bytes) -> bool:
        return key in self._legs

    def leave(self, left_over: Iterable[LeftOver], now: Instant) -> dict[bytes, LeftOver]:
        """Keep the legs of earlier runs, once each, and return them.

        A start that is killed early leaves its own records beside those of the run before: then a leg is in both. What
        was asked ``TIMES_ASKED`` times within ``ASKED_FOR_MS`` or more is left out.
        """
        for each in left_over:
            for key, leg in legs_of(each):
                (self.given_up if _is_hopeless(leg, now) else self._legs).setdefault(key, leg)
        if self.given_up:
            why = f"{TIMES_ASKED} starts had no answer to BYE or CANCEL"
            _log.warning("earlier_legs_given_up", legs=len(self.given_up), why=why)
        self.write()
        return self._legs.copy()

    def write(self) -> None:
        """Write all of them, at the beginning of a file."""
        for each in self._legs.values():
            self._append(frame_of(each))

    def add(self, key: bytes, leg: LeftOver) -> None:
        """Write a leg that this process is about to release."""
        self._legs[key] = leg
        self._append(frame_of(leg))

    def settle(self, key: bytes) -> None:
        """Write an INVITE that is awaited without the record of its call, which is written."""
        self.add(key, replace(self._legs[key], record=None))

    def note(self, asked: Collection[bytes], done: Collection[bytes], now: Instant) -> None:
        """Note the keys of legs whose peers are asked to end them, and of those that are released."""
        if not asked and not done:
            return
        releases = Releases(tuple(asked), tuple(done), now.wall)
        apply(releases, self._legs)
        self._append(frame_of(releases))

    def all_released(self) -> None:
        """Note that none is left."""
        self._legs.clear()
        self._append(frame_of(HungUp()))


def apply(releases: Releases, legs: dict[bytes, LeftOver]) -> None:
    """Count what was asked and remove what is released; an unknown key is ignored."""
    for key in releases.asked:
        if (leg := legs.get(key)) is not None:
            legs[key] = replace(leg, asked=leg.asked + 1, asked_since=leg.asked_since or releases.at)
    for key in releases.done:
        legs.pop(key, None)


def legs_of(left: LeftOver) -> Iterator[tuple[bytes, LeftOver]]:
    """Yield each leg alone, with its key."""
    for dialog in left.dialogs:
        yield key_of(dialog), replace(left, dialogs=(dialog,), invites=(), callers=(), record=None, part=None)
    for invite in left.invites:
        yield key_of(invite), replace(left, dialogs=(), invites=(invite,), callers=())
    for caller in left.callers:
        yield key_of(caller), replace(left, dialogs=(), invites=(), callers=(caller,), record=None, part=None)


def _is_hopeless(leg: LeftOver, now: Instant) -> bool:
    """Return whether the peer of a leg was asked often enough, and for long enough, to end it."""
    return leg.asked >= TIMES_ASKED and 0 < leg.asked_since <= now.wall - ASKED_FOR_MS


def key_of(leg: DialogSnapshot | InviteSnapshot | CallerSnapshot) -> bytes:
    """Return what distinguishes a leg from all others, whatever else of it has changed."""
    match leg:
        case DialogSnapshot():
            names = b"\0".join((leg.call_id, leg.local, leg.remote))
        case InviteSnapshot():
            return key_of_invite(leg.via)
        case CallerSnapshot():
            names = leg.key
    return _hashed(names)


def key_of_invite(via: bytes) -> bytes:
    """Return the same of an INVITE with this Via."""
    return _hashed(via)


def _hashed(names: bytes) -> bytes:
    return blake2b(names, digest_size=_KEY_BYTES).digest()
