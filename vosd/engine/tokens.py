"""Random tokens for the pure core: tags, branches, Call-IDs and call ids."""

import os
from typing import Final

_DRAWN_BYTES: Final = 10
_POOL_BYTES: Final = 4_000
_SECRET_BYTES: Final = 32


class TokenSource:
    """Unguessable tokens from the operating system, fetched in batches."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def entropy(self) -> bytes:
        """Return ten new random bytes."""
        if self._used >= len(self._pool):
            self._refill()
        start, self._used = self._used, self._used + _DRAWN_BYTES
        return self._pool[start : self._used]

    def secret(self) -> bytes:
        """Return as many random bytes as an HMAC-SHA256 key can use."""
        return os.urandom(_SECRET_BYTES)

    def token(self) -> str:
        """Return eighty random bits as a SIP token."""
        if self._used >= len(self._pool):
            self._refill()
        start, self._used = self._used, self._used + _DRAWN_BYTES
        return self._pool[start : self._used].hex()

    def _refill(self) -> None:
        self._pool = os.urandom(_POOL_BYTES)
        self._used = 0
