"""Orders and replies in bencode, as rtpengine 10.5.3 takes and writes them."""

import msgspec
import pytest

from vosd.media.bencode import bencoded, texts_of
from vosd.media.rtpengine_orders import RtpPlayContent, RtpReply, datagram_of, reply_of
from vosd.media.warning_tone import BEEPS, beep_file


def test_an_order_with_a_content_is_a_dictionary_and_fits_in_one_packet():
    order = RtpPlayContent(call="vosd-1", leg="7", content=b"\0\xff", times=3)
    expected = b"d7:command10:play media7:call-id6:vosd-18:from-tag1:74:blob2:\0\xff12:repeat-timesi3ee"
    assert datagram_of(b"cookie", order) == b"cookie " + expected
    whole = RtpPlayContent(call="vosd-" + 40 * "1", leg=20 * "7", content=beep_file(), times=BEEPS)
    assert len(datagram_of(b"abcdef01-123456789", whole)) < 1_420


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"d8:durationi300e6:result2:oke", RtpReply("ok")),
        (
            b"d6:result5:error12:error-reason40:Failed to start media playback from blobe",
            RtpReply("error", "Failed to start media playback from blob"),
        ),
        (b"d8:durationi-1e6:result2:oke", RtpReply("ok")),
        (b'{"result":"ok"}', RtpReply("ok")),
        (b'{"result":"ok","SSRC":' + b"[" * 60_000, None),
        (b"d8:durationi300e6:result2:ok", None),
        (b"d6:result9:oke", None),
        (b"d4:listl2:okee", None),
        (b"d99999:", None),
        (b"de", None),
        (b"d", None),
        (b"", None),
    ],
)
def test_a_reply_is_read_in_either_form_and_what_is_none_is_dropped(content, expected):
    assert reply_of(content) == expected


def test_figures_of_a_reply_that_cannot_be_read_are_left_out():
    written = b'{"result":"ok","SSRC":{"\xff":{}},"statistics":{"interfaces":[{"ports":{"used":"\xff"}}]}}'
    reply = reply_of(written)
    assert reply is not None
    assert (dict(reply.peer_reports), reply.ports_used_percent) == ({}, None)


def test_what_was_written_is_read():
    values = {"call": "vosd-1", "content": bytes(range(256)), "empty": ""}
    assert texts_of(bencoded(values)) == {**values, "content": bytes(range(256)).decode("latin-1")}
    assert texts_of(msgspec.json.encode({"result": "ok"})) == {}
