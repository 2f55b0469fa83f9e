"""Certificates of signers: which are trusted, and for which numbers."""

import ssl
from contextlib import nullcontext

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID
from doubles.sti import SPC, UNREADABLE_CLAIMS, VIRTUAL_NOW_MS, Sti, constraints, numbers, usual, with_exponent

from vosd.stir.certificates import CHAIN_MAX, NAMES_MAX, TrustError, TrustStore, read_revoked, read_roots
from vosd.stir.errors import BadIdentityInfoError, InvalidIdentityError, UnsupportedCredentialError
from vosd.stir.extensions import (
    CONSTRAINT_OIDS,
    ClaimConstraints,
    NumberRange,
    TnAuthority,
    authority_of,
    constraints_of,
)
from vosd.stir.passport import Passport, SignedAbout, read
from vosd.stir.terms import Attestation

DAY_MS = 86_400_000


def token(caller: str = "12155551212") -> Passport:
    value = usual()[1].signer.shaken(caller, "12125551213", Attestation.FULL, "t", VIRTUAL_NOW_MS // 1_000)
    found = read(value, SignedAbout("", "", ""))
    assert found is not None
    return found


def test_a_chain_up_to_a_root_is_trusted_for_the_shortest_of_its_times():
    sti, network = usual()
    found = sti.trust().certified(network.chain, VIRTUAL_NOW_MS)
    assert found.authorities == (TnAuthority(("1234",)),)
    assert found.valid_to_ms == int(network.certificate.not_valid_after_utc.timestamp() * 1_000)
    found.check(token(), VIRTUAL_NOW_MS)
    for at_ms in (found.valid_from_ms - 1, found.valid_to_ms + 1):
        with pytest.raises(UnsupportedCredentialError, match="expired"):
            found.check(token(), at_ms)


def test_a_single_certificate_may_come_in_der():
    """The authority that signed it is a root itself then."""
    sti, network = usual()
    chain = read_roots(network.chain.decode())
    store = TrustStore([chain[1].public_bytes(Encoding.PEM).decode()])
    assert store.certified(network.certificate.public_bytes(Encoding.DER), VIRTUAL_NOW_MS).authorities
    with pytest.raises(UnsupportedCredentialError):
        sti.trust().certified(network.certificate.public_bytes(Encoding.DER), VIRTUAL_NOW_MS)


@pytest.mark.parametrize(
    "terms",
    [
        {"begins_days": -40},
        {"begins_days": 1},
        {"has_chain": False},
        {"authority": None},
        {"authority": b"\x30\x00"},
        {"authority": b"text"},
        {"signs": False},
        {"is_authority": True},
        {"extensions": {CONSTRAINT_OIDS[0]: b"text"}},
        {"curve": ec.SECP384R1()},
    ],
    ids=lambda terms: next(iter(terms)),
)
def test_what_is_no_certificate_of_a_signer_is_not_trusted(terms):
    sti, _ = usual()
    key_and_chain = sti.certificate_only(**terms)
    with pytest.raises(UnsupportedCredentialError):
        sti.trust().certified(key_and_chain, VIRTUAL_NOW_MS)


def test_a_signer_may_say_that_it_is_no_authority():
    no_authority = {ExtensionOID.BASIC_CONSTRAINTS.dotted_string: b"\x30\x00"}
    sti, _ = usual()
    assert sti.trust().certified(sti.certificate_only(extensions=no_authority), VIRTUAL_NOW_MS).authorities


def test_a_certificate_of_another_authority_is_not_trusted():
    with pytest.raises(UnsupportedCredentialError, match="not trusted"):
        usual()[0].trust().certified(Sti(VIRTUAL_NOW_MS).issue().chain, VIRTUAL_NOW_MS)


def test_a_revoked_certificate_is_not_trusted_and_the_others_are():
    sti, network = usual()
    store = sti.trust(network.certificate)
    with pytest.raises(UnsupportedCredentialError, match="revoked"):
        store.certified(network.chain, VIRTUAL_NOW_MS)
    assert store.certified(sti.issue().chain, VIRTUAL_NOW_MS)
    of_root = sti.trust(read_roots(network.chain.decode())[1])
    with pytest.raises(UnsupportedCredentialError, match="revoked"):
        of_root.certified(network.chain, VIRTUAL_NOW_MS)


@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbf", b"# of SHAKEN 1234\n", b"subject=CN = SHAKEN 1234\nissuer=CN = x\n\n"]
)
def test_text_may_stand_before_certificates_and_lists(text):
    sti, network = usual()
    assert sti.trust().certified(text + network.chain, VIRTUAL_NOW_MS).authorities
    assert len(read_roots(text.decode("latin-1") + sti.root_pem)) == 1
    listed = sti.revocations(network.certificate)
    assert read_revoked(text + listed) == read_revoked(listed)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_file_of_certificates_is_an_error(content):
    with pytest.raises(BadIdentityInfoError):
        usual()[0].trust().certified(content, VIRTUAL_NOW_MS)
    with pytest.raises(TrustError):
        TrustStore([content.decode()])
    with pytest.raises(TrustError):
        read_revoked(content)


