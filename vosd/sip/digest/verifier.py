"""Verify the credentials of requests (RFC 3261 section 22.1, RFC 7616).

An unknown user and a wrong password are treated alike, in the answer and in time: both are compared with a hash, a
random one for an unknown user. The nonce is checked first, without user and password, so that an expired nonce cannot
be used to try passwords.
"""

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.credentials import Credentials
from vosd.sip.digest.hashing import Algorithm, Qop, hashed, response_of
from vosd.sip.digest.header import digest_parameters, quoted
from vosd.sip.digest.nonce import NonceFactory, NonceStatus, Uses
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri

HEADERS: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


VALUES_MAX: Final = 8
"""Most lines of one header that are read: a request may have credentials for other realms, one line each."""
_HEADERS: Final = ("authorization", "proxy-authorization")
_COUNT_DIGITS_MAX: Final = 8
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")


class Claim(NamedTuple):
    """Credentials for our realm, as received."""

    username: str
    nonce: str
    uri: str
    response: str
    """In lower case."""
    algorithm: Algorithm
    qop: Qop | None
    """None for peers without qop (RFC 2069)."""
    nonce_count: str
    """As written, since the digest covers the text; empty without ``qop``."""
    cnonce: str

    @property
    def use(self) -> int:
        """The nonce count as a number; 0 without one."""
        return int(self.nonce_count, 16) if self.nonce_count else 0


def claim_in(request: Request, realm: str, algorithms: Collection[Algorithm]) -> Claim | None:
    """Return the first credentials for our realm with an algorithm that we offer; None if there are none.

    Unreadable credentials count as missing: the request is challenged again.
    """
    for name in _HEADERS:
        for value in request.values(name)[:VALUES_MAX]:
            parameters = digest_parameters(value)
            if parameters is not None and parameters.get("realm") == realm:
                claim = _read(parameters)
                if claim is not None and claim.algorithm in algorithms:
                    return claim
    return None


def is_claimed(request: Request, realm: str) -> bool:
    """Return whether a request has any credentials for our realm, readable or not."""
    for name in _HEADERS:
        if request.header(name) is not None:
            for value in request.values(name)[:VALUES_MAX]:
                parameters = digest_parameters(value)
                if parameters is not None and parameters.get("realm") == realm:
                    return True
    return False


def uri_matches(claim: Claim, request: Request) -> bool:
    """Return whether the ``uri`` of the credentials matches the request (RFC 7616 section 3.4.6).

    The user, which is the called number, must be the same. Proxies before telephones write their next hop into the
    Request-URI; whatever host it names, it is this switch.
    """
    if claim.uri == request.uri:
        return True
    try:
        return Uri.parse(claim.uri).user == request.target.user
    except ParseError:
        return False


def _read(parameters: Mapping[str, str]) -> Claim | None:
    username, nonce, uri, response = (parameters.get(name) for name in ("username", "nonce", "uri", "response"))
    named = parameters.get("algorithm")
    algorithm = Algorithm.MD5 if named is None else Algorithm.named(named)
    if not username or not nonce or not uri or not response or algorithm is None:
        return None
    wanted = parameters.get("qop")
    if wanted is None:
        # RFC 8760 requires qop with every algorithm but MD5, which peers older than RFC 2617 use without it.
        return Claim(username, nonce, uri, response.lower(), algorithm, None, "", "") if _is_old(algorithm) else None
    count, cnonce = parameters.get("nc", ""), parameters.get("cnonce", "")
    is_counted = 0 < len(count) <= _COUNT_DIGITS_MAX and _HEXADECIMAL.issuperset(count) and int(count, 16) > 0
    if wanted.lower() != Qop.AUTH.value or not is_counted or not cnonce:
        return None
    return Claim(username, nonce, uri, response.lower(), algorithm, Qop.AUTH, count, cnonce)


def _is_old(algorithm: Algorithm) -> bool:
    return algorithm is Algorithm.MD5


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


class PasswordPause(NamedTuple):
    """No password of a user is compared for a while."""

    left_ms: int


CredentialsOf = Callable[[str], Credentials | PasswordPause | None]
"""Return the credentials of a user name; None for a user that is unknown, or not allowed here."""


class Finding(Enum):
    """Result of a verification."""

    NOTHING_SAID = "nothing said"
    """It has no credentials for us."""
    STALE = "stale"
    """It needs a new nonce; its credentials were not checked."""
    ELSEWHERE = "elsewhere"
    """The ``uri`` of the credentials is not that of the request."""
    RIGHT = "right"
    WRONG = "wrong"
    WRONG_AGAIN = "wrong again"
    """A repetition of a request that was found wrong."""
    ASKED = "asked"
    """Servers of RADIUS judge it: ``Judgement.proof``."""
    TOO_EARLY = "too early"
    """The credentials were not checked, because too many were wrong before."""


