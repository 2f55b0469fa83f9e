"""Signatures: what was signed is verified, and nothing else is."""

from doubles.sti import URL, VIRTUAL_NOW_MS, usual
from hypothesis import given, strategies as st

from vosd.stir.errors import IdentityError
from vosd.stir.passport import SignedAbout, read
from vosd.stir.terms import Attestation, Numbering, VerifyTerms
from vosd.stir.verification import SignedCall, confirm, read_signature

NUMBERS = st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True)
CERTIFICATES = {URL: usual()[0].trust().certified(usual()[1].chain, VIRTUAL_NOW_MS)}
TERMS, NUMBERING = VerifyTerms(), Numbering()


def attestation_of(value: str, caller: str, callee: str, at_ms: int = VIRTUAL_NOW_MS) -> str:
    """Return the attestation of a call; raises IdentityError where its signature is wrong."""
    signature = read_signature(SignedCall((value,), caller, callee), at_ms, TERMS, NUMBERING)
    return confirm(signature, CERTIFICATES, at_ms).attestation


@given(NUMBERS, NUMBERS, st.sampled_from(Attestation), st.integers(-60, 60))
def test_what_is_signed_is_verified(caller, callee, attestation, age_s):
    value = usual()[1].signer.shaken(caller, callee, attestation, "trunk", VIRTUAL_NOW_MS // 1_000 - age_s)
    assert attestation_of(value, f"+{caller}", callee) == attestation.value


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_chain_of_diversions_is_verified(caller, first, second, last):
    signer, at_s = usual()[1].signer, VIRTUAL_NOW_MS // 1_000
    values = (
        signer.shaken(caller, first, Attestation.FULL, "trunk", at_s),
        signer.diverted(caller, second, last, at_s),
        signer.diverted(caller, first, second, at_s),
    )
    signature = read_signature(SignedCall(values, caller, last), VIRTUAL_NOW_MS, TERMS, NUMBERING)
    confirm(signature, CERTIFICATES, VIRTUAL_NOW_MS)
    (chain,) = signature.chains
    assert chain[0].claims.orig.tn == caller
    assert last in chain[-1].claims.dest.tn


@given(NUMBERS, NUMBERS, st.data())
def test_a_value_with_one_other_character_is_not_verified_or_says_the_same(caller, callee, data):
    """Case of parameters, and the last bits of base64, say nothing."""
    value = usual()[1].signer.shaken(caller, callee, Attestation.FULL, "trunk", VIRTUAL_NOW_MS // 1_000)
    at = data.draw(st.integers(0, len(value) - 1))
    other = value[:at] + data.draw(st.sampled_from('aZ0-_.;=<>" \0é')) + value[at + 1 :]
    try:
        found = attestation_of(other, caller, callee)
    except IdentityError:
        return
    assert found == "A"
    token, original = (read(each, SignedAbout("", "", "")) for each in (other, value))
    assert token is not None
    assert original is not None
    assert token.claims == original.claims


@given(st.text(max_size=300))
def test_any_text_is_refused_with_a_code_or_left_alone(text):
    try:
        assert read(text, SignedAbout("1", "2", text)) is None
    except IdentityError as error:
        assert error.status in {437, 438}  # noqa: PT017 - either is right
