"""Tokens (PASSporT) as RFC 8225, 8588 and 8946 print them, and what is no token."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from doubles.sti import OF_RFC_8225, RFC_8225, URL, VIRTUAL_NOW_MS, compact, pem_of, usual
from joserfc import jws
from joserfc.jwk import ECKey

from vosd.stir.certificates import SigningCertificate
from vosd.stir.errors import IdentityError, InvalidIdentityError, UnsupportedCredentialError
from vosd.stir.passport import (
    ES256,
    Claims,
    JoseHeader,
    SignedAbout,
    SignedCallee,
    SignedParty,
    identity_value,
    read,
    split,
    written,
)
from vosd.stir.signing import Signer, SigningKeyError, check_certificate, loaded_key, origin_id, signature_of
from vosd.stir.terms import Attestation, Numbering

NOTHING = SignedAbout("", "", "")
NORTH_AMERICA = Numbering("1", "1", 10, ("011",))
KEY_OF_RFC_8225 = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgi7q2TZvN9VDFg8Vy
qCP06bETrR2v8MRvr89rn4i+UAahRANCAAQWfaj1HUETpoNCrOtp9KA8o0V79IuW
ARKt9C1cFPkyd3FBP4SeiNZxQhDrD0tdBHls3/wFe8++K2FrPyQF9vuh
-----END PRIVATE KEY-----
"""
OF_RFC_8588 = (
    '{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}',
    (
        '{"attest":"A","dest":{"tn":["12125551213"]},"iat":1443208345,"orig":{"tn":"12155551212"},'
        '"origid":"123e4567-e89b-12d3-a456-426655440000"}'
    ),
)
"""Header and claims of RFC 8588 section 4, as they are serialised by RFC 8225 section 9."""
OF_RFC_8946 = (
    '{"alg":"ES256","ppt":"div","typ":"passport","x5u":"https://www.example.com/cert.cer"}',
    '{"dest":{"tn":["12125551214"]},"div":{"tn":"12125551213"},"iat":1443208345,"orig":{"tn":"12155551212"}}',
)


def certificate() -> SigningCertificate:
    """Return the certificate of the usual network."""
    return usual()[0].trust().certified(usual()[1].chain, VIRTUAL_NOW_MS)


def text_of(content: str | bytes) -> str:
    return urlsafe_b64encode(content.encode() if isinstance(content, str) else content).decode().rstrip("=")


def whole(header: str, claims: str, url: str, **parameters: str) -> str:
    """Return an Identity value with a signature that is only of the right length."""
    more = "".join(f";{name}={value}" for name, value in parameters.items())
    return f"{text_of(header)}.{text_of(claims)}.{text_of(bytes(64))};info=<{url}>{more}"


def test_the_token_of_rfc_8225_is_read_and_written_again_to_the_letter():
    token = read(f"{RFC_8225};info=<{OF_RFC_8225}>;alg=ES256", NOTHING)
    assert token is not None
    assert (token.ppt, token.x5u) == ("", OF_RFC_8225)
    assert token.claims == Claims(
        dest=SignedCallee(uri=("sip:alice@example.com",)), iat=1471375418, orig=SignedParty("12155551212")
    )
    header = JoseHeader(ES256, typ="passport", x5u=OF_RFC_8225)
    assert written(header, token.claims) == token.signed == RFC_8225.rpartition(".")[0].encode()
    assert identity_value(token.signed, token.signature, header).startswith(RFC_8225)


def test_the_key_of_rfc_8225_signs_its_claims():
    """The printed signature is of neither of the keys that the appendix prints, so only a new one can be verified."""
    key = loaded_key(KEY_OF_RFC_8225)
    token = read(f"{RFC_8225};info=<{OF_RFC_8225}>", NOTHING)
    assert token is not None
    header = JoseHeader(ES256, typ="passport", x5u=OF_RFC_8225)
    again = read(identity_value(token.signed, signature_of(key, token.signed), header), NOTHING)
    assert again is not None
    everyone = SigningCertificate(key.public_key(), 0, 2**53, certificate().authorities)
    everyone.check(again, 1471375418_000)
    with pytest.raises(InvalidIdentityError, match="signature is wrong"):
        everyone.check(token, 1471375418_000)