def test_certificates_and_lists_of_an_unknown_version_are_an_error():
    sti, network = usual()
    listed = sti.revocations(network.certificate)
    der = x509.load_pem_x509_crl(listed).public_bytes(Encoding.DER) if listed.startswith(b"--") else listed
    with pytest.raises(TrustError):
        read_revoked(der.replace(b"\x02\x01\x01", b"\x02\x01\x7f", 1))
    certificate = network.certificate.public_bytes(Encoding.DER).replace(b"\x02\x01\x02", b"\x02\x01\x7f", 1)
    with pytest.raises(BadIdentityInfoError):
        sti.trust().certified(certificate, VIRTUAL_NOW_MS)


def test_a_chain_with_a_malformed_name_is_not_trusted():
    sti, network = usual()
    other = x509.load_pem_x509_certificate(sti.below("other root"))
    malformed = other.public_bytes(Encoding.DER).replace(b"authority", b"authorit\xff")
    chain = network.chain + ssl.DER_cert_to_PEM_cert(malformed).encode()
    with pytest.raises(UnsupportedCredentialError, match=r"not trusted.*subject"):
        sti.trust().certified(chain, VIRTUAL_NOW_MS)


@pytest.mark.parametrize(("exponent", "is_trusted"), [(65_537, True), (4_294_967_291, True), (4_294_967_311, False)])
def test_keys_of_which_signatures_are_slow_to_check_are_not_trusted(exponent, is_trusted):
    sti, network = usual()
    chain = network.chain + sti.below("other root", with_exponent(exponent))
    trusting = nullcontext() if is_trusted else pytest.raises(UnsupportedCredentialError, match="more than 32 bits")
    with trusting:
        sti.trust().certified(chain, VIRTUAL_NOW_MS)


def alternative_names(count: int) -> x509.ExtensionType:
    return x509.SubjectAlternativeName([x509.DNSName("a.b")] * count)


def name_constraints(count: int) -> x509.ExtensionType:
    return x509.NameConstraints([x509.DNSName("b")] * (count - 1), [x509.DNSName("c")])


@pytest.mark.parametrize("count", [NAMES_MAX, NAMES_MAX + 1])
@pytest.mark.parametrize(
    ("of_signer", "of_authority"),
    [(alternative_names, None), (None, alternative_names), (None, name_constraints)],
    ids=["signer", "authority", "constraints"],
)
def test_certificates_with_names_that_take_long_to_compare_are_not_trusted(of_signer, of_authority, count):
    sti = Sti(VIRTUAL_NOW_MS)
    signer, authority = (
        {made.oid.dotted_string: made.public_bytes() for made in (() if of is None else (of(count),))}
        for of in (of_signer, of_authority)
    )
    chain = sti.certificate_only(has_chain=False, extensions=signer) + sti.below("root", extensions=authority)
    fault = pytest.raises(UnsupportedCredentialError, match=f"more than {NAMES_MAX} names")
    with fault if count > NAMES_MAX else nullcontext():
        sti.trust().certified(chain, VIRTUAL_NOW_MS)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_chain_may_have_its_authority_by_another_root_as_well(is_first):
    sti = Sti(VIRTUAL_NOW_MS)
    leaf, end, authority = sti.issue().chain.partition(b"-----END CERTIFICATE-----\n")
    pair = (authority, sti.below("other root"))
    certified = sti.trust().certified(b"".join((leaf, end, *(pair if is_first else reversed(pair)))), VIRTUAL_NOW_MS)
    assert certified.authorities


