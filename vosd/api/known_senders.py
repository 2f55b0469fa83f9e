"""Senders of the latest requests: for readings that pages repeat, and while the database, which knows them, is away."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from vosd.admin.office.principal import Principal
from vosd.api.brief_wait import BriefWait
from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable

KEPT_S: Final = 300.0
"""So long after the database last knew a sender its word is taken."""
LATELY_S: Final = 5.0
"""A page that reads the state again and again is looked up so often, as one that has a stream."""
SENDERS_MAX: Final = 1_000


class _Known(NamedTuple):
    """A sender as the database knew it."""

    who: Principal
    at_s: float
    used_at_s: float
    """Time of the latest look-up that noted a use of its session."""


class KnownSenders:
    """Principals by a digest of their token or session, and their address; no clock of its own."""

    def __init__(self) -> None:
        self._brief_wait = BriefWait()
        self._known: dict[bytes, _Known] = {}

    def lately(self, digest: bytes, now_s: float, *, is_use: bool) -> Principal | None:
        """Return the sender that the database knew a moment ago; ``is_use``: only where that was noted as a use."""
        known = self._known.get(digest)
        if known is None or now_s - (known.used_at_s if is_use else known.at_s) >= LATELY_S:
            return None
        return known.who

    def forget(self, digest: bytes) -> None:
        """Have a sender looked up again, whose session has ended or has another id."""
        self._known.pop(digest, None)

    async def look(
        self, digest: bytes, find: Callable[[], Awaitable[Principal]], now_s: float, *, is_use: bool
    ) -> Principal:
        """Return the sender that the database finds; while it is away or hangs, the one that it found lately.

        Raises:
            StoreUnavailable: it is away, and has not known the sender of late.
            VosError: as ``find``, whose refusal is remembered: a token that was revoked is not taken again.
        """
        known = self._known.get(digest)
        is_known = known is not None and now_s - known.at_s <= KEPT_S
        try:
            who = await (self._brief_wait.read(find) if is_known else find())
        except StoreUnavailable:
            known = self._known.pop(digest, None)
            if known is None or now_s - known.at_s > KEPT_S:
                raise
            self._known[digest] = known
            return known.who
        except VosError:
            self._known.pop(digest, None)
            raise
        before = self._known.pop(digest, None)
        used_at_s = now_s if is_use else now_s - LATELY_S if before is None else before.used_at_s
        self._known[digest] = _Known(who, now_s, used_at_s)
        if len(self._known) > SENDERS_MAX:
            del self._known[next(iter(self._known))]
        return who
