"""Signatures of calls: those of callers are verified in the set-up, and what we attest of a call is decided here.

The rules of tokens and certificates are in ``vosd.stir``. Certificates are a question that ``engine.lookups``
answers.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching, without_separators
from vosd.callcontrol.admission import Admission, StepOutOfOrderError
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.callcontrol.questions import Ask, Outcome, SetupQuestion
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.host_claims import without_prefix
from vosd.routing.routes import RouteChoice
from vosd.stir.errors import BadIdentityInfoError, IdentityError, InvalidIdentityError, UseIdentityError
from vosd.stir.settings import StirTerms
from vosd.stir.terms import INTERNATIONAL_MIN, Attestation, VerifyAction, VerifyTerms, Verstat
from vosd.stir.verification import (
    VALUES_MAX,
    ConfirmedSignature,
    ReadSignature,
    SignedCall,
    address_of,
    confirm,
    is_right,
    read_signature,
)
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.stir import CallerOrigin, TrunkVerification

if TYPE_CHECKING:
    from vosd.stir.certificates import SigningCertificate

_UNSIGNED: Final = (UseIdentityError, BadIdentityInfoError)
"""Errors that say nothing about the call: it was not verified."""


class Certificates(SetupAnswer, frozen=True):
    """Certificates by address, or why there is none."""

    found: Mapping[str, "SigningCertificate | IdentityError"]


class WhichCertificates(SetupQuestion, frozen=True):
    """Question for the certificates of a call's tokens, and whether they are trusted."""

    answered_by: ClassVar[type[SetupAnswer]] = SetupAnswer  # a call without them is verified, too: as one without
    asked_of: ClassVar[str] = "stir.verify"
    signature: ReadSignature
    trunk: str
    """The trunk that the call came by: it may not have others' certificates waited for."""
    at_ms: int
    """Time at which the call came, UTC milliseconds."""

    def is_enough(self, found: Mapping[str, "SigningCertificate | IdentityError"]) -> bool:
        """Return whether a token is right by these certificates, so that the call waits for no others."""
        return is_right(self.signature, found, self.at_ms)


def verifies(gateway: MappingGateway, terms: StirTerms | None) -> VerifyAction | None:
    """Return what is done with calls of a trunk whose signature is wrong; None = signatures are not looked at."""
    if terms is None or terms.verify is None or gateway.stir is None or gateway.stir.verify is TrunkVerification.NO:
        return None
    return gateway.stir.verify.action or terms.verify.action


def verify_caller(admission: Admission, call: CallRequest) -> Outcome:
    """Verify the signature of a call of a trunk that wants that; it covers the numbers before they are rewritten."""
    gateway = call.mapping
    if gateway is None:
        raise StepOutOfOrderError("the call is not identified yet")
    if gateway.stir is None or call.verstat:
        return None
    terms = admission.catalogue.parameters.stir
    action = verifies(gateway, terms)
    if action is None or terms is None or terms.verify is None:
        return None
    if admission.is_emergency(call):
        return None  # such a call neither waits nor is refused
    if call.signed is None:
        if not isinstance(call.numbers, InviteNumbers):
            return None  # a transfer has no INVITE of its caller
        call.signed = _signed_call(call.numbers, call)
        # The steps behind the answer have no INVITE any more.
        call.is_forwarded, call.portability = call.numbers.is_forwarded(), call.numbers.portability()
    rules = terms.verify
    try:
        signature = read_signature(call.signed, call.at.wall, rules, terms.numbering)
    except IdentityError as error:
        return _judge(call, action, rules, error)
    answered = partial(_confirm, admission, call, action, rules, signature)
    return Ask(WhichCertificates(signature, gateway.name, call.at.wall), rules.timeout_ms, None, answered)


def _confirm(
    admission: Admission,
    call: CallRequest,
    action: VerifyAction,
    rules: VerifyTerms,
    signature: ReadSignature,
    answer: SetupAnswer,
) -> Refusal | None:
    """Judge a call by its certificates; it may have waited for them, but its token counts as of its arrival."""
    found = answer.found if isinstance(answer, Certificates) else {}
    try:
        confirmed = confirm(signature, found, call.at.wall)
        _note_use(admission, call, rules, confirmed)
    except IdentityError as error:
        return _judge(call, action, rules, error)
    call.attestation = confirmed.attestation
    return _judge(call, action, rules, None)


def _note_use(admission: Admission, call: CallRequest, rules: VerifyTerms, confirmed: ConfirmedSignature) -> None:
    """Raise InvalidIdentityError where another call has used the same token."""
    if not rules.replay_entries or call.signed is None:
        return
    until_ms, fingerprints = call.at.wall + 2_000 * rules.freshness_s, confirmed.fingerprints
    if not admission.live.replays.take(fingerprints, call.at.wall, until_ms, rules.replay_entries):
        raise InvalidIdentityError("another call has used this signature")
    call.fingerprints = fingerprints


