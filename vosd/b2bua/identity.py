"""Identity of the caller: read from one side, presented to the other (names, privacy, diversions, signatures).

Owns which of a caller's identity headers are sent to a gateway, by that gateway's dialect. The numbers are decided
before; nothing of the caller's network is disclosed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar

import msgspec

from vosd.base.number import for_matching, without_separators
from vosd.sip.headers import display_name
from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.privacy import WITHHOLDS_CALLER, WITHHOLDS_HISTORY, wishes
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing, Privacy

ANONYMOUS: Final = "anonymous"
"""User part of an unknown caller (RFC 3261 section 8.1.1.3)."""
ANONYMOUS_HOST: Final = "anonymous.invalid"
ANONYMOUS_URI: Final = f"sip:{ANONYMOUS}@{ANONYMOUS_HOST}"
ANONYMOUS_FROM: Final = f'"Anonymous" <{ANONYMOUS_URI}>'
"""From of a caller who withholds his identity (RFC 3323 section 4.1)."""
PASSED_ON_MAX: Final = 10
"""Most diversions, history entries and signatures of one call that are forwarded; usual calls have fewer."""

_ANONYMISE: Final = Privacy.ANONYMISE  # access to enum members is slow
_STRIP: Final = Passing.STRIP
_SIGNED_TEXT: Final = re.compile(r"[\x20-\x7e]+\Z")
_TELEPHONE: Final = re.compile(r"\+?\d+\Z", re.ASCII)

Value = TypeVar("Value")


class CallerIdentity(msgspec.Struct, frozen=True):
    """Identity of a caller in an INVITE, besides the number of the call."""

    display: str = ""
    """The display name of From, as written."""
    is_simple: bool = False
    """Whether there is only a display name, as with nearly all callers."""
    is_anonymous: bool = False
    """Whether From is anonymous."""
    wishes: tuple[str, ...] = ()
    """The values of Privacy."""
    hides_party: bool = False
    """Whether Remote-Party-ID asks for what ``Privacy: id`` does."""
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
    def withholds_history(self) -> bool:
        """Whether the caller withholds the history of the call."""
        return not WITHHOLDS_HISTORY.isdisjoint(self.wishes)


PLAIN: Final = CallerIdentity(is_simple=True)
"""A caller with a number and nothing else."""


@lru_cache(maxsize=1024)
def _named(display: str) -> CallerIdentity:
    """Return a caller with a number and a display name; cached, since a trunk uses few names."""
    return CallerIdentity(display, is_simple=True)


class Presentation(msgspec.Struct, frozen=True):
    """Headers that present a caller to a gateway."""

    from_: str
    """The value of From, without tag."""
    headers: str
    """Whole lines."""


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


def present(
    caller_identity: CallerIdentity, caller_out: str, callee_out: str, ours: str, dialect: CalleeDialect
) -> Presentation:
    """Return the headers that present a caller to a gateway with this dialect.

    The numbers are the final ones, unescaped; ``ours`` is our host as written in a URI.
    """
    if (
        caller_identity.is_simple
        and not dialect.identity
        and dialect.privacy is not _ANONYMISE
        and (not caller_identity.display or dialect.display_name is _STRIP)
    ):
        return Presentation(f"<sip:{escape_user(caller_out) or ANONYMOUS}@{ours}>", "")
    return _Introduction(caller_identity, caller_out, callee_out, ours, dialect).presentation()


class _Introduction:
    """Presentation of one caller to one gateway."""

    __slots__ = ("_callee", "_caller", "_caller_identity", "_dialect", "_hides", "_ours", "_sends_withheld")

    def __init__(
        self, caller_identity: CallerIdentity, caller: str, callee: str, ours: str, dialect: CalleeDialect
    ) -> None:
        self._caller_identity = caller_identity
        self._caller = caller
        self._callee = callee
        self._ours = ours
        self._dialect = dialect
        self._hides = _hides(caller_identity, dialect.privacy)
        self._sends_withheld = bool(dialect.identity) or dialect.privacy in {Privacy.PASS, Privacy.STRIP}
        """Whether the vendor is sent a withheld identity (trusted, RFC 3325 section 7)."""

    def presentation(self) -> Presentation:
        address = f"{self._name()}<sip:{escape_user(self._caller) or ANONYMOUS}@{self._ours}>"
        lines = [*self._identities(address), *self._forwarding(), *self._signatures()]
        return Presentation(ANONYMOUS_FROM if self._hides else address, "".join(f"{line}\r\n" for line in lines))

    def _name(self) -> str:
        """Return the display name with a trailing blank; empty for an anonymous From, and where there is no number."""
        if self._dialect.display_name is Passing.STRIP or self._caller_identity.is_anonymous or not self._caller:
            return ""
        text = display_name.text_of(self._caller_identity.display)
        return f"{display_name.quoted(text)} " if text else ""

    def _identities(self, address: str) -> Iterator[str]:
        """Yield the identity headers and Privacy."""
        caller_identity, identity, privacy = self._caller_identity, self._dialect.identity, self._dialect.privacy
        has_caller = self._caller.lower() not in {"", ANONYMOUS}
        asserts = has_caller and IdentityHeader.ASSERTED in identity
        if asserts:
            yield f"P-Asserted-Identity: {address}"
        if has_caller and IdentityHeader.REMOTE_PARTY in identity:
            is_withheld = self._hides or (privacy is Privacy.PASS and caller_identity.is_withheld)
            yield f"Remote-Party-ID: {address};party=calling;screen=yes;privacy={'full' if is_withheld else 'off'}"
        if privacy is Privacy.PASS and caller_identity.wishes:
            yield f"Privacy: {';'.join(caller_identity.wishes)}"
        elif asserts and self._hides:
            yield "Privacy: id"

    def _forwarding(self) -> Iterator[str]:
        """Yield the diversion headers, without anything of the networks that the call passed."""
        caller_identity, dialect = self._caller_identity, self._dialect
        if dialect.diversion is Passing.PASS:
            for diversion in caller_identity.diversions:
                uri = self._uri_of(diversion.number, is_withheld=diversion.is_withheld)
                yield f"Diversion: {diversion.render(uri)}"
        if dialect.history_info is Passing.PASS:
            for entry in caller_identity.history:
                uri = self._uri_of(entry.number, is_withheld=entry.is_withheld or caller_identity.withholds_history)
                yield f"History-Info: {entry.render(uri)}"

    def _uri_of(self, number: str, *, is_withheld: bool) -> str:
        if not number or (is_withheld and not self._sends_withheld):
            return ANONYMOUS_URI
        return f"sip:{escape_user(number)}@{self._ours}"

    def _signatures(self) -> Iterator[str]:
        """Yield the signatures if everything that they cover is sent unchanged (RFC 8224 section 4.1)."""
        caller_identity = self._caller_identity
        if self._hides or not caller_identity.signatures:
            return
        for signed, sent in zip(caller_identity.signed_numbers, (self._caller, self._callee), strict=True):
            # What is signed is the number without separators and plus sign (RFC 8224 section 8.3).
            if not _TELEPHONE.match(sent) or for_matching(sent) != for_matching(without_separators(signed)):
                return
        if caller_identity.date:
            yield f"Date: {caller_identity.date}"
        for signature in caller_identity.signatures:
            yield f"Identity: {signature}"


def _hides(caller_identity: CallerIdentity, privacy: Privacy) -> bool:
    """Return whether From must be anonymous."""
    match privacy:
        case Privacy.HONOUR:
            return caller_identity.is_withheld
        case Privacy.PASS:
            return caller_identity.is_anonymous
        case Privacy.ANONYMISE:
            return True
        case Privacy.STRIP:
            return False


def _is_anonymous(uri: Uri) -> bool:
    """Return whether a From is anonymous as in RFC 3323 section 4.1.1.3, or RFC 3261 section 8.1.1.3."""
    return uri.user.lower() == ANONYMOUS or uri.host.lower() == ANONYMOUS_HOST


def _hides_party(party: NameAddr) -> bool:
    """Return whether a Remote-Party-ID is the caller's and asks to withhold the number."""
    whose, privacy = party.param("party") or "calling", party.param("privacy") or ""
    return whose.lower() == "calling" and privacy.lower().partition("-")[0] in {"full", "uri"}


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