def test_certificates_of_one_name_have_no_more_signatures_checked_than_a_chain_has():
    sti = Sti(VIRTUAL_NOW_MS)
    leaf, end, _ = sti.issue().chain.partition(b"-----END CERTIFICATE-----\n")
    own = [sti.below("authority") for _ in range(CHAIN_MAX - 1)]
    with pytest.raises(UnsupportedCredentialError, match="max depth"):  # and no limit of signatures is reached
        Sti(VIRTUAL_NOW_MS).trust().certified(b"".join((leaf, end, *own)), VIRTUAL_NOW_MS)


def test_a_chain_may_not_be_endless():
    _, network = usual()
    with pytest.raises(UnsupportedCredentialError, match="more than"):
        usual()[0].trust().certified(network.chain * 4, VIRTUAL_NOW_MS)


def test_a_signature_of_another_key_is_wrong():
    sti, _ = usual()
    with pytest.raises(InvalidIdentityError, match="signature is wrong"):
        sti.trust().certified(sti.issue().chain, VIRTUAL_NOW_MS).check(token(), VIRTUAL_NOW_MS)


def test_the_lists_of_rfc_8226_are_read():
    assert authority_of(SPC) == TnAuthority(("1234",))
    der = numbers(("12155551200", 100), ("12125551213", 1))
    found = authority_of(der)
    assert found == TnAuthority((), (NumberRange("12155551200", 100), NumberRange("12125551213")))
    covered = [
        number for number in ("12155551199", "12155551200", "12155551299", "12155551300") if found.covers(number)
    ]
    assert covered == ["12155551200", "12155551299"]
    assert found.covers("12125551213")
    assert not found.covers("121255512130")
    assert not found.covers("2155551200")
    assert not NumberRange("99", 2).covers("100"), "one more is of another length"


def test_a_long_list_is_read():
    found = authority_of(numbers(*((str(12155550000 + each), 1) for each in range(200))))
    assert len(found.ranges) == 200


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x05\xa0",
        b"\x31" + SPC[1:],
        SPC + b"\x00",
        SPC[:-1],
        SPC.replace(b"\xa0", b"\xa3"),
        SPC.replace(b"\x16", b"\x0c"),
        numbers(("+1215555121a", 1)),
        numbers(("12155551212", 1)).replace(b"\xa2", b"\xa1"),
        numbers(("12155551212", 5)).replace(b"\x02\x01\x05", b"\x16\x01\x35"),
    ],
    ids=lambda der: der.hex()[:16],
)
def test_a_malformed_list_covers_nothing(der):
    with pytest.raises(UnsupportedCredentialError, match="malformed"):
        authority_of(der)


