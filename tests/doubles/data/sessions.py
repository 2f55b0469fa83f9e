"""Session descriptions of the user agents of tests: next versions of an origin, and answers."""

import re
from itertools import count
from typing import Final

_VERSION: Final = re.compile(r"(?m)^(o=\S+ \S+) (\d+) ")
_ORIGIN: Final = re.compile(r"(?m)^o=(\S+ \S+) (\d+) (.*)$")
_MEDIUM: Final = re.compile(r"(?m)^(m=\S+ )(\d+)( [^\r\n]*)")
_DIRECTION: Final = re.compile(r"(?m)^a=(sendonly|recvonly|inactive|sendrecv)\r\n")
_KEY: Final = re.compile(r" inline:[A-Za-z0-9+/]{40}")
_WITHOUT_MEDIA: Final = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
_keys: Final = count(1)
_OPPOSITE: Final = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


def follows(before: str, now: str) -> bool:
    """Return whether a description may come after another one of the same origin (RFC 3264 section 8).

    The origin stays but for its version, which grows with every change (an offer that was refused counts, too), and
    no medium is left out. Text that is no description at all, such as one that was cut off, goes through to the byte.
    """
    if not before or now == before or not (_ORIGIN.search(now) or _MEDIUM.search(now)):
        return True
    if len(_MEDIUM.findall(now)) < len(_MEDIUM.findall(before)):
        return False
    former, current = _ORIGIN.search(before), _ORIGIN.search(now)
    if former is None or current is None:
        return former is None
    is_later = (len(current[2]), current[2]) > (len(former[2]), former[2])
    return is_later and (current[1], current[3]) == (former[1], former[3])


def reuses_version(refused: str, now: str) -> bool:
    """Return whether an offer has the version of one that was refused, but says something else (RFC 3264 section 8)."""
    former, current = _ORIGIN.search(refused), _ORIGIN.search(now)
    return refused != now and former is not None and current is not None and former[0] == current[0]


def revised(session: str, *attributes: str) -> str:
    """Return the next description of an origin, both ways unless an attribute says otherwise (RFC 3264 section 8)."""
    told = _DIRECTION.sub("", _VERSION.sub(lambda origin: f"{origin[1]} {int(origin[2]) + 1} ", session))
    return told + "".join(f"{attribute}\r\n" for attribute in attributes)


def answering(offer: str, session: str) -> str:
    """Return the next description of an origin as the answer to ``offer``; hold gets the opposite direction (8.4).

    It has the media of the offer, of which those are rejected that the offer rejects or the origin does not have.
    """
    session = session or _WITHOUT_MEDIA
    found = _DIRECTION.search(offer)
    opposite = _OPPOSITE.get(found[1]) if found else None
    offered, own = list(_MEDIUM.finditer(offer)), list(_MEDIUM.finditer(session))
    for here, there in reversed(list(zip(own, offered, strict=False))):
        if there[2] == "0":
            session = f"{session[: here.start()]}{here[1]}0{here[3]}{session[here.end() :]}"
    session += "".join(f"{medium[1]}0{medium[3]}\r\n" for medium in offered[len(own) :])
    return revised(session, *([f"a={opposite}"] if opposite else []))


def rekeyed(session: str) -> str:
    """Return a description with a key that no other one has, in place of its own."""
    return _KEY.sub(lambda _: f" inline:own{next(_keys):037d}", session)


def begun_anew(session: str) -> str:
    """Return an offer with a user of ICE that no other one has, and with an open role in DTLS."""
    session = re.sub("(?m)^a=ice-ufrag:.*$", lambda _: f"a=ice-ufrag:own{next(_keys)}", session)
    return re.sub("(?m)^a=setup:.*$", "a=setup:actpass", session)


def with_ice(session: str, *hosts: str) -> str:
    """Return a description whose last medium has a candidate of ICE for each host."""
    candidates = (
        f"a=candidate:{index} 1 UDP {9_000 - index} {host} 20000 typ host" for index, host in enumerate(hosts)
    )
    lines = ("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", *candidates)
    return session + "".join(f"{line}\r\n" for line in lines)
