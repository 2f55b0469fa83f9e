"""Called and calling number of an INVITE.

The mapping gateway configures which parts of the INVITE hold them; by default the Request-URI holds the called number,
and P-Asserted-Identity, else From, the calling one.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.flaws import Flaw
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri
from vosd.trunks.dialect import CalleeSource, CallerDialect, CallerSource

NUMBER_MAX: Final = 128
"""Longer user parts are not numbers."""
IN_ORDER: Final = CallerDialect().caller_from
_NO_NUMBER: Final = frozenset({"", "anonymous"})
_VALUES_MAX: Final = 2
"""Of one header: there may be two identities, one sip and one tel (RFC 3325)."""


class InviteNumbers(msgspec.Struct):
    """The numbers of one INVITE, for ``callcontrol.admission``; read once the gateway is known."""

    request: Request

    def called(self, source: CalleeSource = CalleeSource.REQUEST_URI) -> str:
        """Return the number that the caller wants.

        Raises:
            ParseError: 400, 416, or 484 where that part of the INVITE has no user.
        """
        request = self.request
        user = (request.target if source is CalleeSource.REQUEST_URI else Uri.parse(request.to.uri)).user
        if not user or len(user) > NUMBER_MAX:
            raise ParseError(484, Flaw.ADDRESS_INCOMPLETE, request)
        return user

    def calling(self, order: Iterable[CallerSource] = IN_ORDER) -> str:
        """Return the calling number of the first source that has one.

        ``anonymous`` if no source has more than that; empty if no source has a readable user part.
        """
        header, anonymous = self.request.header, ""
        for source in order:
            if header(source) is None:
                continue
            user = _user_in(self.request, source)
            if user.lower() not in _NO_NUMBER:
                return user
            anonymous = anonymous or user
        return anonymous


def _user_in(request: Request, source: CallerSource) -> str:
    """Return the first user part in a header that is present; empty for none."""
    if source is CallerSource.FROM:
        try:
            return Uri.parse(request.from_.uri).user[:NUMBER_MAX]
        except ParseError:
            return ""
    for value in request.headers(source)[:_VALUES_MAX]:
        try:
            address = NameAddr.parse(value)
        except ParseError:
            continue
        is_called = source is CallerSource.REMOTE_PARTY and (address.param("party") or "").lower() == "called"
        user = "" if is_called else _user_of(address)
        if user:
            return user
    return ""


def _user_of(address: NameAddr) -> str:
    try:
        return Uri.parse(address.uri).user[:NUMBER_MAX]
    except ParseError:
        return ""