class DigestProof(NamedTuple):
    """Credentials with a good nonce, whose response others judge."""

    claim: Claim
    method: str
    realm: str
    issued_at: int
    expires: int
    """Begin and end of the nonce, in monotonic milliseconds."""
    is_right_here: bool
    """Whether the response is that of the password in the configuration."""


class Judgement(NamedTuple):
    """A finding, and the user name of the request."""

    finding: Finding
    username: str = ""
    wait_ms: int = 0
    """Time until credentials are checked again."""
    proof: DigestProof | None = None


class Verifier:
    """Creates challenges and verifies credentials; keeps the nonces used within their life."""

    def __init__(self, secret: bytes, settings: DigestSettings) -> None:
        """``secret`` authenticates the nonces and must stay private."""
        self._secret = secret
        self._uses = Uses()
        self._unknown_user = {
            algorithm.value: hashed(algorithm, f"unknown user {secret.hex()}") for algorithm in Algorithm
        }
        self.adopt(settings)

    def adopt(self, settings: DigestSettings) -> None:
        """Apply other settings.

        A different nonce life makes all issued nonces stale, since their use is forgotten when that life ends.
        """
        self.settings = settings
        self._nonces = NonceFactory(self._secret + settings.nonce_life_ms.to_bytes(8, "big"))

    def challenge(self, host: str, mono_ms: int, salt: str, realm: str = "", *, is_stale: bool = False) -> str:
        """Return the challenge lines for a peer at ``host``; ``salt`` is a new token for each.

        ``realm`` replaces the default realm.
        """
        settings = self.settings
        nonce = self._nonces.issue(host, mono_ms, salt)
        realm = realm or settings.realm
        return challenge_lines(settings.status, realm, nonce, settings.algorithms, is_stale=is_stale)

    def tag(self, request: Request) -> str:
        """Return the To tag of a stateless response to a request (RFC 3261 section 8.2.7)."""
        return self._nonces.tag(request.call_id, request.from_tag, request.header("cseq") or "", request.via.branch)

    def is_claimed(self, request: Request, realm: str = "") -> bool:
        """Return whether a request has credentials for a realm of ours, valid or not."""
        return is_claimed(request, realm or self.settings.realm)

    def judge(
        self, request: Request, host: str, credentials_of: CredentialsOf, mono_ms: int, realm: str = ""
    ) -> Judgement:
        """Verify a request from ``host`` in a realm, or in the default one.

        Raises:
            ParseError: the Request-URI cannot be read.
        """
        settings = self.settings
        claim = claim_in(request, realm or settings.realm, settings.algorithms)
        if claim is None:
            return _NOTHING_SAID
        issued_at = self._nonces.issued_at(claim.nonce, host)
        if issued_at is None or not 0 <= mono_ms - issued_at < settings.nonce_life_ms:
            return Judgement(Finding.STALE, claim.username)
        if not uri_matches(claim, request):
            return Judgement(Finding.ELSEWHERE, claim.username)
        match self._uses.status_of(claim.nonce, claim.use, claim.response, issued_at, mono_ms):
            case NonceStatus.USED:
                return Judgement(Finding.STALE, claim.username)
            case NonceStatus.REPEATED:
                return Judgement(Finding.WRONG_AGAIN, claim.username)
            case NonceStatus.OPEN:
                credentials = credentials_of(claim.username)
                if isinstance(credentials, PasswordPause):
                    return Judgement(Finding.TOO_EARLY, claim.username, credentials.left_ms)
                is_right = self._is_right(claim, request.method, credentials)
        expires = issued_at + settings.nonce_life_ms
        if credentials is not None and credentials.is_remote:
            proof = DigestProof(claim, request.method, realm or settings.realm, issued_at, expires, is_right)
            self._uses.proved(claim.nonce, claim.use, issued_at, expires)  # it is not used again, whatever others find
            return Judgement(Finding.ASKED, claim.username, proof=proof)
        if is_right:
            self._uses.proved(claim.nonce, claim.use, issued_at, expires)
        else:
            self._uses.failed(claim.nonce, claim.response, issued_at, expires)
        return Judgement(Finding.RIGHT if is_right else Finding.WRONG, claim.username)

    def found_wrong(self, proof: DigestProof) -> None:
        """Note that others have found credentials wrong: their nonce is spoilt, as by a wrong guess here."""
        self._uses.failed(proof.claim.nonce, proof.claim.response, proof.issued_at, proof.expires)

    def _is_right(self, claim: Claim, method: str, credentials: Credentials | None) -> bool:
        algorithm = claim.algorithm
        ha1 = None if credentials is None else credentials.ha1.get(algorithm.value)
        wanted = response_of(
            algorithm,
            ha1 or self._unknown_user[algorithm.value],
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
