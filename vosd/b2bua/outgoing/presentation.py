"""Headers that present a caller to a gateway: From, asserted identity, privacy, diversions, signatures.

Owns which of a caller's identity headers are sent to a gateway, by that gateway's dialect. The numbers are decided
before; nothing of the caller's network is disclosed.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from vosd.b2bua.identity import ANONYMOUS, ANONYMOUS_HOST, CallerIdentity
from vosd.b2bua.outgoing.forwarding import diversions_of, history_of
from vosd.b2bua.outgoing.signatures import SignatureLines, passed_on
from vosd.sip.headers import display_name
from vosd.sip.headers.privacy import WITHHOLDS_CALLER
from vosd.sip.wire.compose import escape_user
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing, Privacy
from vosd.trunks.stir import VerstatHeader

ANONYMOUS_URI: Final = f"sip:{ANONYMOUS}@{ANONYMOUS_HOST}"
ANONYMOUS_FROM: Final = f'"Anonymous" <{ANONYMOUS_URI}>'
"""From of a caller who withholds his identity (RFC 3323 section 4.1)."""

_ANONYMISE: Final = Privacy.ANONYMISE  # access to enum members is slow
_STRIP: Final = Passing.STRIP


class Presentation(msgspec.Struct, frozen=True):
    """Headers that present a caller to a gateway."""

    from_: str
    """The value of From, without tag."""
    headers: str
    """Whole lines."""


def present(
    caller_identity: CallerIdentity,
    caller_out: str,
    callee_out: str,
    ours: str,
    dialect: CalleeDialect,
    signed: SignatureLines | None = None,
) -> Presentation:
    """Return the headers that present a caller to a gateway with this dialect.

    The numbers are the final ones, unescaped; ``ours`` is our host as written in a URI. ``signed`` is that of a call
    which is signed, or to a gateway with settings for signatures; else signatures pass by From and To alone.
    """
    if (
        signed is None
        and caller_identity.is_simple
        and dialect.number_format is None
        and not dialect.identity
        and dialect.privacy is not _ANONYMISE
        and (not caller_identity.display or dialect.display_name is _STRIP)
    ):
        return Presentation(f"<sip:{escape_user(caller_out) or ANONYMOUS}@{ours}>", "")
    return _Introduction(caller_identity, caller_out, callee_out, ours, dialect, signed).presentation()


class _Introduction:
    """Presentation of one caller to one gateway."""

    __slots__ = ("_callee", "_caller", "_caller_identity", "_dialect", "_hides", "_ours", "_signed")

    def __init__(
        self,
        caller_identity: CallerIdentity,
        caller: str,
        callee: str,
        ours: str,
        dialect: CalleeDialect,
        signed: SignatureLines | None,
    ) -> None:
        self._signed = signed
        self._caller_identity = caller_identity
        self._caller = caller
        self._callee = callee
        self._ours = ours
        self._dialect = dialect
        self._hides = _hides(caller_identity, dialect.privacy)

    def presentation(self) -> Presentation:
        name, forms = self._name(), self._dialect.number_format
        caller = escape_user(self._caller) or ANONYMOUS
        in_from, in_asserted = self._verified(VerstatHeader.FROM), self._verified(VerstatHeader.ASSERTED)
        if forms is None:
            address, asserted = (f"{name}<sip:{caller}{each}@{self._ours}>" for each in (in_from, in_asserted))
        else:
            address = f"{name}<{forms.uri(caller, forms.from_, self._ours, in_from)}>"
            asserted = f"{name}<{forms.uri(caller, forms.pai, self._ours, in_asserted)}>"
        lines = "".join(f"{line}\r\n" for line in (*self._identities(asserted), *self._forwarding()))
        return Presentation(ANONYMOUS_FROM if self._hides else address, lines + self._signatures())

    def _name(self) -> str:
        """Return the display name with a trailing blank; empty for an anonymous From, and where there is no number."""
        if self._dialect.display_name is Passing.STRIP or self._caller_identity.is_anonymous or not self._caller:
            return ""
        text = display_name.text_of(self._caller_identity.display)
        return f"{display_name.quoted(text)} " if text else ""

    def _identities(self, address: str) -> Iterator[str]:
        """Yield the identity headers and Privacy."""
        caller_identity, identity, privacy = self._caller_identity, self._dialect.identity, self._dialect.privacy
        is_shown = self._dialect.is_sent_withheld or not self._hides
        has_caller = is_shown and self._caller.lower() not in {"", ANONYMOUS}
        asserts = has_caller and IdentityHeader.ASSERTED in identity
        if asserts:
            yield f"P-Asserted-Identity: {address}"
        if has_caller and IdentityHeader.REMOTE_PARTY in identity:
            is_withheld = self._hides or (privacy is Privacy.PASS and caller_identity.is_withheld)
            yield f"Remote-Party-ID: {address};party=calling;screen=yes;privacy={'full' if is_withheld else 'off'}"
        wishes = self._wishes(is_sent=asserts or not self._hides)
        if wishes:
            yield f"Privacy: {';'.join(wishes)}"

    def _wishes(self, *, is_sent: bool) -> tuple[str, ...]:
        """Return the values of Privacy; ``is_sent``: the caller's number is in From or P-Asserted-Identity.

        Where the vendor is to withhold it, one of them says so in the words of RFC 3323 and RFC 3325, whatever the
        caller has written.
        """
        caller_identity = self._caller_identity
        if self._dialect.privacy is not Privacy.PASS:
            return ("id",) if is_sent and self._hides else ()
        standard = tuple(wish for wish in caller_identity.wishes if wish != "full")
        if not is_sent or not caller_identity.is_withheld or not WITHHOLDS_CALLER.isdisjoint(standard):
            return standard
        return (*(wish for wish in standard if wish != "none"), "id")

    def _forwarding(self) -> Iterator[str]:
        """Yield the diversion headers, without anything of the networks that the call passed."""
        caller_identity, dialect = self._caller_identity, self._dialect
        diversions, history = caller_identity.diversions, caller_identity.history
        if dialect.convert_diversions and not diversions:
            diversions = diversions_of(history, is_withheld=caller_identity.withholds_history)
        elif dialect.convert_diversions and not history:
            history = history_of(diversions, self._callee)
        if dialect.diversion is Passing.PASS:
            for diversion in diversions:
                uri = self._uri_of(diversion.number, is_withheld=diversion.is_withheld)
                yield f"Diversion: {diversion.render(uri)}"
        if dialect.history_info is Passing.PASS:
            # Privacy does not say it for all of them, where the caller's is not passed on (RFC 7044 section 10.1).
            marks = dialect.is_sent_withheld and dialect.privacy in {Privacy.HONOUR, Privacy.ANONYMISE}
            for entry in history:
                is_withheld = entry.is_withheld or caller_identity.withholds_history
                uri = self._uri_of(entry.number, is_withheld=is_withheld, has_headers=True)
                marked = entry._replace(is_withheld=is_withheld) if marks else entry
                yield f"History-Info: {marked.render(uri)}"

    def _uri_of(self, number: str, *, is_withheld: bool, has_headers: bool = False) -> str:
        if not number or (is_withheld and not self._dialect.is_sent_withheld):
            return ANONYMOUS_URI
        forms = self._dialect.number_format
        if forms is not None:
            written = forms.sip_uri if has_headers else forms.uri
            return written(escape_user(number), forms.diversion, self._ours)
        return f"sip:{escape_user(number)}@{self._ours}"

    def _signatures(self) -> str:
        if self._signed is not None:
            return self._signed.headers
        if self._hides:
            return ""
        return passed_on(self._caller_identity, self._caller, self._callee, self._dialect)

    def _verified(self, header: VerstatHeader) -> str:
        """Return the parameter of the calling number in a header that says whether its signature was verified."""
        signed = self._signed
        return signed.verstat if signed is not None and header in signed.verstat_in else ""


def shows_number(caller_identity: CallerIdentity, dialect: CalleeDialect) -> bool:
    """Return whether a vendor is sent the number of a caller at all, in From or to a trusted one beside it."""
    return dialect.shows_number[caller_identity.privacy]


def _hides(caller_identity: CallerIdentity, privacy: Privacy) -> bool:
    match privacy:
        case Privacy.HONOUR:
            return caller_identity.is_withheld
        case Privacy.PASS:
            return caller_identity.is_anonymous
        case Privacy.ANONYMISE:
            return True
        case Privacy.STRIP:
            return False