@pytest.mark.parametrize(("header", "claims"), [OF_RFC_8588, OF_RFC_8946])
def test_the_examples_of_rfc_8588_and_8946_are_read_and_written_again_to_the_letter(header, claims):
    url, ppt = json.loads(header)["x5u"], json.loads(header)["ppt"]
    token = read(whole(header, claims, url, alg=ES256, ppt=ppt), NOTHING)
    assert token is not None
    assert written(JoseHeader(ES256, ppt, "passport", url), token.claims) == token.signed
    said = json.loads(claims)
    assert (token.claims.orig.tn, list(token.claims.dest.tn)) == (said["orig"]["tn"], said["dest"]["tn"])
    assert (token.claims.attestation, token.claims.origid) == (said.get("attest", ""), said.get("origid", ""))


def test_order_and_blanks_of_another_signer_do_not_matter():
    header = '{"typ": "passport", "x5u": "https://a.example/b", "ppt": "shaken", "alg": "ES256", "kid": "1"}'
    claims = '{"origid": "x", "orig": {"tn": "1"}, "iat": 5, "dest": {"tn": ["2"]}, "attest": "B", "rcd": {"nam": "Z"}}'
    token = read(whole(header, claims, "https://a.example/b", ppt='"shaken"'), NOTHING)
    assert token is not None
    assert (token.claims.attestation, token.signed) == ("B", f"{text_of(header)}.{text_of(claims)}".encode())


def test_a_compact_token_is_about_what_the_invite_says():
    _, network = usual()
    about = SignedAbout("12155551212", "12125551213", "Fri, 25 Sep 2015 19:12:25 GMT")
    header = JoseHeader(ES256, typ="passport", x5u=URL)
    claims = Claims(dest=SignedCallee(("12125551213",)), iat=1443208345, orig=SignedParty("12155551212"))
    signed = written(header, claims)
    value = compact(identity_value(signed, signature_of(loaded_key(network.key), signed), header))
    assert value.startswith("..")
    token = read(value, about)
    assert token is not None
    assert (token.claims, token.signed) == (claims, written(header, claims))
    certificate().check(token, VIRTUAL_NOW_MS)
    other = read(value, SignedAbout("12155551213", "12125551213", about.date))
    assert other is not None
    with pytest.raises(InvalidIdentityError, match="signature is wrong"):
        certificate().check(other, VIRTUAL_NOW_MS)
    with pytest.raises(InvalidIdentityError, match="no readable Date"):
        read(value, SignedAbout("12155551212", "12125551213", "yesterday"))
    with pytest.raises(InvalidIdentityError, match="compact form"):
        read(f"{value};ppt=shaken", about)


HEADER, CLAIMS = (json.loads(text) for text in OF_RFC_8588)
MALFORMED: list[tuple[dict[str, Any], dict[str, Any], type[IdentityError]]] = [
    ({"alg": "none"}, {}, UnsupportedCredentialError),
    ({"alg": "HS256"}, {}, UnsupportedCredentialError),
    ({"alg": None}, {}, InvalidIdentityError),
    ({"typ": "JWT"}, {}, InvalidIdentityError),
    ({"crit": ["exp"]}, {}, InvalidIdentityError),
    ({"x5u": "https://other.example/x"}, {}, InvalidIdentityError),
    ({}, {"orig": {}}, InvalidIdentityError),
    ({}, {"orig": {"tn": "1", "uri": "sip:a@b"}}, InvalidIdentityError),
    ({}, {"orig": {"uri": "sip:a@b"}}, InvalidIdentityError),
    ({}, {"orig": {"tn": 12155551212}}, InvalidIdentityError),
    ({}, {"dest": {}}, InvalidIdentityError),
    ({}, {"dest": {"tn": "12125551213"}}, InvalidIdentityError),
    ({}, {"iat": "1443208345"}, InvalidIdentityError),
    ({}, {"iat": -1}, InvalidIdentityError),
    ({}, {"iat": None}, InvalidIdentityError),
    ({}, {"attest": "D"}, InvalidIdentityError),
    ({}, {"attest": None}, InvalidIdentityError),
    ({}, {"origid": None}, InvalidIdentityError),
    ({"ppt": "div"}, {}, InvalidIdentityError),
    ({"ppt": "div"}, {"div": {"tn": "1", "uri": "sip:a@b"}}, InvalidIdentityError),
]


