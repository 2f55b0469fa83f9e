"""Senders of the latest requests, for the time in which the database, which knows them, is away."""

from collections.abc import Awaitable, Callable
from typing import Final

from vosd.admin.office.principal import Principal
from vosd.api.brief_wait import BriefWait
from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable

KEPT_S: Final = 300.0
"""So long after the database last knew a sender its word is taken."""
SENDERS_MAX: Final = 1_000


class KnownSenders:
    """Principals by a digest of their token or session, and their address; no clock of its own."""

    def __init__(self) -> None:
        self._brief_wait = BriefWait()
        self._known: dict[bytes, tuple[Principal, float]] = {}

    async def look(self, digest: bytes, find: Callable[[], Awaitable[Principal]], now_s: float) -> Principal:
        """Return the sender that the database finds; while it is away or hangs, the one that it found lately.

        Raises:
            StoreUnavailable: it is away, and has not known the sender of late.
            VosError: as ``find``, whose refusal is remembered: a token that was revoked is not taken again.
        """
        known = self._known.get(digest)
        is_known = known is not None and now_s - known[1] <= KEPT_S
        try:
            who = await (self._brief_wait.read(find) if is_known else find())
        except StoreUnavailable:
            known = self._known.pop(digest, None)
            if known is None or now_s - known[1] > KEPT_S:
                raise
            self._known[digest] = known
            return known[0]
        except VosError:
            self._known.pop(digest, None)
            raise
        self._known.pop(digest, None)
        self._known[digest] = who, now_s
        if len(self._known) > SENDERS_MAX:
            del self._known[next(iter(self._known))]
        return who
