"""Two offers as answers to each other (RFC 3264 section 6)."""

import pytest

from vosd.sdp.pairing import answer_of
from vosd.sdp.rewrite import Hidden


def session(*media: str, above: str = "") -> bytes:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", *filter(None, [above]), *media]
    return "".join(f"{line}\r\n" for line in lines).encode()


PCMU = "m=audio 4000 RTP/AVP 0"


def test_offers_that_fit_are_answers_as_they_are():
    one, other = session(PCMU, "a=sendrecv"), session("m=audio 5000 RTP/AVP 0", "a=ptime:20")
    assert (answer_of(one, other), answer_of(other, one)) == (other, one)


def test_an_offer_in_another_form_is_an_answer_in_the_usual_one():
    one, other = session("m=audio\t4000 rtp/avp 0"), session("m=Audio 5000 RTP/avp 0")
    assert answer_of(one, other) == session("m=audio 5000 RTP/AVP 0")


@pytest.mark.parametrize("end", ["\u2028", "\u0085", "\v"])
def test_ends_of_lines_of_texts_end_no_line_of_a_description(end):
    other = session("m=audio 5000 RTP/AVP 0", f"a=label:one{end}two", above=f"i=one{end}two")
    assert answer_of(session(PCMU), other) == other


def test_only_common_codecs_are_answered_whatever_their_numbers():
    one = session("m=audio 4000 RTP/AVP 9 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15")
    other = session(
        "m=audio 5000 RTP/AVP 96 18 8 97", "a=rtpmap:96 telephone-event/8000", "a=rtpmap:97 OPUS/48000/2",
        "a=fmtp:97 x=1", "a=ptime:20",
    )  # fmt: skip
    answer = answer_of(one, other)
    assert answer == session(
        "m=audio 5000 RTP/AVP 96 8", "a=rtpmap:96 telephone-event/8000", "a=ptime:20",
    )  # fmt: skip
    assert b"m=audio 4000 RTP/AVP 8 101\r\n" in answer_of(other, one)


def test_keys_that_are_offered_beside_plain_media_are_not_answered():
    """RFC 4568 section 5.1.2: an answer has one key, of those that the offer had."""
    keys = [f"a=crypto:{at} AES_CM_128_HMAC_SHA1_80 inline:{at:A<40}" for at in (1, 2)]
    dtls = "a=fingerprint:sha-1 00\r\na=setup:actpass"
    one, other = session(PCMU, *keys), session("m=audio 5000 RTP/AVP 0", *keys, "a=ptime:20", above=dtls)
    assert answer_of(one, other) == session("m=audio 5000 RTP/AVP 0", "a=ptime:20")
    assert answer_of(other, one) == session(PCMU)


def test_keys_that_are_offered_in_place_of_plain_media_are_not_answered():
    """RFC 5939 section 3.6: an answer names the configuration that it has chosen, and offers none."""
    keys = ["a=tcap:1 RTP/SAVP", f"a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}", "a=pcfg:1 t=1 a=1"]
    one, other = session(PCMU, *keys), session("m=audio 5000 RTP/AVP 0", *keys, "a=ptime:20")
    assert answer_of(one, other) == session("m=audio 5000 RTP/AVP 0", "a=ptime:20")
    assert answer_of(other, one) == session(PCMU)


def test_media_of_one_side_alone_are_rejected():
    """RFC 3264 section 6: an answer has as many media as the offer, in its order."""
    video = "m=video 4002 RTP/AVP 31"
    plain = session("m=audio 5000 RTP/AVP 0")
    assert answer_of(session(video, PCMU), plain) == session("m=video 0 RTP/AVP 31", "m=audio 5000 RTP/AVP 0")
    assert answer_of(plain, session(video, PCMU)) == session(PCMU)
    assert answer_of(session(PCMU, PCMU), plain) == session("m=audio 5000 RTP/AVP 0", "m=audio 0 RTP/AVP 0")


def test_media_in_the_other_order_are_connected():
    audio, video = "m=audio 5000 RTP/AVP 0", "m=video 5002 RTP/AVP 31"
    assert answer_of(session(audio, video), session(video, audio)) == session(audio, video)


@pytest.mark.parametrize(
    "other",
    [
        session("m=audio 5000 RTP/AVP 8"),
        session("m=audio 0 RTP/AVP 0"),
        session("m=audio 5000 RTP/SAVP 0"),
        session("m=audio 5000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000"),
        session("m=video 5000 RTP/AVP 0"),
        session("m=audio 5000 RTP/AVP 0", "a=sendonly"),
        session("m=audio 5000 RTP/AVP 0", "a=sendonly "),
        session("m=audio 5000 RTP/AVP 0", above="a=inactive"),
        session("m=audio 5000 RTP/AVP 0").replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0"),
        session("m=audio"),
        b"",
        b"no session",
    ],
)
def test_offers_that_have_no_audio_in_common_are_no_answers(other):
    one = session(f"{PCMU} 101", "a=rtpmap:101 telephone-event/8000")
    assert not answer_of(one, other)
    assert not answer_of(other, one)


def test_the_answer_of_an_author_behind_nat_is_his():
    answer = answer_of(session(PCMU), Hidden(session(PCMU), "203.0.113.9"))
    assert isinstance(answer, Hidden)
    assert answer.host == "203.0.113.9"
