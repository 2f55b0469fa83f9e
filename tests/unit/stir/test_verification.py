"""Which tokens are about a call, and since when."""

import pytest
from doubles.sti import OF_RFC_8225, RFC_8225, URL, VIRTUAL_NOW_MS, usual

from vosd.stir.errors import (
    BadIdentityInfoError,
    IdentityError,
    InvalidIdentityError,
    StaleDateError,
    UnsupportedCredentialError,
    UseIdentityError,
)
from vosd.stir.replays import Replays
from vosd.stir.signing import Signer
from vosd.stir.terms import Attestation, Numbering, VerifyTerms
from vosd.stir.verification import CHAINS_MAX, SignedCall, address_of, confirm, read_signature

TERMS, NUMBERING = VerifyTerms(), Numbering()
AT_S = VIRTUAL_NOW_MS // 1_000
SIGNER = usual()[1].signer


def shaken(caller="1215", callee="1212", at_s=AT_S):
    return SIGNER.shaken(caller, callee, Attestation.FULL, "t", at_s)


def passports_of(*values, caller="1215", callee="1212"):
    (chain,) = read_signature(SignedCall(values, caller, callee), VIRTUAL_NOW_MS, TERMS, NUMBERING).chains
    return chain


def test_the_example_of_rfc_8225_is_about_a_call_to_an_address():
    value = f"{RFC_8225};info=<{OF_RFC_8225}>"
    call = SignedCall((value,), "+1-215-555-1212", "alice", "sip:alice@EXAMPLE.com".lower())
    found = read_signature(call, 1471375418_000, TERMS, NUMBERING)
    assert (found.addresses, [each.ppt for each in found.chains[0]]) == ((OF_RFC_8225,), [""])
    for other in (SignedCall((value,), "12155551212", "bob", "sip:bob@example.com"),
                  SignedCall((value,), "12155551212", "12125551213", "sip:alice@example.com")):  # fmt: skip
        with pytest.raises(InvalidIdentityError, match="another number"):
            read_signature(other, 1471375418_000, TERMS, NUMBERING)


def test_a_token_for_what_is_no_number_is_not_about_a_call_to_another_address():
    for callee in ("", "alice", "+"):
        call = SignedCall((shaken(callee=callee),), "1215", "bob", "sip:bob@example.com")
        with pytest.raises(InvalidIdentityError, match="another number"):
            read_signature(call, VIRTUAL_NOW_MS, TERMS, NUMBERING)


@pytest.mark.parametrize(("age_s", "is_fresh"), [(60, True), (61, False), (-60, True), (-61, False), (10**9, False)])
def test_a_token_is_fresh_for_a_minute_before_and_behind_us(age_s, is_fresh):
    if is_fresh:
        assert passports_of(shaken(at_s=AT_S - age_s))
        return
    with pytest.raises(StaleDateError) as caught:
        passports_of(shaken(at_s=AT_S - age_s))
    assert caught.value.status == 403


def test_diversions_may_stand_in_any_order_and_a_circle_ends():
    steps = [SIGNER.diverted("1215", str(each), str(each + 1), AT_S) for each in range(10, 15)]
    found = passports_of(*reversed(steps), shaken(callee="10"), callee="15")
    assert [each.claims.dest.tn for each in found] == [(str(each),) for each in range(10, 16)]
    circle = SIGNER.diverted("1215", "2", "1", AT_S), SIGNER.diverted("1215", "1", "2", AT_S)
    with pytest.raises(InvalidIdentityError):
        passports_of(*circle, shaken(callee="10"), callee="1")
    with pytest.raises(InvalidIdentityError, match="another number"):
        passports_of(shaken(callee="10"), SIGNER.diverted("1219", "10", "11", AT_S), callee="11")


def test_too_many_diversions_are_refused():
    steps = [SIGNER.diverted("1215", str(each), str(each + 1), AT_S) for each in range(10, 16)]
    with pytest.raises(InvalidIdentityError):
        passports_of(shaken(callee="10"), *steps, callee="16")


def test_a_diversion_alone_signs_nothing():
    with pytest.raises(UseIdentityError):
        passports_of(SIGNER.diverted("1215", "1211", "1212", AT_S))


def test_a_caller_without_number_has_no_signature():
    with pytest.raises(InvalidIdentityError):
        passports_of(shaken(), caller="anonymous")


