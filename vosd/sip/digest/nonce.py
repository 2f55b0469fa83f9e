"""Nonces: creation, verification and use (RFC 7616 sections 3.3, 5.4 and 5.5).

A nonce contains its time of creation and is authenticated for one address, so no state is kept for a challenge; only
used nonces are remembered until they expire. Draws no random numbers: secret and salt are arguments.
"""

import hashlib
import hmac
from collections import OrderedDict
from enum import Enum
from typing import Final

USED_MAX: Final = 65_536
"""Most used nonces remembered; beyond that, the oldest are stale before their time is over."""
WINDOW: Final = 64
"""Distance that a nonce count may be behind the highest one: UDP reorders requests."""

_SEAL_BYTES: Final = 16


class NonceFactory:
    """Creates and verifies nonces. Another secret invalidates all earlier ones, as a restart does."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, host: str, mono_ms: int, salt: str) -> str:
        """Return a nonce for the peer at ``host``; ``salt`` makes it unique within the millisecond."""
        text = f"{mono_ms:x}.{salt}"
        return f"{text}.{self._seal(text, host)}"

    def issued_at(self, nonce: str, host: str) -> int | None:
        """Return the monotonic time at which a nonce was issued to ``host``; None if it was not."""
        text, _, seal = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(seal, self._seal(text, host)):
            return None
        return int(text.partition(".")[0], 16)  # authenticated, so it is a number of ours

    def tag(self, *parts: str) -> str:
        """Return a token that is the same for the same parts."""
        return hmac.digest(self._secret, "\n".join(("tag", *parts)).encode("utf-8", "surrogateescape"), "sha256")[
            :10
        ].hex()

    def _seal(self, text: str, host: str) -> str:
        said = f"nonce\n{text}\n{host}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._secret, said, hashlib.sha256)[:_SEAL_BYTES].hex()


class NonceStatus(Enum):
    """Whether a nonce and a nonce count may still be used."""

    OPEN = "open"
    """They may be used."""
    USED = "used"
    """The count was used, or the nonce is spoilt, or too old for the room there is: a new nonce is needed."""
    REPEATED = "repeated"
    """A wrong response that came before: the request came twice."""


class _Use:
    __slots__ = ("expires", "highest", "issued_at", "seen", "wrong")

    def __init__(self, issued_at: int, expires: int) -> None:
        self.issued_at = issued_at
        self.expires = expires
        self.highest = 0
        self.seen = 0
        """Bit set of the counts up to the highest, which is the lowest bit."""
        self.wrong: str | None = None
        """The response that spoilt it: a nonce allows one guess."""


class Uses:
    """Use of each nonce until it expires, for at most ``used_max`` nonces.

    Where there are more, the one that was used first is forgotten, and no nonce as old as that is accepted any more: a
    long life is cut short, and a challenge of this moment can still be answered.
    """

    def __init__(self, used_max: int = USED_MAX) -> None:
        self._used: OrderedDict[str, _Use] = OrderedDict()
        self._used_max = used_max
        self._forgotten_until = -1
        """Nonces issued until then may have been used and forgotten, in monotonic milliseconds."""

    def __len__(self) -> int:
        return len(self._used)

    def status_of(self, nonce: str, count: int, response: str, issued_at: int, mono_ms: int) -> NonceStatus:
        """Return whether a valid nonce may be used with this count; call it before checking the response.

        ``count`` is 0 if none was sent (RFC 2069): then the nonce is good for one request.
        """
        self._forget_expired(mono_ms)
        use = self._used.get(nonce)
        if use is None:
            # One whose use may be forgotten could be replayed: treat it as used (a new one is asked for).
            return NonceStatus.OPEN if issued_at > self._forgotten_until else NonceStatus.USED
        if use.wrong is not None:
            return NonceStatus.REPEATED if use.wrong == response else NonceStatus.USED
        if count == 0:
            return NonceStatus.USED
        # UDP reorders requests, so a lower count is not yet a replay (RFC 7616 section 3.4): the window decides.
        behind = use.highest - count
        if behind < 0:
            return NonceStatus.OPEN
        return NonceStatus.USED if behind >= WINDOW or use.seen >> behind & 1 else NonceStatus.OPEN

    def proved(self, nonce: str, count: int, issued_at: int, expires: int) -> None:
        """Record a correct response."""
        use = self._use(nonce, issued_at, expires)
        if count > use.highest:
            use.seen = (use.seen << min(count - use.highest, WINDOW) | 1) & _ALL
            use.highest = count
        else:
            use.seen |= 1 << (use.highest - count)

    def failed(self, nonce: str, response: str, issued_at: int, expires: int) -> None:
        """Record a wrong response."""
        self._use(nonce, issued_at, expires).wrong = response

    def _use(self, nonce: str, issued_at: int, expires: int) -> _Use:
        use = self._used.get(nonce)
        if use is None:
            if len(self._used) >= self._used_max:
                _, oldest = self._used.popitem(last=False)
                self._forgotten_until = max(self._forgotten_until, oldest.issued_at)
            use = self._used[nonce] = _Use(issued_at, expires)
        return use

    def _forget_expired(self, mono_ms: int) -> None:
        """Drop expired entries from the front; one that was used late waits for those before it."""
        used = self._used
        while used and next(iter(used.values())).expires <= mono_ms:
            used.popitem(last=False)


_ALL: Final = (1 << WINDOW) - 1
