"""Signatures of the calls that a vendor is sent: the caller's own where it still holds, else one of ours.

A signature covers the calling number, the called number and the time (RFC 8224 section 4.1). One that came with the
call and is about another called number is completed by a token that says who was called before (RFC 8946).
"""

import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.b2bua.identity import CallerIdentity
from vosd.base.clock import Instant
from vosd.base.number import for_matching, without_separators
from vosd.routing.routes import RouteChoice
from vosd.stir.errors import IdentityError
from vosd.stir.passport import DIV, Passport, SignedAbout, read
from vosd.stir.terms import Attestation, Numbering, VerifyTerms
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.stir import VerstatHeader

if TYPE_CHECKING:
    from vosd.stir.signing import Signer

_canonical: Final = Numbering().canonical
_TELEPHONE: Final = re.compile(r"\+?\d+\Z", re.ASCII)


class CallerAttestation(NamedTuple):
    """Attestation of a call by us."""

    signer: "Signer | None"
    numbering: Numbering
    attestation: Attestation
    trunk: str
    """Name of the trunk that the call came from."""
    verstat: str = ""
    """Result of the verification of the caller's signature, as vendors may be sent it; empty = it is not."""
    called: str = ""
    """Canonical number that the call was to when it came here."""
    is_forged: bool = False
    """Whether the caller's signature was verified here, and found wrong."""
    freshness_s: int = VerifyTerms().freshness_s
    """Longest time between a token and an INVITE to a vendor whose calls we sign that has it."""


class SignatureLines(NamedTuple):
    """Headers about signatures of one attempt."""

    headers: str
    """Whole lines."""
    attestation: str
    """The attestation in a signature of ours; empty = there is none."""
    verstat_in: frozenset[VerstatHeader]
    verstat: str
    """Parameter of the calling number in these headers, with semicolon; empty = none."""


def signature_lines(
    caller_identity: CallerIdentity,
    choice: RouteChoice,
    attested: CallerAttestation,
    *,
    shows_number: bool,
    now: Instant,
) -> SignatureLines:
    """Return the signatures of an INVITE of a caller that has some, or to a gateway that has settings for them.

    ``shows_number``: the vendor is sent the calling number at all; else it is sent no signature.
    """
    stir = choice.gateway.dialect.stir
    headers, attestation = "", ""
    if shows_number:
        signer = attested.signer if stir is not None and stir.sign else None
        headers, attestation = _signed(caller_identity, choice, attested, signer, now)
    wanted = frozenset() if stir is None or not attested.verstat else frozenset(stir.verstat)
    parameter = f";verstat={attested.verstat}" if wanted and _TELEPHONE.match(choice.caller_out) else ""
    return SignatureLines(headers, attestation, wanted, parameter)


def passed_on(caller_identity: CallerIdentity, caller: str, callee: str, dialect: CalleeDialect) -> str:
    """Return the caller's signatures, if From and To are sent unchanged, which they cover (RFC 8224 section 4.1)."""
    if not caller_identity.signatures:
        return ""
    forms = dialect.number_format
    if forms is not None:
        caller, callee = forms.written(caller, forms.from_), forms.written(callee, forms.to)
    for signed, sent in zip(caller_identity.signed_numbers, (caller, callee), strict=True):
        # What is signed is the number without separators and plus sign (RFC 8224 section 8.3).
        if not _TELEPHONE.match(sent) or for_matching(sent) != for_matching(without_separators(signed)):
            return ""
    return _received(caller_identity)


def _received(caller_identity: CallerIdentity) -> str:
    date = f"Date: {caller_identity.date}\r\n" if caller_identity.date else ""
    return date + "".join(f"Identity: {signature}\r\n" for signature in caller_identity.signatures)


def _signed(
    caller_identity: CallerIdentity,
    choice: RouteChoice,
    attested: CallerAttestation,
    signer: "Signer | None",
    now: Instant,
) -> tuple[str, str]:
    """Return Identity lines, and the attestation of a signature of ours; ``signer``: the vendor's calls are signed.

    The caller's tokens pass where one of them is about this call, and is fresh. Where one is about a call of the same
    caller to the number that was called here, and this switch has sent it on, it is completed by one that keeps its
    caller and its time (RFC 8946 section 4): of a diversion before us we cannot tell, and a time that the caller has
    chosen freely is not signed. Else they are left out for ours, as those that were found wrong here. A vendor whose
    calls are not signed also gets those that are old, cannot be read, or were for another call already, where nothing
    has changed.
    """
    dialect, numbers = choice.gateway.dialect, choice.gateway.numbers
    # The vendor takes its tech prefix away before it verifies anything.
    called = choice.callee_out if numbers is None else choice.callee_out.removeprefix(numbers.tech_prefix)
    canonical = attested.numbering.canonical
    caller, callee = canonical(choice.caller_out), canonical(called)
    received, at_s = "", now.wall // 1_000
    if caller_identity.signatures and (signer is None or not attested.is_forged):
        tokens = _tokens(caller_identity, attested.numbering)
        # A hunt may have outlasted a token that was right when the call came: the vendor would refuse it (403).
        timely = tokens if signer is None else _timely(tokens, at_s, attested.freshness_s)
        of_caller = [each for each in timely if caller and _canonical(each.claims.orig.tn) == caller]
        if any(_is_to(each, callee) for each in of_caller):
            return _received(caller_identity), ""
        before = next((each for each in of_caller if _is_to(each, attested.called)), None)
        if signer is not None and before is not None and not callee:
            return _received(caller_identity), ""  # no token of ours can name what the vendor is sent
        if signer is not None and before is not None:
            value = signer.diverted(before.claims.orig.tn, attested.called, callee, before.claims.iat)
            return f"{_received(caller_identity)}Identity: {value}\r\n", ""
        if signer is None or not tokens:
            received = passed_on(caller_identity, choice.caller_out, choice.callee_out, dialect)
    if signer is None or not caller or not callee:
        return received, ""
    value = signer.shaken(caller, callee, attested.attestation, attested.trunk, at_s)
    # A signed request has a Date (RFC 8224 section 6.1): the caller's, or that of the token.
    date = "" if received.startswith("Date:") else f"Date: {formatdate(at_s, usegmt=True)}\r\n"
    return f"{date}{received}Identity: {value}\r\n", attested.attestation.value


def _timely(tokens: list[Passport], at_s: int, freshness_s: int) -> list[Passport]:
    """Return those tokens whose time is not over; a diversion's is with that of the call that it completes."""
    fresh = [each for each in tokens if abs(at_s - each.claims.iat) <= freshness_s]
    calls = [each.claims.orig for each in fresh if each.ppt != DIV]
    return [each for each in fresh if each.ppt != DIV or each.claims.orig in calls]


def _tokens(caller_identity: CallerIdentity, numbering: Numbering) -> list[Passport]:
    """Return the caller's tokens with those of diversions; empty where no token of the caller can be read."""
    signed_caller, signed_callee = map(numbering.canonical, caller_identity.signed_numbers)
    about = SignedAbout(signed_caller, signed_callee, caller_identity.date)
    passports = [found for value in caller_identity.signatures if (found := _readable(value, about)) is not None]
    return passports if any(each.ppt != DIV for each in passports) else []


def _is_to(passport: Passport, callee: str) -> bool:
    return bool(callee) and any(_canonical(each) == callee for each in passport.claims.dest.tn)


def _readable(value: str, about: SignedAbout) -> Passport | None:
    try:
        return read(value, about)
    except IdentityError:
        return None
