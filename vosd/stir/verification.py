"""Verify the signature of a call (RFC 8224 section 6.2): first what the token says, then its certificate.

What costs nothing is checked first: a certificate is asked for only where the token is about this call, and recent.
Other networks may have added tokens of their own: one that is right is enough (RFC 8224 section 6.2.2).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from vosd.stir.errors import BadIdentityInfoError, IdentityError, InvalidIdentityError, StaleDateError, UseIdentityError
from vosd.stir.passport import DIV, SHAKEN, Passport, SignedAbout, read
from vosd.stir.terms import Numbering, VerifyTerms

if TYPE_CHECKING:
    from vosd.stir.certificates import SigningCertificate

VALUES_MAX: Final = 10
"""Identity headers of one call that are read."""
DIVERSIONS_MAX: Final = 5
"""Diversions of one call whose signatures are verified."""
CHAINS_MAX: Final = 3
"""Tokens of one call, without those of diversions, whose certificates are asked for."""

Chain = tuple[Passport, ...]
"""A token of the caller, then those of the diversions that lead to the called number, the latest last."""


class SignedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The signature of an INVITE and the parts that it covers; kept until the signature is verified."""

    values: tuple[str, ...]
    """Identity headers."""
    caller: str
    """The calling number that the call is recorded and billed with."""
    callee: str
    """The called number that the call is routed by."""
    callee_uri: str = ""
    """Called address, as user and host, for tokens that name no number."""
    date: str = ""


class _Verdict(NamedTuple):
    """The result for a chain, and the certificates that it is based on."""

    certificates: "Sequence[SigningCertificate | IdentityError | None]"
    fault: IdentityError | None
    """None = the chain is right."""


class ReadSignature(msgspec.Struct, frozen=True):
    """Tokens of a call that are about it."""

    chains: tuple[Chain, ...]
    """The chains of SHAKEN stand first."""
    verdicts: dict[int, _Verdict] = msgspec.field(default_factory=dict)
    """By the place of the chain: each is verified once, and anew where a certificate was renewed meanwhile."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the certificates, each once."""
        return tuple(dict.fromkeys(each.x5u for chain in self.chains for each in chain))


class ConfirmedSignature(NamedTuple):
    """Tokens of a call whose signatures are right."""

    chains: tuple[Chain, ...]
    undecided: tuple[Chain, ...]
    """Tokens beside them that may be right, whose certificates were not had."""

    @property
    def attestation(self) -> str:
        """The attestation of the caller's token; empty = it has none (RFC 8588: only tokens of SHAKEN have)."""
        base = self.chains[0][0]
        return base.claims.attestation if base.ppt == SHAKEN else ""

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """The first half of each signature; the other half can be changed without a key, and stays right.

        Tokens that are undecided have one, too: none may serve a further call, whose certificate is known by then.
        """
        return tuple(chain[0].signature[:32] for chain in (*self.chains, *self.undecided))


def read_signature(call: SignedCall, at_ms: int, terms: VerifyTerms, numbering: Numbering) -> ReadSignature:
    """Return the tokens of a call.

    Raises:
        UseIdentityError: it has none.
        IdentityError: none can be read, or all are stale or about another call.
    """
    about = SignedAbout(numbering.canonical(call.caller), numbering.canonical(call.callee), call.date)
    passports: list[Passport] = []
    fault: IdentityError = UseIdentityError("the call has no signature for a calling number")
    for value in call.values[:VALUES_MAX]:
        try:
            found = read(value, about)
        except IdentityError as error:
            fault = error
        else:
            passports += [] if found is None else [found]
    # A token about a URI says nothing of a number, and TNAuthList nothing of domains.
    originals = [each for each in passports if each.ppt != DIV and each.claims.orig.tn]
    originals.sort(key=lambda each: each.ppt != SHAKEN)
    chains: list[Chain] = []
    # Where a number is called, a token for a URI is about another call: both can be written into one INVITE.
    callee_uri = "" if about.callee else call.callee_uri
    for base in reversed(originals):  # so that the fault is that of the first
        try:
            chain = (base, *_diversions(base, passports, about.callee, callee_uri))
            for each in chain:
                _check_time(each.claims.iat, at_ms, terms)
            if not about.caller or Numbering().canonical(base.claims.orig.tn) != about.caller:
                raise InvalidIdentityError("signed for calls of another number")
        except IdentityError as error:
            fault = error
        else:
            chains.insert(0, chain)
    if not chains:
        raise fault
    return ReadSignature(tuple(chains[:CHAINS_MAX]))


