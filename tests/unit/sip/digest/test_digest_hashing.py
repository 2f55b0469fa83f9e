"""Hashes and header values of digest authentication, against the examples of the RFCs."""

import pytest

from vosd.sip.digest.hashing import Algorithm, Qop, ha1_of, hashed, response_of
from vosd.sip.digest.header import VALUE_MAX, digest_parameters, quoted

RFC_7616_REALM = "http-auth@example.org"
RFC_7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm, expected):
    ha1 = ha1_of(algorithm, "Mufasa", RFC_7616_REALM, "Circle of Life")

    response = response_of(
        algorithm,
        ha1,
        "GET",
        "/dir/index.html",
        RFC_7616_NONCE,
        qop=Qop.AUTH,
        nonce_count="00000001",
        cnonce=RFC_7616_CNONCE,
    )

    assert response == expected


def test_the_example_of_rfc_2069_as_corrected():
    ha1 = ha1_of(Algorithm.MD5, "Mufasa", "testrealm@host.com", "CircleOfLife")

    response = response_of(Algorithm.MD5, ha1, "GET", "/dir/index.html", "dcd98b7102dd2f0e8b11d0f600bfb0c093")

    assert response == "1949323746fe6a43ef61f9606e7febea"


def test_auth_int_takes_the_body_in():
    def with_body(body: bytes) -> str:
        return response_of(
            Algorithm.MD5, "0" * 32, "INVITE", "sip:1", "n", qop=Qop.AUTH_INT, nonce_count="1", cnonce="c", body=body
        )

    assert with_body(b"v=0") != with_body(b"v=1")


def test_algorithms_are_found_in_any_case_and_foreign_ones_are_not():
    assert Algorithm.named("sha-256") is Algorithm.SHA_256
    assert Algorithm.named("md5") is Algorithm.MD5
    assert Algorithm.named("MD5-sess") is None


def test_what_is_no_utf_8_is_hashed_as_it_came():
    assert hashed(Algorithm.MD5, b"\xff".decode("utf-8", "surrogateescape")) == "00594fd4f42ba43fc1ca0427a0576295"


def test_parameters_are_read_quoted_or_not():
    value = 'Digest realm="a, \\"b\\"", nonce = "x=" ,algorithm=MD5,qop="auth,auth-int", stale=TRUE'

    assert digest_parameters(value) == {
        "realm": 'a, "b"',
        "nonce": "x=",
        "algorithm": "MD5",
        "qop": "auth,auth-int",
        "stale": "TRUE",
    }


@pytest.mark.parametrize(
    "value",
    ["", "Digest", "Digest ", "Basic realm=x", 'Digest realm="a', "Digest realm", 'Digest a="1", a="2"',
     'Digest a="1" b="2"', "Digest a=" + "x" * VALUE_MAX],
)  # fmt: skip
def test_what_is_no_digest_is_nothing(value):
    assert digest_parameters(value) is None


def test_quoting_is_undone_by_reading():
    text = 'he said "no\\yes"'

    assert digest_parameters(f"Digest realm={quoted(text)}") == {"realm": text}