@pytest.mark.parametrize(("header", "claims", "expected"), MALFORMED)
def test_a_malformed_token_is_none(header, claims, expected):
    head = {name: value for name, value in {**HEADER, **header}.items() if value is not None}
    body = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    with pytest.raises(expected):
        read(whole(json.dumps(head), json.dumps(body), HEADER["x5u"]), NOTHING)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "a.b",
        "a.b.c",
        "a.b.c;info=",
        "a.b.c;info=<https://a>",
        "a.b.c;info=<https://a>;info=<https://b>",
        "a.b.c;info=<https://a>;alg",
        "a.b.c;info=<https://a>;x=",
        "a.b.c;info=<https://a>;x;x=1",
        'a.b.c;info=<https://a>;x="1',
        f"{RFC_8225};info=<{OF_RFC_8225}",
        f"{RFC_8225[:-4]};info=<{OF_RFC_8225}>",
        f"{RFC_8225}@;info=<{OF_RFC_8225}>",
        f"{RFC_8225};info=<{OF_RFC_8225}>;ppt=shaken",
        f"x{RFC_8225};info=<{OF_RFC_8225}>",
        f"{RFC_8225};info=<{OF_RFC_8225}>" + " " * 5_000,
        f"{text_of('[' * 1000)}.{text_of('{}')}.{text_of(bytes(64))};info=<{OF_RFC_8225}>",
    ],
)
def test_what_is_no_identity_is_refused(value):
    with pytest.raises(InvalidIdentityError):
        read(value, NOTHING)


def test_a_token_of_another_type_is_left_alone():
    header, claims = (text.replace("shaken", "rcd") for text in OF_RFC_8588)
    assert read(whole(header, claims, HEADER["x5u"], ppt="rcd"), NOTHING) is None
    assert read(whole(header, claims, HEADER["x5u"]), NOTHING) is None
    assert read("..c;info=<https://a.example/b>;ppt=rcd", NOTHING) is None, "in compact form"


def test_parameters_may_stand_in_any_order_with_blanks_and_quotes():
    value = split('a.b.c ; ppt = "shaken" ;alg=ES256; info=<https://a.example/b;c?d>')
    assert value == ("a.b.c", "https://a.example/b;c?d", ES256, "shaken")


def test_parameters_of_other_documents_are_allowed():
    value = split(r'a.b.c;x-foo=1;flag;info=<https://a.example/b>;y.z="a\"b;";ppt=shaken;last')
    assert value == ("a.b.c", "https://a.example/b", ES256, "shaken")


def test_an_origin_is_always_the_same_for_a_trunk_and_another_one_for_others():
    assert origin_id(URL, "acme") == origin_id(URL, "acme")
    assert len({origin_id(url, name) for url in (URL, OF_RFC_8225) for name in ("acme", "other")}) == 4


