"""Credentials of a request: Authorization and Proxy-Authorization."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from vosd.sip.digest.hashing import Algorithm, Qop
from vosd.sip.digest.header import digest_parameters
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri

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

    Proxies add or drop a port or parameters; the user, which is the called number, and the host must be the same.
    """
    if claim.uri == request.uri:
        return True
    try:
        said, asked = Uri.parse(claim.uri), request.target
    except ParseError:
        return False
    return (said.user, said.host.lower()) == (asked.user, asked.host.lower())


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