def test_a_certificate_that_is_missing_or_wrong_is_the_fault_of_the_call_until_there_is_another():
    signature = read_signature(SignedCall((shaken(),), "1215", "1212"), VIRTUAL_NOW_MS, TERMS, NUMBERING)
    (address,) = signature.addresses
    for found, fault in (({}, "not had in time"), ({address: StaleDateError("of yesterday")}, "of yesterday")):
        with pytest.raises(IdentityError, match=fault):
            confirm(signature, found, VIRTUAL_NOW_MS)
    assert confirm(signature, {address: CERTIFIED}, VIRTUAL_NOW_MS).attestation == "A"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:alice@Example.COM:5060;transport=tcp", "sip:alice@example.com"),
        ("sips:alice@[2001:DB8::1]:5061?x=y", "sip:alice@[2001:db8::1]"),
        ("sip:example.com", "sip:example.com"),
        ("tel:+1215", "tel:+1215"),
    ],
)
def test_addresses_are_compared_without_what_does_not_matter(uri, address):
    assert address_of(uri) == address


def test_used_tokens_are_forgotten_when_they_are_stale_or_too_many():
    replays = Replays()
    assert replays.take([b"a"], 0, 100, 2)
    assert not replays.take([b"a"], 99, 100, 2)
    assert replays.take([b"a"], 100, 200, 2)
    assert replays.take([b"b"], 100, 200, 2)
    assert replays.take([b"c"], 100, 200, 2)
    assert len(replays) == 2
    assert replays.take([b"a"], 100, 200, 2), "the oldest was forgotten"
    replays.forget([b"c"])
    replays.forget([b"z"])
    assert replays.take([b"c"], 100, 200, 9)
    assert not replays.take([b"c"], 100, 200, 9)
    assert replays.take([b"d"], 100, 200, 0)


def test_an_identity_of_another_network_spoils_no_other():
    other = shaken().replace("alg=ES256", "alg=ES384")
    for values in ((other, shaken()), (shaken(), other), ("no token", shaken())):
        assert len(passports_of(*values)) == 1
    with pytest.raises(IdentityError, match="ES384"):
        passports_of(other)


def signed_at(host, **token):
    """Return the token of a network whose certificate is at a host."""
    signer = Signer(usual()[1].key, f"https://{host}.example/x.pem")
    caller, callee, at_s = token.get("caller", "1215"), token.get("callee", "1212"), AT_S - token.get("age_s", 0)
    return signer.shaken(caller, callee, Attestation.FULL, "t", at_s)


WRONG = {"stale": {"age_s": 61}, "of another caller": {"caller": "1216"}, "to another number": {"callee": "1213"}}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_token_that_is_not_about_the_call_spoils_no_other(name, is_first):
    values = [signed_at("other", **WRONG[name]), shaken()]
    assert [each.x5u for each in passports_of(*(values if is_first else values[::-1]))] == [URL]


def test_the_fault_is_that_of_the_first_token_where_none_is_about_the_call():
    with pytest.raises(StaleDateError):
        passports_of(signed_at("a", age_s=61), signed_at("b", callee="1213"))
    with pytest.raises(InvalidIdentityError, match="a call to another number"):
        passports_of(signed_at("b", callee="1213"), signed_at("a", age_s=61))


def read_from(*hosts):
    values = tuple(map(signed_at, hosts))
    return read_signature(SignedCall(values, "1215", "1212"), VIRTUAL_NOW_MS, TERMS, NUMBERING)


def test_few_certificates_are_asked_for_however_many_tokens_there_are():
    assert len(read_from(*"abcdefghij").addresses) == CHAINS_MAX


CERTIFIED = usual()[0].trust().certified(usual()[1].chain, VIRTUAL_NOW_MS)


@pytest.mark.parametrize("hosts", ["xyr", "xry", "rxy", "rr"])
def test_one_token_that_is_right_is_enough(hosts):
    signature = read_from(*hosts)
    faults = {"x": BadIdentityInfoError("no"), "y": UnsupportedCredentialError("no"), "r": CERTIFIED}
    confirmed = confirm(signature, {f"https://{host}.example/x.pem": faults[host] for host in hosts}, VIRTUAL_NOW_MS)
    assert (len(confirmed.chains), confirmed.attestation) == (hosts.count("r"), "A")
    assert len(set(confirmed.fingerprints)) == len(hosts) - hosts.count("y"), "one that may be right is used, too"


@pytest.mark.parametrize(("hosts", "status"), [("xx", 436), ("xy", 436), ("yx", 436), ("yy", 437)])
def test_a_call_is_not_found_wrong_while_one_of_its_tokens_may_be_right(hosts, status):
    faults = {"x": BadIdentityInfoError("no"), "y": UnsupportedCredentialError("no")}
    with pytest.raises(IdentityError) as caught:
        confirm(read_from(*hosts), {f"https://{host}.example/x.pem": faults[host] for host in hosts}, VIRTUAL_NOW_MS)
    assert caught.value.status == status