@pytest.mark.parametrize(
    ("delegated", "own"),
    [
        (None, numbers(("12155551200", 100))),
        (SPC, numbers(("12155551200", 100))),
        (numbers(("12155551200", 100)), SPC),
        (numbers(("12155551200", 100)), numbers(("12155551000", 1_000))),
    ],
    ids=["own alone", "below a provider", "delegated alone", "both"],
)
def test_a_number_that_all_lists_of_the_chain_have_is_covered_however_it_is_written(delegated, own):
    """RFC 9060 section 4.1: the holder of some numbers can delegate no others, whatever the certificate says."""
    sti = Sti(VIRTUAL_NOW_MS, delegated)
    issued = sti.issue(own)
    found = sti.trust().certified(issued.chain, VIRTUAL_NOW_MS)
    for caller, is_covered in (("+1-215-555-1212", True), ("12155551212", True), ("12155551300", False), ("x", False)):
        value = issued.signer.shaken(caller, "12125551213", Attestation.FULL, "t", VIRTUAL_NOW_MS // 1_000)
        passport = read(value, SignedAbout("", "", ""))
        assert passport is not None
        if is_covered:
            found.check(passport, VIRTUAL_NOW_MS)
            continue
        with pytest.raises(UnsupportedCredentialError, match="does not cover"):
            found.check(passport, VIRTUAL_NOW_MS)


CLAIMS = b'{"attest":"B","dest":{"tn":["12125551213"]},"iat":1443208345,"mky":[1],"orig":{"tn":"12155551212"},"pri":1}'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (constraints(included=("attest", "iat")), ""),
        (constraints(included=("attest", "origid")), "demands the claim origid"),
        (constraints(permitted={"attest": ("A", "B"), "origid": ("x",)}), ""),
        (constraints(permitted={"attest": ("A",)}), "value of the claim attest"),
        (constraints(permitted={"pri": ("1",), "mky": ("[1]",), "orig": ('{"tn":"12155551212"}',)}), ""),
        (constraints(permitted={"pri": ("2",)}), "value of the claim pri"),
        (constraints(excluded=("rcd", "origid")), ""),
        (constraints(excluded=("rcd", "mky")), "forbids the claim mky"),
        (constraints(included=("origid",), excluded=("mky", "orig")), ""),
    ],
)
def test_a_certificate_may_name_claims_and_their_values(content, fault):
    """RFC 8226 section 8, RFC 9118 section 3; one that excludes a claim of every token holds for nothing."""
    found = constraints_of(content)
    if not fault:
        found.check(CLAIMS)
        return
    with pytest.raises(InvalidIdentityError, match=fault):
        found.check(CLAIMS)


@pytest.mark.parametrize("claim", [*UNREADABLE_CLAIMS, b'"x":' + b"[" * 100_000 + b"]" * 100_000])
def test_a_token_with_a_claim_that_cannot_be_read_is_invalid_where_claims_are_constrained(claim):
    with pytest.raises(InvalidIdentityError, match="malformed"):
        ClaimConstraints(("iat",)).check(CLAIMS[:-1] + b"," + claim + b"}")


def test_the_example_of_rfc_9118_is_read():
    content = bytes.fromhex(
        "3040a00e300c160a636f6e666964656e6365a120301e301c160a636f6e666964656e6365300e0c04686967680c066d656469756d"
        "a20c300a16087072696f72697479"
    )
    permitted = (("confidence", frozenset({"high", "medium"})),)
    assert constraints_of(content) == ClaimConstraints(("confidence",), permitted, ("priority",))
    assert content == constraints(("confidence",), {"confidence": ("high", "medium")}, ("priority",))


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        constraints(("attest",))[:-1],
        constraints(("attest",)) + b"\x00",
        constraints(("attest",)).replace(b"\xa0", b"\xa3"),
        constraints(("attest",)).replace(b"\x16", b"\x0c"),
        constraints(("attest",)).replace(b"attest", b"\xff" * 6),
        constraints(permitted={"attest": ("A",)}).replace(b"\x0c\x01", b"\x16\x01"),
        constraints(permitted={"attest": ("A",)}).replace(b"\x16\x06", b"\x0c\x06"),
    ],
    ids=lambda der: der.hex()[:16],
)
def test_malformed_constraints_are_those_of_no_certificate_of_a_signer(der):
    with pytest.raises(UnsupportedCredentialError, match="malformed"):
        constraints_of(der)


@pytest.mark.parametrize("oid", CONSTRAINT_OIDS)
def test_a_token_whose_claims_its_certificate_does_not_allow_is_invalid(oid):
    sti, _ = usual()
    for values, is_allowed in ((("A", "B"), True), (("B", "C"), False)):
        issued = sti.issue(extensions={oid: constraints(permitted={"attest": values})})
        found = sti.trust().certified(issued.chain, VIRTUAL_NOW_MS)
        value = issued.signer.shaken("12155551212", "12125551213", Attestation.FULL, "t", VIRTUAL_NOW_MS // 1_000)
        passport = read(value, SignedAbout("", "", ""))
        assert passport is not None
        if is_allowed:
            found.check(passport, VIRTUAL_NOW_MS)
            continue
        with pytest.raises(InvalidIdentityError, match="claim attest"):
            found.check(passport, VIRTUAL_NOW_MS)