def _judge(call: CallRequest, action: VerifyAction, rules: VerifyTerms, fault: IdentityError | None) -> Refusal | None:
    """Note the result, and refuse the call where its trunk wants that."""
    call.signed = None
    if fault is None:
        call.verstat = Verstat.PASSED.value
        return None
    call.verstat = (Verstat.NONE if isinstance(fault, _UNSIGNED) else Verstat.FAILED).value
    call.identity_fault = f"{fault.status}: {fault}"
    if not isinstance(fault, UseIdentityError):  # else there is no signer
        call.identity_status = fault.status
    if action is not VerifyAction.REFUSE:
        return None
    if isinstance(fault, UseIdentityError) and not rules.require:
        return None
    if isinstance(fault, BadIdentityInfoError) and rules.fail_open:
        return None
    return Refusal(EndReason.IDENTITY_INVALID, fault.status, call.identity_fault)


def _signed_call(numbers: InviteNumbers, call: CallRequest) -> SignedCall:
    """Return what an INVITE says about its signature; text that is not ASCII fits no token."""
    request = numbers.request
    return SignedCall(
        values=tuple(map(_ascii, request.values("identity")[:VALUES_MAX])),
        caller=_ascii(call.caller_in),
        callee=_ascii(call.callee),
        callee_uri=_ascii(address_of(request.uri)),
        date=_ascii(request.header("date") or ""),
    )


def _ascii(text: str) -> str:
    return text if text.isascii() else text.encode("ascii", "replace").decode()


def attested(call: CallRequest, caller: str, catalogue: Catalogue) -> CallerAttestation:
    """Return what we attest of a call that shows a calling number, and by which key.

    A: a known customer with a number of its own. B: a known customer. C: all others (ATIS-1000074 section 5.2.3).
    """
    terms, mapping = catalogue.parameters.stir or StirTerms(), call.mapping
    shows = False
    if mapping is not None:
        shows = verifies(mapping, terms) in {VerifyAction.MARK, VerifyAction.REFUSE}
    number = terms.numbering.canonical(caller)
    verstat = call.verstat if shows else ""
    dialled = without_separators(call.callee_in)
    called = "" if mapping is None else without_prefix(dialled, mapping.tech_prefix) or ""
    if verstat and number != terms.numbering.canonical(call.caller_in):
        verstat = Verstat.NONE.value  # another number goes out than that which was verified
    signer = terms.signer
    if signer is not None and signer.ends_ms is not None and signer.ends_ms < call.at.wall:
        signer = None  # others would refuse the call
    if len(number) < INTERNATIONAL_MIN:
        signer = None  # an extension is a number within one house
    return CallerAttestation(
        signer,
        terms.numbering,
        _attestation(call, caller, number, catalogue),
        "" if mapping is None else mapping.name,
        verstat,
        terms.numbering.canonical(called),
        is_forged=call.verstat == Verstat.FAILED.value,
        freshness_s=(terms.verify or VerifyTerms()).freshness_s,
    )


def attestation_outlook(call: CallRequest, catalogue: Catalogue, choice: RouteChoice) -> str | None:
    """Return what would be attested of a call that has no signature of its own; None = it would not be signed."""
    stir = choice.gateway.dialect.stir
    if stir is None or not stir.sign:
        return None
    found = attested(call, choice.caller_out, catalogue)
    is_signed = found.signer is not None and found.numbering.canonical(choice.caller_out)
    return found.attestation.value if is_signed else None


def _attestation(call: CallRequest, caller: str, number: str, catalogue: Catalogue) -> Attestation:
    """Return the attestation of a calling number; ``number`` is its canonical form."""
    mapping, account = call.mapping, call.account
    if mapping is None or account is None:
        return Attestation.GATEWAY
    own = mapping.caller_numbers
    if own is not None:
        mine = (catalogue.parameters.stir or StirTerms()).numbering.canonical(own.own)
        is_own = bool(number) and (number == mine or number in own.others or for_matching(caller) in own.others)
        return Attestation.FULL if is_own else Attestation.PARTIAL
    if mapping.stir is None or mapping.stir.attest is CallerOrigin.GATEWAY:
        return Attestation.GATEWAY
    if number and mapping.stir.own.find(number) is not None:
        return Attestation.FULL
    did = None if catalogue.dids is None or not number else catalogue.dids.find(number)
    return Attestation.FULL if did is not None and did.account == account.id else Attestation.PARTIAL
