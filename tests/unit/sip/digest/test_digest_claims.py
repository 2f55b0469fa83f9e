"""Requests that have credentials for a realm of ours, and others."""

import pytest
from doubles.virtual.probe import request

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
