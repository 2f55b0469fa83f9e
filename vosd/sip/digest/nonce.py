"""Nonces that nobody but us can make, and what was done with them (RFC 7616 sections 3.3, 5.4 and 5.5).

A nonce carries its own birth and is sealed for the address that it was given to, so nothing is kept of a challenge.
Only what was answered in its short life is remembered. Draws no randomness: secret and salt are arguments.
"""

import hashlib
import hmac
from collections import OrderedDict
from enum import Enum
from typing import Final

USED_MAX: Final = 65_536
"""Nonces in use that are remembered; where there are more, the others count as stale."""
WINDOW: Final = 64
"""How far a request may fall behind the highest nonce count of its nonce: UDP changes the order."""

_SEAL_BYTES: Final = 16
_SEAL_DIGITS: Final = 2 * _SEAL_BYTES
_BORN_DIGITS_MAX: Final = 16
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


class Mint:
    """Makes nonces and recognises its own. Another secret makes all earlier ones strangers: so does a restart."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, host: str, mono_ms: int, salt: str) -> str:
        """Return a nonce for the peer at ``host``; ``salt`` makes it another one than all others of the instant."""
        text = f"{mono_ms:x}.{salt}"
        return f"{text}.{self._seal(text, host)}"

    def born(self, nonce: str, host: str) -> int | None:
        """Return the monotonic instant at which a nonce was given to ``host``; None for one that was not."""
        text, _, seal = nonce.rpartition(".")
        written = text.partition(".")[0]
        if len(seal) != _SEAL_DIGITS or len(written) > _BORN_DIGITS_MAX or not nonce.isascii():
            return None
        if not hmac.compare_digest(seal, self._seal(text, host)):
            return None
        return int(written, 16)  # sealed, so it is ours

    def tag(self, *parts: str) -> str:
        """Return a token that the same parts get each time."""
        return hmac.digest(self._secret, "\n".join(("tag", *parts)).encode("utf-8", "surrogateescape"), "sha256")[
            :10
        ].hex()

    def _seal(self, text: str, host: str) -> str:
        said = f"nonce\n{text}\n{host}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._secret, said, hashlib.sha256)[:_SEAL_BYTES].hex()


class Standing(Enum):
    """What may still be done with a nonce and a nonce count."""

    OPEN = "open"
    """It can prove something."""
    USED = "used"
    """This count was used, or the nonce is spoilt, or there is no room to remember it: it needs another one."""
    REPEATED = "repeated"
    """The very answer that was wrong already: a request that came twice."""


class _Use:
    """What came with one nonce."""

    __slots__ = ("expires", "highest", "seen", "wrong")

    def __init__(self, expires: int) -> None:
        self.expires = expires
        self.highest = 0
        self.seen = 0
        """Bits of the counts up to the highest, which is the lowest bit."""
        self.wrong: str | None = None
        """The response that spoilt it: one nonce is worth one guess."""


class Uses:
    """What was done with each nonce until it expires, for at most ``used_max`` at a time."""

    __slots__ = ("_used", "_used_max")

    def __init__(self, used_max: int = USED_MAX) -> None:
        self._used: OrderedDict[str, _Use] = OrderedDict()
        self._used_max = used_max

    def __len__(self) -> int:
        return len(self._used)

    def standing(self, nonce: str, count: int, response: str, mono_ms: int) -> Standing:
        """Say what a nonce of ours that is not expired is worth with this count, before the response is checked.

        ``count`` is 0 where none was sent (RFC 2069): then the nonce is good for one request.
        """
        self._forget_expired(mono_ms)
        use = self._used.get(nonce)
        if use is None:
            return Standing.OPEN if len(self._used) < self._used_max else Standing.USED
        if use.wrong is not None:
            return Standing.REPEATED if use.wrong == response else Standing.USED
        if count == 0:
            return Standing.USED
        behind = use.highest - count
        if behind < 0:
            return Standing.OPEN
        return Standing.USED if behind >= WINDOW or use.seen >> behind & 1 else Standing.OPEN

    def proved(self, nonce: str, count: int, expires: int) -> None:
        """Note that a response was right."""
        use = self._use(nonce, expires)
        if count > use.highest:
            use.seen = (use.seen << min(count - use.highest, WINDOW) | 1) & _ALL
            use.highest = count
        else:
            use.seen |= 1 << (use.highest - count)
        if count == 0:
            use.seen = _ALL

    def failed(self, nonce: str, response: str, expires: int) -> None:
        """Note that a response was wrong."""
        self._use(nonce, expires).wrong = response

    def _use(self, nonce: str, expires: int) -> _Use:
        use = self._used.get(nonce)
        if use is None:
            use = self._used[nonce] = _Use(expires)
        return use

    def _forget_expired(self, mono_ms: int) -> None:
        """Drop from the front what is over; what was answered late waits there for those before it."""
        used = self._used
        while used and next(iter(used.values())).expires <= mono_ms:
            used.popitem(last=False)


_ALL: Final = (1 << WINDOW) - 1