def is_right(
    signature: ReadSignature, certificates: Mapping[str, "SigningCertificate | IdentityError"], at_ms: int
) -> bool:
    """Return whether one of the tokens whose certificates are all there is right."""
    for place, chain in enumerate(signature.chains):
        if any(isinstance(certificates.get(each.x5u), IdentityError | None) for each in chain):
            continue
        if _fault(signature, place, certificates, at_ms) is None:
            return True
    return False


def confirm(
    signature: ReadSignature, certificates: Mapping[str, "SigningCertificate | IdentityError"], at_ms: int
) -> ConfirmedSignature:
    """Return those tokens that are right by their certificates, which ``certificates`` has by address.

    Raises:
        IdentityError: none is right; 436 where one may be, whose certificate could not be had.
    """
    right: list[Chain] = []
    undecided: list[tuple[Chain, IdentityError]] = []
    wrong: list[IdentityError] = []
    for place, chain in enumerate(signature.chains):
        fault = _fault(signature, place, certificates, at_ms)
        if fault is None:
            right.append(chain)
        elif isinstance(fault, BadIdentityInfoError):
            undecided.append((chain, fault))
        else:
            wrong.append(fault)
    if not right:
        raise undecided[0][1] if undecided else wrong[0]
    return ConfirmedSignature(tuple(right), tuple(chain for chain, _ in undecided))


def _fault(
    signature: ReadSignature, place: int, certificates: Mapping[str, "SigningCertificate | IdentityError"], at_ms: int
) -> IdentityError | None:
    """Return why a chain is wrong, or cannot be verified, by the verdict before if it has the same certificates."""
    chain = signature.chains[place]
    needed = [certificates.get(each.x5u) for each in chain]
    verdict = signature.verdicts.get(place)
    if verdict is None or any(one is not other for one, other in zip(verdict.certificates, needed, strict=True)):
        verdict = signature.verdicts[place] = _Verdict(needed, _judged(chain, needed, at_ms))
    return verdict.fault


def _judged(
    chain: Chain, certificates: "Sequence[SigningCertificate | IdentityError | None]", at_ms: int
) -> IdentityError | None:
    for each, certificate in zip(chain, certificates, strict=True):
        if certificate is None:
            return BadIdentityInfoError("the certificate was not had in time")
        if isinstance(certificate, IdentityError):
            return certificate
        try:
            certificate.check(each, at_ms)
        except IdentityError as error:
            return error
    return None


def address_of(uri: str) -> str:
    """Return a SIP address for comparison: user and host without port and parameters, the host in lower case."""
    scheme, _, rest = uri.strip().partition(":")
    if scheme.lower() not in {"sip", "sips"}:
        return uri.strip()
    user, at, host = rest.partition(";")[0].partition("?")[0].rpartition("@")
    host = host[: host.index("]") + 1] if host[:1] == "[" and "]" in host else host.partition(":")[0]
    return f"sip:{user}{at}{host.lower()}"


def _diversions(base: Passport, passports: Sequence[Passport], callee: str, callee_uri: str) -> list[Passport]:
    """Return the diversions that lead from the token's destination to the called number, the earliest first.

    RFC 8946 section 5: each names who was called before, and the one that the call goes to now.
    """
    diversions = [each for each in passports if each.ppt == DIV and each.claims.orig == base.claims.orig]
    found: list[Passport] = []
    number, uri = callee, callee_uri
    while not _is_for(base, number, uri):
        before = next((each for each in diversions if each not in found and _is_for(each, number, uri)), None)
        if before is None or before.claims.div is None or len(found) >= DIVERSIONS_MAX:
            raise InvalidIdentityError("signed for a call to another number")
        found.append(before)
        number, uri = Numbering().canonical(before.claims.div.tn), address_of(before.claims.div.uri)
    return found[::-1]


def _is_for(passport: Passport, number: str, uri: str) -> bool:
    """Return whether a token is about a call to this number, or to this address."""
    dest = passport.claims.dest
    if number and any(Numbering().canonical(each) == number for each in dest.tn):
        return True
    return bool(uri) and any(address_of(each) == uri for each in dest.uri)


def _check_time(iat: int, at_ms: int, terms: VerifyTerms) -> None:
    age_s = at_ms // 1_000 - iat
    if abs(age_s) > terms.freshness_s:
        when = f"{age_s} s ago" if age_s > 0 else f"{-age_s} s in the future"
        raise StaleDateError(f"signed {when}; {terms.freshness_s} s are allowed")
