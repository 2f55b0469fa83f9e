"""Requests that have credentials for a realm of ours, and others."""

import pytest
from doubles.virtual.probe import request

from vosd.sip.digest.domains import domain_of
from vosd.sip.digest.verifier import is_claimed
from vosd.sip.wire.parse import parse_message

OURS, ELSEWHERE = 'Digest realm="vosd"', 'Digest realm="elsewhere", username="a"'


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), False),
        ((f"Authorization: {OURS}",), True),
        ((f"Proxy-Authorization: {OURS}",), True),
        ((f"Authorization: {ELSEWHERE}",), False),
        ((f"Authorization: {ELSEWHERE}", f"Authorization: {OURS}"), True),
        ((f"Authorization: {ELSEWHERE}", f"Proxy-Authorization: {OURS}"), True),
        (("Authorization: Basic dm9zZA==",), False),
    ],
)
def test_credentials_of_our_realm_are_a_claim_readable_or_not(headers: tuple[str, ...], expected: bool):
    message = parse_message(request(headers="".join(f"{line}\r\n" for line in headers)))
    assert is_claimed(message, "vosd") is expected


@pytest.mark.parametrize(
    ("method", "addresses", "expected"),
    [
        ("REGISTER", {"from_": "<sip:1@b.example>;tag=1", "to": "<sip:1@a.example>"}, "a.example"),
        ("INVITE", {"from_": "<sip:1@A.EXAMPLE>;tag=1", "to": "<sip:2@b.example>"}, "a.example"),
        ("INVITE", {"from_": "<tel:1>;tag=1", "uri": "sip:2@b.example"}, "b.example"),
        ("INVITE", {"from_": "<sip:1@c.example>;tag=1", "uri": "sip:2@c.example"}, ""),
    ],
    ids=["registered by another", "caller", "by the Request-URI", "none"],
)
def test_a_user_is_of_the_domain_that_is_registered_or_calls(method: str, addresses: dict[str, str], expected: str):
    message = parse_message(request(method, **addresses))
    assert domain_of(message, {"a.example", "b.example"}) == expected
