"""Which numbers an INVITE carries (INTERFACES section 3, "Numbers").

The called number is the user part of the Request-URI; the calling number that of P-Asserted-Identity, else of From
(DESIGN section 7).
"""

from typing import Final

from vosd.sip.errors import ParseError
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.message import Request
from vosd.sip.uri import Uri

NUMBER_MAX: Final = 128
"""Longer user parts are nobody's number."""


def called_number(request: Request) -> str:
    """Return the number that the caller wants.

    Raises:
        ParseError: 400, 416, or 484 where the Request-URI names nobody.
    """
    user = Uri.parse(request.uri).user
    if not user or len(user) > NUMBER_MAX:
        raise ParseError(484, "Address Incomplete", request)
    return user


def calling_number(request: Request) -> str:
    """Return the number that the caller says it is; empty when it says nothing that can be read."""
    for value in request.headers("p-asserted-identity")[:2]:  # there may be two, one sip and one tel (RFC 3325)
        user = _user_in(value)
        if user:
            return user
    try:
        return _user_of(request.from_)
    except ParseError:
        return ""


def _user_in(value: str) -> str:
    try:
        return _user_of(NameAddr.parse(value))
    except ParseError:
        return ""


def _user_of(address: NameAddr) -> str:
    try:
        return Uri.parse(address.uri).user[:NUMBER_MAX]
    except ParseError:
        return ""
