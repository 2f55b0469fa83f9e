"""What is blanked in messages that people are shown: digest credentials and the keys of media, nothing else."""

import pytest

from vosd.obs.traced import blanked

SECRET = b"deadbeef"


def request(*headers: bytes, body: bytes = b"", end: bytes = b"\r\n") -> bytes:
    lines = (b"INVITE sip:44@192.0.2.1 SIP/2.0", *headers, b"CSeq: 2 INVITE")
    return end.join(lines) + end + end + body


@pytest.mark.parametrize(
    "header",
    [
        b'Authorization: Digest username="acme", response="deadbeef"',
        b'Proxy-Authorization: Digest username="acme", response="deadbeef"',
        b'AUTHORIZATION : Digest response="deadbeef"',
        b'authorization:\r\n Digest username="acme",\r\n\tresponse="deadbeef"',
        b'Authorization: Digest username="a"\r b, response="deadbeef"',
        b"Authorization: Bearer deadbeef",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_credentials_are_blanked_however_they_are_written(header, end):
    shown = blanked(request(b"From: <sip:acme@host>;tag=1", header, end=end))
    assert SECRET not in shown
    assert b"blanked" + end + b"CSeq: 2 INVITE" + end in shown
    assert b"From: <sip:acme@host>;tag=1" + end in shown


def test_several_credentials_are_all_blanked():
    one = b'Authorization: Digest realm="a", response="deadbeef"'
    shown = blanked(request(one, one, b'Proxy-Authorization: Digest response="deadbeef"'))
    assert shown.count(b"blanked") == 3
    assert SECRET not in shown


def test_credentials_at_the_very_end_of_a_torn_message_are_blanked():
    assert blanked(b'INVITE x SIP/2.0\r\nAuthorization: Digest response="deadbeef"') == (
        b"INVITE x SIP/2.0\r\nAuthorization: blanked"
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
            b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"x" * 39 + b"j|2^20|1:32",
        ),
        (b"k=base64:ZGVhZGJlZWY=", b"k=xxxxxxxxxxxxxxxxxxx"),
        (b"a=key-mgmt:mikey ZGVhZGJlZWY=", b"a=key-mgmt:xxxxxxxxxxxxxxxxxx"),
    ],
)
def test_media_keys_are_blanked_and_the_body_keeps_its_length(line, shown):
    shown = shown.replace(b"xj|", b"xx|")
    body = b"v=0\r\nm=audio 4000 RTP/SAVP 0\r\n" + line + b"\r\na=sendrecv\r\n"
    blank = blanked(request(body=body))
    assert len(blank) == len(request(body=body))
    assert shown + b"\r\na=sendrecv\r\n" in blank


def test_everything_else_is_left_as_it_came():
    data = request(b"Subject: Authorization: is not a header here", b"X-Authorization: no", body=b"v=0\r\ns=-\r\n")
    assert blanked(data) == data
    assert blanked(b"\x00\xff\r\n") == b"\x00\xff\r\n"
    assert blanked(b"") == b""
