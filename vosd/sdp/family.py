"""Address families and ICE of a session description (RFC 8866 section 5.7, RFC 6947, RFC 8839)."""

import re
from typing import Final

from vosd.base.host import is_private, is_valid_address

_FAMILY: Final = re.compile(rb"\nc=IN IP([46]) (?!(?:0\.0\.0\.0|::)\s)")
"""Family of an address; that of a call on hold is none (RFC 3264 section 8.4)."""
_HAS_CANDIDATES: Final = b"\na=candidate:"
"""Begins the lines of ICE; most descriptions have none, and to search for a pattern costs a call."""
_CANDIDATE: Final = re.compile(rb"\na=candidate:\S+ \d+ (?i:udp) \d+ (\S+)")
"""Host of an ICE candidate (RFC 8839 section 5.1); media are sent by UDP alone."""
_ICE_USER: Final = re.compile(rb"\na=ice-ufrag:(\S+)")
_ALTERNATIVE: Final = b"\na=altc:"
"""Begins the lines by which, as by ICE candidates, parties find addresses of the other family, too (RFC 6947)."""


def family_of(session: bytes) -> int:
    """Return the only address family of the media, 4 or 6; 0 = both, or it is not known."""
    families = set(_FAMILY.findall(session))
    if _HAS_CANDIDATES in session:
        families.update(b"%d" % each for each in families_of_ice(session))
    return 0 if len(families) != 1 or _ALTERNATIVE in session else int(families.pop())


def families_of_ice(session: bytes) -> set[int]:
    """Return the address families of the ICE candidates: a name, such as browsers write (mDNS), may have both."""
    families = set[int]()
    for host in _CANDIDATE.findall(session):
        families |= ({6} if b":" in host else {4}) if is_valid_address(host.decode("latin-1")) else {4, 6}
    return families


def user_of_ice(session: bytes) -> str:
    """Return the first username fragment of ICE, which is another one after a restart (RFC 8839); empty = no ICE."""
    found = _ICE_USER.search(session)
    return "" if found is None else found[1].decode("latin-1")


def host_of_ice(session: bytes) -> str:
    """Return the host of an ICE candidate where all have one address family, a public one if there is any.

    Empty = there are candidates of both, or none.
    """
    if len(families_of_ice(session)) != 1:
        return ""
    hosts: list[str] = [each.decode("latin-1") for each in _CANDIDATE.findall(session)]
    return next((each for each in hosts if not is_private(each)), hosts[0])
