"""Challenges that we send: WWW-Authenticate, or Proxy-Authenticate (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from collections.abc import Iterable
from typing import Final

from vosd.sip.digest.hashing import Algorithm
from vosd.sip.digest.header import quoted

HEADERS: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


def challenge_lines(status: int, realm: str, nonce: str, algorithms: Iterable[Algorithm], *, is_stale: bool) -> str:
    """Return whole lines, one for each algorithm, the preferred one first (RFC 8760 section 2.3).

    ``status`` is 401 or 407. ``is_stale``: only the nonce was expired, and the client need not ask for a password.
    """
    stale = ", stale=true" if is_stale else ""
    return "".join(
        f"{HEADERS[status]}: Digest realm={quoted(realm)}, nonce={quoted(nonce)}, "
        f'algorithm={algorithm.value}, qop="auth"{stale}\r\n'
        for algorithm in algorithms
    )
