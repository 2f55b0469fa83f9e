"""Credentials for the challenges of vendors and their proxies (RFC 3261 section 22, RFC 7616, RFC 8760).

A challenge is foreign input: values copied from it are sent in quotes, and a value that cannot be quoted makes the
challenge unusable. A password is sent only as a hash, so Basic challenges are ignored.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Generic

import msgspec

from vosd.base.credentials import Login
from vosd.sip.digest.hashing import Algorithm, Qop, ha1_of, response_of
from vosd.sip.digest.header import digest_parameters, quoted
from vosd.sip.forms import TextT
from vosd.sip.wire.message import Response

CHALLENGES_MAX: Final = 8
"""Most challenges read from one response: one for each algorithm of a few realms."""
REALMS_MAX: Final = 4
"""Most realms for which one request has credentials: a peer and the proxies before it; the oldest is dropped first."""
ROUNDS_MAX: Final = 6
"""Most challenges answered for one request, without SS_SIP_AUTHENTICATION_RETRY."""
NONCE_COUNT_MAX: Final = 0xFFFF_FFFF

_HEADERS: Final = (("www-authenticate", False), ("proxy-authenticate", True))
_STRENGTH: Final = {Algorithm.SHA_256: 1, Algorithm.MD5: 0}


class ChallengeState(msgspec.Struct, Generic[TextT], frozen=True, array_like=True):
    """One challenge that can be answered."""

    is_proxy: bool
    """Whether it came in Proxy-Authenticate."""
    realm: TextT
    nonce: TextT
    algorithm: Algorithm
    names_algorithm: bool
    """False for peers older than RFC 2617, which may reject the parameter."""
    qop: Qop | None
    """The protection chosen from those offered; None for peers without qop (RFC 2069)."""
    opaque: TextT | None
    is_stale: bool
    """The credentials were right, the nonce had expired (RFC 7616 section 3.3)."""


class Challenge(ChallengeState[str], frozen=True):
    """A challenge of a peer of this process."""


def challenges_of(response: Response) -> tuple[Challenge, ...]:
    """Return the usable challenges of a 401 or 407: one for each realm, with the strongest known algorithm.

    RFC 8760 section 2.4 takes the topmost unless local policy says otherwise: an attacker could choose the order.
    """
    best: dict[tuple[bool, str], Challenge] = {}
    for name, is_proxy in _HEADERS:
        for value in response.values(name)[:CHALLENGES_MAX]:
            parameters = digest_parameters(value)
            challenge = None if parameters is None else _read(parameters, is_proxy=is_proxy)
            if challenge is None:
                continue
            key = is_proxy, challenge.realm
            known = best.get(key)
            if known is None or _STRENGTH[known.algorithm] < _STRENGTH[challenge.algorithm]:
                best[key] = challenge
    return tuple(best.values())


def answer_to(
    challenge: Challenge, login: Login, method: str, uri: str, body: bytes, nonce_count: int, cnonce: str
) -> str:
    """Return the whole Authorization or Proxy-Authorization line of one request.

    ``nonce_count`` counts the requests with this nonce from 1; ``cnonce`` is an unpredictable token.
    """
    algorithm, qop = challenge.algorithm, challenge.qop
    count = f"{nonce_count:08x}"
    proof = response_of(
        algorithm,
        ha1_of(algorithm, login.username, challenge.realm, login.password.reveal()),
        method,
        uri,
        challenge.nonce,
        qop=qop,
        nonce_count=count,
        cnonce=cnonce,
        body=body,
    )
    said = [
        f"username={quoted(login.username)}",
        f"realm={quoted(challenge.realm)}",
        f"nonce={quoted(challenge.nonce)}",
        f"uri={quoted(uri)}",
        f'response="{proof}"',
    ]
    if challenge.names_algorithm:
        said.append(f"algorithm={algorithm.value}")
    if challenge.opaque is not None:
        said.append(f"opaque={quoted(challenge.opaque)}")
    if qop is not None:
        said.append(f"qop={qop.value}, nc={count}, cnonce={quoted(cnonce)}")
    return f"{'Proxy-Authorization' if challenge.is_proxy else 'Authorization'}: Digest {', '.join(said)}\r\n"


class _Asked:
    """A challenge with the number of requests that have used it."""

    __slots__ = ("answered", "challenge")

    def __init__(self, challenge: Challenge) -> None:
        self.challenge = challenge
        self.answered = 0


class Answers:
    """Our login at one peer and its challenges so far: later requests are sent with credentials at once."""

    __slots__ = ("_asked", "gateway", "login", "rounds_max")

    def __init__(self, login: Login, rounds_max: int = ROUNDS_MAX, gateway: str = "") -> None:
        """``gateway`` is the name of the gateway that the login is for."""
        self.gateway = gateway
        self.login = login
        self.rounds_max = rounds_max
        """Most challenges answered for one request."""
        self._asked: dict[tuple[bool, str], _Asked] = {}

    @property
    def are_wanted(self) -> bool:
        """Whether the peer has sent a challenge yet."""
        return bool(self._asked)

    def asked(self) -> tuple[tuple[Challenge, int], ...]:
        """Return the known challenges, and how many requests have used each."""
        return tuple((each.challenge, each.answered) for each in self._asked.values())

    def go_on_from(self, asked: Iterable[tuple[Challenge, int]]) -> None:
        """Take over the result of ``asked`` from another process."""
        for challenge, answered in asked:
            known = self._asked[challenge.is_proxy, challenge.realm] = _Asked(challenge)
            known.answered = answered

    def learn(self, response: Response, rounds: int = 0, *, is_proven: bool = True) -> bool:
        """Store the challenges of a 401 or 407; return False if none is usable, or our credentials were refused.

        ``rounds`` is the number of challenges answered before for the same request; ``is_proven``: it had credentials.
        """
        found = challenges_of(response)
        if rounds >= self.rounds_max:
            return False
        if is_proven and any(self._is_rejection(challenge, rounds) for challenge in found):
            return False
        for challenge in found:
            key = challenge.is_proxy, challenge.realm
            known = self._asked.pop(key, None)
            if known is None or known.challenge.nonce != challenge.nonce:
                known = _Asked(challenge)
            known.challenge = challenge
            self._asked[key] = known
        while len(self._asked) > REALMS_MAX:
            del self._asked[next(iter(self._asked))]
        return bool(found)

    def _is_rejection(self, challenge: Challenge, rounds: int) -> bool:
        """Return whether the credentials of the request were refused (RFC 3261 section 22.2).

        Vendors lock accounts after wrong credentials, so the same ones are not sent twice: not for the same nonce, and
        for another nonce only with another algorithm. Credentials that the request had from the beginning were valid
        before; the peer may only want a new nonce, though not every peer says ``stale``. Nor does every peer say it to
        a request that was overtaken by another one with the same nonce and a higher count.
        """
        known = self._asked.get((challenge.is_proxy, challenge.realm))
        if known is None or not known.answered or challenge.is_stale:
            return False
        if challenge.nonce == known.challenge.nonce:
            return True
        return rounds > 0 and known.answered == 1 and challenge.algorithm is known.challenge.algorithm

    def lines(self, method: str, uri: str, body: bytes, cnonce: str) -> str:
        """Return the credential lines of one request for all known challenges; empty if there are none."""
        lines = []
        for key, asked in tuple(self._asked.items()):
            if asked.answered >= NONCE_COUNT_MAX:
                del self._asked[key]  # nc has no more digits: let the peer issue a new nonce
                continue
            asked.answered += 1
            lines.append(answer_to(asked.challenge, self.login, method, uri, body, asked.answered, cnonce))
        return "".join(lines)


def _read(parameters: Mapping[str, str], *, is_proxy: bool) -> Challenge | None:
    """Return a parsed challenge; None if it cannot be answered."""
    realm, nonce, opaque = parameters.get("realm"), parameters.get("nonce"), parameters.get("opaque")
    named = parameters.get("algorithm")
    algorithm = Algorithm.MD5 if named is None else Algorithm.named(named)
    if realm is None or not nonce or algorithm is None or not all(map(_can_be_quoted, (realm, nonce, opaque or ""))):
        return None
    offered = parameters.get("qop")
    qop = None
    if offered is not None:
        known = {word.strip().lower() for word in offered.split(",")}
        qop = next((each for each in Qop if each.value in known), None)
        if qop is None:
            return None  # only unknown values of qop
    return Challenge(
        is_proxy=is_proxy,
        realm=realm,
        nonce=nonce,
        algorithm=algorithm,
        names_algorithm=named is not None,
        qop=qop,
        opaque=opaque,
        is_stale=parameters.get("stale", "").lower() == "true",
    )


def _can_be_quoted(text: str) -> bool:
    """Return whether text can be quoted: no control character (RFC 3261 section 25.1, ``quoted-string``)."""
    return all(character >= " " and character != "\x7f" for character in text)
