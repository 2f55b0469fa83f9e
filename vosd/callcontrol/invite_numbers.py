"""Called and calling number of an INVITE.

The mapping gateway configures which parts of the INVITE hold them; by default the Request-URI holds the called number,
and P-Asserted-Identity, else From, the calling one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from vosd.base.number import EMERGENCY_SERVICE, NUMBER, SEPARATORS, for_matching, without_separators
from vosd.sdp.summary import hosts
from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.phone_context import number_of, phone_context_of
from vosd.sip.headers.portability import Portability, portability_of
from vosd.sip.wire.body import session_of
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import user_part
from vosd.trunks.dialect import CalleeSource, CallerDialect, CallerSource

NUMBER_MAX: Final = 128
"""Longer user parts are not numbers."""
IN_ORDER: Final = CallerDialect().caller_from
_IDENTITIES: Final = frozenset({CallerSource.ASSERTED, CallerSource.PREFERRED})
"""Sources whose values are all of one user."""
_NO_NUMBER: Final = frozenset({"", "anonymous"})
_NATIONAL_MIN: Final = 7
"""Digits of a number, without the zeros before it, from which it is known as the end of its international form."""
_FORWARDED: Final = frozenset({302, 404, 408, 480, 486, 487, 503})
"""Causes of a forwarding: at once, unknown, no answer, deflected, busy, deflected while ringing, not reachable (RFC
4458 section 2). 380 is a service number that was translated (RFC 8119)."""
_HISTORY_MAX: Final = 20
"""Entries of History-Info that are looked at: a message may have thousands, and each takes time."""
_VALUES_MAX: Final = 2
"""Values of one header: there may be two identities, one sip and one tel (RFC 3325)."""


class InviteNumbers(msgspec.Struct):
    """The numbers of one INVITE, for ``callcontrol.admission``; read once the gateway is known."""

    request: Request
    context: str = ""
    """The phone-context of the number that ``called`` has returned; empty = it has none."""
    is_withheld: bool = False
    """Whether the number that ``calling`` has returned is of a Diversion that asks to withhold it (RFC 5806).

    The wish of a caller for its own number is read by ``b2bua.identity``.
    """
    display: str | None = None
    """The display name of the header that has the number which ``calling`` has returned; None = it is that of From."""

    def called(self, source: CalleeSource = CalleeSource.REQUEST_URI) -> str:
        """Return the number that the caller wants, as received: it may have visual separators.

        Raises:
            ParseError: 400, 416, or 484 where that part of the INVITE has no user.
        """
        request = self.request
        uri = request.uri
        if source is not CalleeSource.REQUEST_URI and not uri.lower().startswith(EMERGENCY_SERVICE):
            uri = request.to.uri
        user = user_part(uri)
        if ";" in uri:
            self.context = phone_context_of(uri)
        if not user or len(user) > NUMBER_MAX:
            raise ParseError(484, Flaw.ADDRESS_INCOMPLETE, request)
        return user

    def calling(self, order: Iterable[CallerSource] = IN_ORDER) -> str:
        """Return the calling number of the first source that has one; a name counts as one, since it may hide it.

        ``anonymous`` if no source has more than that; empty if no source has a readable user part.
        """
        request, anonymous = self.request, ""
        self.is_withheld, self.display = False, None
        for source in order:
            if request.header(source) is None:
                continue
            user = _user_of_from(request) if source is CallerSource.FROM else _user_in(request, source)
            if user.lower() not in _NO_NUMBER:
                self.is_withheld = source is CallerSource.DIVERSION and _withholds(request.headers(source))
                if source is not CallerSource.FROM:
                    self.display = _display_in(request, source, user)
                return user
            anonymous = anonymous or user
        return anonymous

    def is_forwarded(self) -> bool:
        """Return whether another party was called first: there is a Diversion, or History-Info has a cause for it.

        A Reason in History-Info is none: a proxy that tried another route leaves one, too.
        """
        request = self.request
        if request.header("diversion") is not None:
            return True
        return any(map(_is_forwarding, request.headers("history-info")[:_HISTORY_MAX]))

    def agent(self) -> str:
        """Return the User-Agent; empty for none."""
        return self.request.header("user-agent") or ""

    def media_hosts(self) -> frozenset[str]:
        """Return the addresses in the session description."""
        return hosts(session_of(self.request))

    def portability(self) -> Portability:
        """Return what the Request-URI says about the portability of the called number."""
        return portability_of(self.request.uri)


def _user_in(request: Request, source: CallerSource) -> str:
    """Return the first user part in a list of addresses; empty for none.

    Where an identity has both forms, the name and the number of one user (RFC 3325), it is the number.
    """
    first = ""
    values = request.headers(source)[:_VALUES_MAX]
    for value in values:
        try:
            address = NameAddr.parse(value)
            user = (number_of(address.uri) if ";" in address.uri else user_part(address.uri))[:NUMBER_MAX]
        except ParseError:
            continue
        is_called = source is CallerSource.REMOTE_PARTY and (address.param("party") or "").lower() == "called"
        if not user or is_called:
            continue
        if len(values) == 1 or source not in _IDENTITIES or NUMBER.match(user.translate(SEPARATORS)):
            return user
        first = first or user
    return first


def _display_in(request: Request, source: CallerSource, user: str) -> str | None:
    """Return the first display name in a list of addresses; None = there is none, and From is of the same user."""
    for value in request.headers(source)[:_VALUES_MAX]:
        try:
            address = NameAddr.parse(value)
        except ParseError:
            continue
        is_called = source is CallerSource.REMOTE_PARTY and (address.param("party") or "").lower() == "called"
        if address.display and not is_called and (source in _IDENTITIES or _user_of(address) == user):
            return address.display
    return None if _is_one_user(_user_of_from(request), user) else ""


def _is_one_user(one: str, other: str) -> bool:
    """Return whether two user parts are of one user: they may be one number in national and in international form."""
    shorter, longer = sorted((_significant(one), _significant(other)), key=len)
    if shorter == longer:
        return True
    return len(shorter) >= _NATIONAL_MIN and shorter.isdecimal() and longer.isdecimal() and longer.endswith(shorter)


def _significant(user: str) -> str:
    return for_matching(without_separators(user)).lstrip("0")


def _user_of(address: NameAddr) -> str:
    return (number_of(address.uri) if ";" in address.uri else user_part(address.uri))[:NUMBER_MAX]


def _withholds(diversions: Sequence[str]) -> bool:
    """Return whether the first diversion with a number withholds it."""
    for value in diversions[:_VALUES_MAX]:
        try:
            diversion = Diversion.parse(value)
        except ParseError:
            continue
        if diversion.number:
            return diversion.is_withheld
    return False


def _is_forwarding(entry: str) -> bool:
    """Return whether an entry of History-Info is of a target that the call was forwarded to."""
    try:
        return HistoryEntry.parse(entry).cause in _FORWARDED
    except ParseError:
        return False


def _user_of_from(request: Request) -> str:
    try:
        uri = request.from_.uri
        return (number_of(uri) if ";" in uri else user_part(uri))[:NUMBER_MAX]
    except ParseError:
        return ""
