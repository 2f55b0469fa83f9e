"""Identity of the caller as its INVITE says it: name, privacy, diversions, signatures.

``outgoing.presentation`` presents it to a gateway.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar

import msgspec

from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.privacy import WITHHOLDS_CALLER, WITHHOLDS_HISTORY, WITHHOLDS_SESSION, hides_party, wishes
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri
from vosd.trunks.dialect import CallerPrivacy

ANONYMOUS: Final = "anonymous"
"""User part of an unknown caller (RFC 3261 section 8.1.1.3)."""
ANONYMOUS_HOST: Final = "anonymous.invalid"
PASSED_ON_MAX: Final = 10
"""Most diversions, history entries and signatures of one call that are forwarded; usual calls have fewer."""

_SIGNED_TEXT: Final = re.compile(r"[\x20-\x7e]+\Z")

Value = TypeVar("Value")


class CallerIdentity(msgspec.Struct, frozen=True):
    """Identity of a caller in an INVITE, besides the number of the call."""

    display: str = ""
    """The display name of the header that has the number, as written; that of From where that has no other one."""
    is_simple: bool = False
    """Whether there is only a display name, as with nearly all callers."""
    is_anonymous: bool = False
    """Whether From is anonymous."""
    wishes: tuple[str, ...] = ()
    """The values of Privacy."""
    hides_party: bool = False
    """Whether another header asks for what ``Privacy: id`` does: Remote-Party-ID, or the Diversion that has the number
    of the call."""
    diversions: tuple[Diversion, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    signatures: tuple[str, ...] = ()
    """The values of Identity (RFC 8224), unchanged."""
    date: str = ""
    """The Date that the signatures cover."""
    signed_numbers: tuple[str, str] = ("", "")
    """The numbers of From and To, which the signatures cover."""

    @property
    def is_withheld(self) -> bool:
        """Whether the caller withholds his identity from the called party."""
        return self.is_anonymous or self.hides_party or not WITHHOLDS_CALLER.isdisjoint(self.wishes)

    @property
    def privacy(self) -> CallerPrivacy:
        """The privacy that the caller asks for, as far as it decides who is sent the number."""
        if self.is_anonymous:
            return CallerPrivacy.ANONYMOUS
        return CallerPrivacy.WITHHELD if self.is_withheld else CallerPrivacy.SHOWN

    @property
    def withholds_session(self) -> bool:
        """Whether the caller withholds who has written its session descriptions."""
        return self.is_withheld or not WITHHOLDS_SESSION.isdisjoint(self.wishes)

    @property
    def withholds_history(self) -> bool:
        """Whether the caller withholds the history of the call."""
        return not WITHHOLDS_HISTORY.isdisjoint(self.wishes)

    def named(self, display: str) -> "CallerIdentity":
        """Return it with another display name; empty = none."""
        if self.is_simple:
            return _named(display) if display else PLAIN
        return msgspec.structs.replace(self, display=display)

    def withheld_as(self, privacy: CallerPrivacy) -> "CallerIdentity":
        """Return it with at least a privacy: that which is asked for the number that is shown with it."""
        if self.privacy >= privacy:
            return self
        if privacy is CallerPrivacy.ANONYMOUS:
            return msgspec.structs.replace(self, is_simple=False, is_anonymous=True)
        return msgspec.structs.replace(self, is_simple=False, hides_party=True)

    def of_user(self, permits: Callable[[str], bool]) -> "CallerIdentity":
        """Return what of it a telephone may say: that a number of its own has diverted the call.

        It is outside of the trust domain (RFC 3325 section 5), and may not speak for others. This switch knows whose
        number it calls with, and signs that itself.
        """
        if not (self.diversions or self.history or self.signatures):
            return self
        diversions = tuple(each for each in self.diversions if permits(each.number))
        return msgspec.structs.replace(self, diversions=diversions, history=(), signatures=())


PLAIN: Final = CallerIdentity(is_simple=True)
"""A caller with a number and nothing else."""


@lru_cache(maxsize=1024)
def _named(display: str) -> CallerIdentity:
    """Return a caller with a number and a display name; cached, since a trunk uses few names."""
    return CallerIdentity(display, is_simple=True)


def caller_identity_of(request: Request) -> CallerIdentity:
    """Read the caller's identity from an INVITE. Unreadable parts are ignored."""
    header = request.header
    from_ = header("from") or ""
    if (
        header("privacy") is None
        and header("remote-party-id") is None
        and header("diversion") is None
        and header("history-info") is None
        and header("identity") is None
        and ANONYMOUS not in from_.lower()
    ):
        if from_[:1] == "<":
            return PLAIN
        try:
            display = request.from_.display
        except ParseError:
            return PLAIN
        return _named(display) if display else PLAIN
    caller = _uri_in(from_)
    signatures = tuple(value for value in request.values("identity") if _SIGNED_TEXT.match(value))[:PASSED_ON_MAX]
    date = header("date") or ""
    return CallerIdentity(
        display=_display_of(request),
        is_anonymous=caller is not None and _is_anonymous(caller),
        wishes=wishes(";".join(request.values("privacy"))),
        hides_party=any(map(_hides_party, _readable(request.headers("remote-party-id"), NameAddr.parse))),
        diversions=_readable(request.headers("diversion"), Diversion.parse),
        history=_readable(request.headers("history-info"), HistoryEntry.parse),
        signatures=signatures,
        date=date if _SIGNED_TEXT.match(date) else "",
        signed_numbers=(caller.user if caller else "", _user_in(header("to") or "")),
    )


def _is_anonymous(uri: Uri) -> bool:
    """Return whether a From is anonymous as in RFC 3323 section 4.1.1.3, or RFC 3261 section 8.1.1.3."""
    return uri.user.lower() == ANONYMOUS or uri.host.lower() == ANONYMOUS_HOST


def _hides_party(party: NameAddr) -> bool:
    """Return whether a Remote-Party-ID is the caller's and asks to withhold the number."""
    return (party.param("party") or "calling").lower() == "calling" and hides_party(party)


def _display_of(request: Request) -> str:
    try:
        return request.from_.display
    except ParseError:
        return ""


def _user_in(text: str) -> str:
    uri = _uri_in(text)
    return "" if uri is None else uri.user


def _uri_in(text: str) -> Uri | None:
    try:
        return Uri.parse(NameAddr.parse(text).uri)
    except ParseError:
        return None


def _readable(values: Iterable[str], parse: Callable[[str], Value]) -> tuple[Value, ...]:
    """Return the first readable values."""
    found = []
    for value in islice(values, PASSED_ON_MAX):
        try:
            found.append(parse(value))
        except ParseError:
            continue
    return tuple(found)