@pytest.mark.parametrize("pem", ["", "text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_signs_nothing(pem):
    with pytest.raises(SigningKeyError):
        Signer(pem, URL)


def test_a_key_of_another_curve_signs_nothing_and_the_certificate_must_be_that_of_the_key():
    sti, network = usual()
    with pytest.raises(SigningKeyError, match="P-256"):
        Signer(pem_of(ec.generate_private_key(ec.SECP384R1())), URL)
    chain = network.chain.decode()
    assert check_certificate(network.key, chain) == int(network.certificate.not_valid_after_utc.timestamp()) * 1_000
    with pytest.raises(SigningKeyError, match="another key"):
        check_certificate(sti.issue().key, chain)
    with pytest.raises(SigningKeyError, match="no certificate"):
        check_certificate(network.key, "text")


def test_signers_are_equal_by_key_and_address_and_show_no_key():
    sti, network = usual()
    same, other = Signer(network.key, URL), Signer(sti.issue().key, URL)
    assert same == network.signer
    assert len({same, network.signer, other, Signer(network.key, OF_RFC_8225), Signer(network.key, URL, 5)}) == 4
    assert str(same) != str(other)
    assert network.key.split("\n")[1] not in repr(same)


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        ("+1 (215) 555-1212".replace(" ", ""), "12155551212"),
        ("12155551212", "12155551212"),
        ("0012155551212", "12155551212"),
        ("2155551212", "12155551212"),
        ("911", "911"),
        ("+442079460000", "442079460000"),
        ("alice", ""),
        ("", ""),
        ("*21", ""),
        ("\u0661\u0662\u0663", ""),
        ("1234567890123456", ""),
    ],
)
def test_a_number_is_signed_in_digits_with_its_country(number, digits):
    assert Numbering("1", national_digits=10).canonical(number) == digits


def test_a_national_prefix_stands_for_the_country():
    assert Numbering("44").canonical("02079460000") == "442079460000"
    assert Numbering().canonical("02079460000") == "02079460000"


@pytest.mark.parametrize(
    ("numbering", "number", "digits"),
    [
        (NORTH_AMERICA, "011442079460000", "442079460000"),
        (NORTH_AMERICA, "12025550100", "12025550100"),
        (NORTH_AMERICA, "2025550100", "12025550100"),
        (NORTH_AMERICA, "442079460000", "442079460000"),
        (NORTH_AMERICA, "988", "988"),
        (NORTH_AMERICA, "011112", ""),
        (NORTH_AMERICA, "0110442079460000", ""),
        (NORTH_AMERICA, "00155512120", ""),
        (Numbering("1", national_digits=10), "011442079460000", ""),
        (Numbering("61", international_prefix=("0011", "0014")), "0011442079460000", "442079460000"),
        (Numbering("61", international_prefix=("0011", "0014")), "0014442079460000", "442079460000"),
        (Numbering("61", international_prefix=("0011", "0014")), "0399991234", "61399991234"),
        (Numbering("81", international_prefix=("010",)), "010442079460000", "442079460000"),
        (Numbering("7", "8", 10), "84951234567", "74951234567"),
        (Numbering("7", "8", 10), "8613012345678", "8613012345678"),
        (Numbering(), "00", ""),
    ],
)
def test_a_number_is_signed_as_it_is_dialled_in_its_country(numbering, number, digits):
    assert numbering.canonical(number) == digits


def test_what_is_signed_has_the_order_of_rfc_8225():
    value = usual()[1].signer.shaken("12155551212", "12125551213", Attestation.FULL, "t", 1443208345)
    head, body, _ = split(value).token.split(".")
    names = [list(json.loads(urlsafe_b64decode(part + "==="))) for part in (head, body)]
    assert names == [["alg", "ppt", "typ", "x5u"], ["attest", "dest", "iat", "orig", "origid"]]


def test_another_library_verifies_our_tokens_and_we_its():
    """RFC 7515 by joserfc, which knows no PASSporT."""
    _, network = usual()
    key = ECKey.import_key(network.key)
    any_header = jws.JWSRegistry(algorithms=[ES256], strict_check_header=False)
    value = network.signer.shaken("12155551212", "12125551213", Attestation.PARTIAL, "t", 1443208345)
    theirs = jws.deserialize_compact(split(value).token, key, registry=any_header)
    assert theirs.headers() == {"alg": ES256, "ppt": "shaken", "typ": "passport", "x5u": URL}
    assert json.loads(theirs.payload)["dest"] == {"tn": ["12125551213"]}
    header = {"alg": ES256, "ppt": "shaken", "typ": "passport", "x5u": URL}
    made = jws.serialize_compact(header, OF_RFC_8588[1].encode(), key, registry=any_header)
    token = read(f"{made};info=<{URL}>;alg=ES256;ppt=shaken", NOTHING)
    assert token is not None
    certificate().check(token, VIRTUAL_NOW_MS)
