"""Whether somebody proves who it is: claims against what must be proven (RFC 3261 section 22.1, RFC 7616).

A wrong user and a wrong password are the same from outside, in answer and in work: both are compared with a hash,
that of nobody where there is none. Whether a nonce is good is settled first, without a look at user or password, so
that an old nonce is no way to try passwords unseen.
"""

import hmac
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.credentials import Credentials
from vosd.sip.digest.challenge import challenge_lines
from vosd.sip.digest.claim import Claim, claim_in, is_claimed, speaks_of
from vosd.sip.digest.hashing import Algorithm, hashed, response_of
from vosd.sip.digest.nonce import Mint, Standing, Uses
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.wire.message import Request

CredentialsOf = Callable[[str], Credentials | None]
"""Tells what a user name must prove; None for a user that there is not, or not here."""


class Finding(Enum):
    """What a request proves."""

    NOTHING_SAID = "nothing said"
    """It claims nothing that we could check."""
    STALE = "stale"
    """It needs a fresh nonce: nothing is known of what it claims."""
    ELSEWHERE = "elsewhere"
    """What it proves it proves for another address than it goes to."""
    RIGHT = "right"
    WRONG = "wrong"
    WRONG_AGAIN = "wrong again"
    """The same request once more, which was found wrong before."""


class Judgement(NamedTuple):
    """A finding, and whose name was claimed."""

    finding: Finding
    username: str = ""


class Verifier:
    """Asks and judges. What it keeps are the nonces that were answered in their life."""

    def __init__(self, secret: bytes, settings: DigestSettings) -> None:
        """``secret`` seals the nonces: who knows it can make them."""
        self._secret = secret
        self._uses = Uses()
        self._nobody = {algorithm.value: hashed(algorithm, f"nobody {secret.hex()}") for algorithm in Algorithm}
        self.adopt(settings)

    def adopt(self, settings: DigestSettings) -> None:
        """Go by other settings.

        With another life all nonces that are out are stale: what was done with one is forgotten when its life ends.
        """
        self.settings = settings
        self._mint = Mint(self._secret + settings.nonce_life_ms.to_bytes(8, "big"))

    def challenge(self, host: str, mono_ms: int, salt: str, realm: str = "", *, is_stale: bool = False) -> str:
        """Return the lines that ask a peer at ``host`` who it is; ``salt`` is a token of its own for each.

        ``realm`` is another than the usual one.
        """
        settings = self.settings
        nonce = self._mint.issue(host, mono_ms, salt)
        realm = realm or settings.realm
        return challenge_lines(settings.status, realm, nonce, settings.algorithms, is_stale=is_stale)

    def tag(self, request: Request) -> str:
        """Return the tag of what answers a request that nothing is kept of (RFC 3261 section 8.2.7)."""
        return self._mint.tag(request.call_id, request.from_tag, request.header("cseq") or "", request.via.branch)

    def is_claimed(self, request: Request, realm: str = "") -> bool:
        """Say whether a request has credentials for a realm of ours, good or bad."""
        return is_claimed(request, realm or self.settings.realm)

    def judge(
        self, request: Request, host: str, credentials_of: CredentialsOf, mono_ms: int, realm: str = ""
    ) -> Judgement:
        """Say what a request from ``host`` proves in a realm, the usual one where none is named.

        Raises:
            ParseError: the Request-URI cannot be read.
        """
        settings = self.settings
        claim = claim_in(request, realm or settings.realm, settings.algorithms)
        if claim is None:
            return _NOTHING_SAID
        born = self._mint.born(claim.nonce, host)
        if born is None or not 0 <= mono_ms - born < settings.nonce_life_ms:
            return Judgement(Finding.STALE, claim.username)
        if not speaks_of(claim, request):
            return Judgement(Finding.ELSEWHERE, claim.username)
        match self._uses.standing(claim.nonce, claim.use, claim.response, mono_ms):
            case Standing.USED:
                return Judgement(Finding.STALE, claim.username)
            case Standing.REPEATED:
                return Judgement(Finding.WRONG_AGAIN, claim.username)
            case Standing.OPEN:
                is_right = self._is_right(claim, request.method, credentials_of(claim.username))
        expires = born + settings.nonce_life_ms
        if is_right:
            self._uses.proved(claim.nonce, claim.use, expires)
            return Judgement(Finding.RIGHT, claim.username)
        self._uses.failed(claim.nonce, claim.response, expires)
        return Judgement(Finding.WRONG, claim.username)

    def _is_right(self, claim: Claim, method: str, credentials: Credentials | None) -> bool:
        algorithm = claim.algorithm
        ha1 = None if credentials is None else credentials.ha1.get(algorithm.value)
        wanted = response_of(
            algorithm,
            ha1 or self._nobody[algorithm.value],
            method,
            claim.uri,
            claim.nonce,
            qop=claim.qop,
            nonce_count=claim.nonce_count,
            cnonce=claim.cnonce,
        )
        is_equal = hmac.compare_digest(wanted.encode(), claim.response.encode("utf-8", "surrogateescape"))
        return is_equal and ha1 is not None


_NOTHING_SAID: Final = Judgement(Finding.NOTHING_SAID)
