"""What we answer to the challenges of vendors and their proxies (RFC 3261 section 22, RFC 7616, RFC 8760).

A challenge comes from outside: what is echoed of it stands between quotes, what cannot stand there makes it unusable.
A password never leaves but hashed, so Basic is no challenge to us.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from vosd.base.credentials import Login
from vosd.sip.digest.hashing import Algorithm, Qop, ha1_of, response_of
from vosd.sip.digest.header import digest_parameters, quoted
from vosd.sip.wire.message import Response

CHALLENGES_MAX: Final = 8
"""Challenges of one response that are read: one for each algorithm of a few realms."""
REALMS_MAX: Final = 4
"""Realms that one request proves itself to: a peer and the proxies before it; past that the oldest is forgotten."""
ROUNDS_MAX: Final = 6
"""Challenges to one request that are answered, where SS_SIP_AUTHENTICATION_RETRY does not say (REG-06)."""
NONCE_COUNT_MAX: Final = 0xFFFF_FFFF

_HEADERS: Final = (("www-authenticate", False), ("proxy-authenticate", True))
_STRENGTH: Final = {Algorithm.SHA_256: 1, Algorithm.MD5: 0}


class Challenge(NamedTuple):
    """One challenge that we know how to answer."""

    is_proxy: bool
    """It came in Proxy-Authenticate."""
    realm: str
    nonce: str
    algorithm: Algorithm
    names_algorithm: bool
    """False for peers older than RFC 2617, which may choke on the parameter."""
    qop: Qop | None
    """The protection that we choose of what is offered; None for peers that know none (RFC 2069)."""
    opaque: str | None
    is_stale: bool
    """The credentials were right, the nonce too old (RFC 7616 section 3.3)."""


def challenges_of(response: Response) -> tuple[Challenge, ...]:
    """Return the challenges of a 401 or 407 that can be answered: one a realm, the strongest that we know.

    RFC 8760 section 2.4 takes the topmost unless local policy says otherwise: the order could be an attacker's.
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

    ``nonce_count`` counts the requests with this nonce from 1; ``cnonce`` is a token that nobody can foresee.
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
    """A challenge with the number of requests that have answered it."""

    __slots__ = ("answered", "challenge")

    def __init__(self, challenge: Challenge) -> None:
        self.challenge = challenge
        self.answered = 0


class Answers:
    """What one peer has asked for so far, and our login there: later requests prove themselves unasked."""

    __slots__ = ("_asked", "gateway", "login", "rounds_max")

    def __init__(self, login: Login, rounds_max: int = ROUNDS_MAX, gateway: str = "") -> None:
        """``gateway`` is the name of the gateway that the login is for."""
        self.gateway = gateway
        self.login = login
        self.rounds_max = rounds_max
        """How many challenges to one request are answered."""
        self._asked: dict[tuple[bool, str], _Asked] = {}

    @property
    def are_wanted(self) -> bool:
        """Whether anybody has asked yet."""
        return bool(self._asked)

    def asked(self) -> tuple[tuple[Challenge, int], ...]:
        """Return the challenges that are answered unasked, and how many requests have answered each."""
        return tuple((each.challenge, each.answered) for each in self._asked.values())

    def go_on_from(self, asked: Iterable[tuple[Challenge, int]]) -> None:
        """Take over what ``asked`` returned in another process."""
        for challenge, answered in asked:
            known = self._asked[challenge.is_proxy, challenge.realm] = _Asked(challenge)
            known.answered = answered

    def learn(self, response: Response, rounds: int = 0, *, is_proven: bool = True) -> bool:
        """Take the challenges of a 401 or 407; False when there is none that can be answered, or our proof was refused.

        ``rounds`` is how many challenges to the same request were answered before; ``is_proven``: it had credentials.
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
        """Say whether the credentials were refused that the request had (RFC 3261 section 22.2).

        Vendors count wrong credentials towards a lock-out, so the same are not sent twice: not to the same nonce,
        and with another nonce only by another algorithm. Credentials that a request had unasked were good once; a new
        nonce may be all that is wanted, though not every peer says ``stale``.
        """
        known = self._asked.get((challenge.is_proxy, challenge.realm))
        if known is None or not known.answered or challenge.is_stale:
            return False
        if challenge.nonce == known.challenge.nonce:
            return True
        return rounds > 0 and challenge.algorithm is known.challenge.algorithm

    def lines(self, method: str, uri: str, body: bytes, cnonce: str) -> str:
        """Return the lines that prove one request to all who have asked; nothing where nobody has."""
        lines = []
        for key, asked in tuple(self._asked.items()):
            if asked.answered >= NONCE_COUNT_MAX:
                del self._asked[key]  # the count cannot be said any more: let a new nonce be given
                continue
            asked.answered += 1
            lines.append(answer_to(asked.challenge, self.login, method, uri, body, asked.answered, cnonce))
        return "".join(lines)


def _read(parameters: Mapping[str, str], *, is_proxy: bool) -> Challenge | None:
    """Return what a challenge says; None for one that cannot be answered."""
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
            return None  # it wants a protection that is not known here
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
    """Say whether text may stand in a header: no control character (RFC 3261 section 25.1, ``quoted-string``)."""
    return all(character >= " " and character != "\x7f" for character in text)
