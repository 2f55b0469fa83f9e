"""Status lines of the responses that we send."""

import pytest

from vosd.sip.wire.status import status_line


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (429, b"SIP/2.0 429 Provide Referrer Identity\r\n"),
        (433, b"SIP/2.0 433 Anonymity Disallowed\r\n"),
        (580, b"SIP/2.0 580 Precondition Failure\r\n"),
        (607, b"SIP/2.0 607 Unwanted\r\n"),
        (608, b"SIP/2.0 608 Rejected\r\n"),
        (499, b"SIP/2.0 499 Request Failure\r\n"),
        (699, b"SIP/2.0 699 Global Failure\r\n"),
    ],
)
def test_a_status_has_its_registered_phrase_or_that_of_its_class(status: int, line: bytes) -> None:
    assert status_line(status) == line
