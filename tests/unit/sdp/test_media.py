"""Media of a description, as a relay has to know them, and their rewriting for it."""

import re

import pytest

from vosd.sdp import media
from vosd.sdp.media import (
    BadSession,
    Medium,
    Place,
    SessionFault,
    in_usual_form,
    media_of,
    names_flash,
    relayable,
    relayed,
    sends_elsewhere,
    takes_less,
    with_codecs,
    with_events,
)

HEAD = "v=0\r\no=alice 1 7 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
CALL = (
    HEAD + "m=audio 4000 RTP/AVP 8 18 101\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=x-secret:kept\r\n"
).encode()
ICE = (
    HEAD.replace("t=0 0", "t=0 0\r\na=ice-ufrag:ab\r\na=ice-options:trickle\r\na=group:BUNDLE 0 1")
    + "m=audio 4000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=rtcp:4001 IN IP4 192.0.2.7\r\n"
    "a=rtcp-mux\r\na=mid:0\r\na=ice-pwd:secret\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n"
    "a=end-of-candidates\r\na=fingerprint:sha-256 AB\r\na=rtcp-fb:111 nack\r\n"
).encode()
RELAY = Place("203.0.113.5", 10_000, 10_001)
HEAD_AT_RELAY = HEAD.replace("192.0.2.7", "203.0.113.5").replace("o=alice", "o=-")


def of(media: str, head: str = HEAD) -> bytes:
    return (head + media).encode("utf-8", "surrogateescape")


def kept() -> list[int]:
    """Return how often forms of whole descriptions were looked for in vain, and how many of media are kept."""
    return [media._read.cache_info().misses, media._placed.cache_info().misses, media._form.cache_info().currsize]


@pytest.mark.parametrize(
    "key",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}",
        "a=ice-ufrag:{}",
        "a=fingerprint:{}",
        "a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}",
    ],
)
def test_no_form_is_kept_of_a_description_with_keys(key):
    """Each call has others: a form would only push out those of other parties, and keys would stay in memory."""
    usual = relayed(CALL, [RELAY])
    before = kept()
    for each in range(10):
        session = CALL.replace(b"a=ptime:20", key.format(f"{each}==").encode())
        (described,) = media_of(session)
        assert described.port == 4_000
        assert relayed(session, [RELAY]) == usual.replace(
            b"a=ptime:20\r\n", b"" if "ice" in key else key.format(f"{each}==").encode() + b"\r\n"
        )
    assert kept() == before


@pytest.mark.parametrize("key", [b"a=fingerprint:sha-256 %d", b"a=acap:2 fingerprint:sha-256 %d", b"a=ice-ufrag:%d"])
def test_no_lines_above_all_media_are_kept_that_have_keys(key):
    before = media._common_level.cache_info().currsize, kept()[:2]
    for each in range(10):
        session = CALL.replace(b"t=0 0\r\n", b"t=0 0\r\n" + key % each + b"\r\n")
        (described,) = media_of(session)
        assert described.has_fingerprint is (b"fingerprint" in key)
        relayed(session, [RELAY])
    assert (media._common_level.cache_info().currsize, kept()[:2]) == before


def test_an_ordinary_call():
    assert media_of(CALL) == (
        Medium(
            "audio", "RTP/AVP", "192.0.2.7", 4_000, "192.0.2.7", 4_001, False, "sendrecv",
            (8, 18, 101), (8_000, 8_000, 8_000), ("PCMA", "G729", "telephone-event"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "elsewhere"),
    [
        ("m=audio 4000 RTP/AVP 8 18 101", "m=audio 4000 RTP/AVP 8", False),
        ("a=ptime:20", "a=ptime:30\r\na=sendrecv", False),
        ("a=rtpmap:18 G729/8000", "a=rtpmap:18 g729/8000", False),
        ("m=audio 4000", "m=audio 0", False),
        ("m=audio 4000", "m=audio 4002", True),
        ("c=IN IP4 192.0.2.7", "c=IN IP4 192.0.2.8", True),
        ("101", "96", True),
        ("a=ptime:20", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:another", True),
        ("t=0 0", "t=0 0\r\na=fingerprint:sha-256 CD", True),
        ("t=0 0", "t=0 0\r\na=acap:1 fingerprint:sha-256 CD", True),
        ("t=0 0", "t=0 0\r\na=ice-ufrag:cd", True),
    ],
)
def test_media_go_elsewhere_by_another_place_key_or_number(before, after, elsewhere):
    changed = CALL.decode().replace(before, after).encode()
    assert changed != CALL
    assert sends_elsewhere(changed, CALL) == elsewhere
    assert not sends_elsewhere(changed, changed)


@pytest.mark.parametrize("hold", ["a=sendonly\r\n", "a=inactive\r\n", ""])
def test_an_answer_begins_a_hold_that_neither_the_offer_nor_the_description_before_had(hold):
    active = b"v=0\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n"
    held = active.replace(b"m=video", hold.encode() + b"m=video")
    if not hold:
        held = active.replace(b"192.0.2.7", b"0.0.0.0")
    assert takes_less(held, active, active)
    assert not sends_elsewhere(held, active)
    assert not takes_less(held, held, active)
    assert not takes_less(held, active, held)
    assert not takes_less(active, active, active)
    assert not takes_less(active + b"a=inactive\r\n", active, active), "of a medium that is rejected"
    assert not takes_less(active.replace(b"m=video", b"a=recvonly\r\nm=video"), active, active)
    listening = active.replace(b"m=video", b"a=recvonly\r\nm=video")
    assert takes_less(held, active, listening) == (b"a=sendonly" not in held), "the full answer to recvonly"
    if b"a=sendonly" in held:
        assert takes_less(held.replace(b"192.0.2.7", b"0.0.0.0"), active, listening)
    rejected = active.replace(b"4000", b"0")
    assert takes_less(rejected, active, active)
    assert not takes_less(rejected, rejected, active)
    assert not takes_less(rejected, active, rejected)


@pytest.mark.parametrize("line", ["a=fingerprint:SHA-256 4A:4A\r\n", "a=acap:12 fingerprint:SHA-256 4A:4A\r\n"])
@pytest.mark.parametrize("transport", ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "RTP/SAVP", "RTP/AVP"])
def test_a_fingerprint_says_that_keys_are_agreed_on_by_dtls_whatever_the_transport_is_called(transport, line):
    media = f"m=audio 4000 {transport} 0\r\na=sendrecv\r\n{line}m=video 4002 RTP/AVP 34\r\n"
    assert [each.has_fingerprint for each in media_of(of(media))] == [True, False]
    assert [each.has_fingerprint for each in media_of(of(media.replace(line, ""), HEAD + line))] == [True, True]


def test_each_medium_has_its_own_address_direction_and_ports():
    audio, video, fax = media_of(
        of(
            "m=audio 4000 RTP/AVP 9 96\r\na=rtpmap:96 opus/48000/2\r\na=rtcp:53020\r\na=rtcp-mux\r\n"
            "m=video 4002/2 RTP/AVP 34 97\r\nc=IN IP6 2001:DB8::0007\r\na=sendonly\r\na=rtcp:9 IN IP4 192.0.2.8\r\n"
            "m=image 0 udptl t38\r\na=inactive\r\n",
            HEAD + "a=recvonly\r\n",
        )
    )
    assert (audio.host, audio.direction, audio.rtcp_port, audio.is_multiplexed) == (
        "192.0.2.7",
        "recvonly",
        53_020,
        True,
    )
    assert (audio.clocks, audio.codecs) == ((8_000, 48_000), ("G722", "opus"))
    assert (video.host, video.port, video.direction) == ("2001:db8::7", 4_002, "sendonly")
    assert (video.rtcp_host, video.rtcp_port, video.clocks, video.codecs[1]) == ("192.0.2.8", 9, (90_000, 8_000), "97")
    assert (fax.port, fax.rtcp_port, fax.payloads, fax.is_relayable) == (0, 0, (), True)
    assert [each.is_held for each in (audio, video, fax)] == [False, True, True]


@pytest.mark.parametrize(
    ("line", "is_relayable"),
    [
        ("m=audio 4000 RTP/SAVP 0", True),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", True),
        ("m=image 4000 UDPTL t38", True),
        ("m=image 4000 TCP t38", False),
        ("m=audio 4000 TCP/RTP/AVP 0", False),
        ("m=message 4000 TCP/MSRP *", False),
    ],
)
def test_only_what_goes_over_udp_can_be_relayed(line, is_relayable):
    assert media_of(of(line + "\r\n"))[0].is_relayable is is_relayable


@pytest.mark.parametrize(
    ("session", "fault"),
    [
        (of("m=audio 4000 RTP/AVP 0\r\n", "v=0\r\ns=-\r\n"), SessionFault.NO_CONNECTION),
        (of("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 media.example.com\r\n"), SessionFault.NO_ADDRESS),
        (of("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 2001:db8::1\r\n"), SessionFault.NO_ADDRESS),
        (of("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 fe80::1%eth0\r\n"), SessionFault.NO_ADDRESS),
        (of("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\rc=IN IP4 192.0.2.8\r\n"), SessionFault.NO_ADDRESS),
        (of("m=audio 4000 RTP/AVP 0\r\nc=IN IP4\r\n"), SessionFault.NO_ADDRESS),
        (of("m=audio 65536 RTP/AVP 0\r\n"), SessionFault.BAD_PORT),
        (of("m=audio -1 RTP/AVP 0\r\n"), SessionFault.BAD_PORT),
        (of("m=audio\r\n"), SessionFault.BAD_PORT),
        (of("m=audio 4000 RTP/AVP\r\n"), SessionFault.NO_FORMATS),
        (of("m=audio 4000 RTP/AVP 128 x\r\n"), SessionFault.NO_FORMATS),
        (of("m=image 4000 udptl\r\n"), SessionFault.NO_FORMATS),
        (of("m=audio 4000\r\n"), SessionFault.NO_FORMATS),
        (of("m=audio 4000 RTP/AVP 0\r\n" * 9), SessionFault.TOO_MANY_MEDIA),
        (of("m=audio 4000 RTP/AVP 0\r\n" * 9 + "m=video 0 RTP/AVP 31\r\n"), SessionFault.TOO_MANY_MEDIA),
        (of("m=audio 4000 RTP/AVP 0\r\n" + "m=video 0 RTP/AVP 31\r\n" * 20), SessionFault.TOO_MANY_LINES),
        (of("a=x:" + "y" * 16_384), SessionFault.TOO_LONG),
    ],
)
def test_what_cannot_be_relayed_has_a_fault(session, fault):
    with pytest.raises(BadSession) as error:
        media_of(session)
    assert error.value.fault is fault


@pytest.mark.parametrize(
    ("line", "usual"),
    [
        ("m=Audio 4000 rtp/avp 0 8", "m=audio 4000 RTP/AVP 0 8"),
        ("m= audio\t04000  RTP/savpf\t0 ", "m=audio 4000 RTP/SAVPF 0"),
        ("m=IMAGE 4000 UdpTl t38", "m=image 4000 udptl t38"),
        ("m=image 4000 UDPTL t38", "m=image 4000 UDPTL t38"),
        ("m=audio 4000/02 Rtp/Avp 0", "m=audio 4000/02 RTP/AVP 0"),
        ("m=audio 00/2 RTP/AVP 0", "m=audio 0 RTP/AVP 0"),
        ("m=application 4000 udp/dtls/sctp webrtc-datachannel", "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel"),
        ("m=audio x rtp/avp 0", "m=audio x RTP/AVP 0"),
        ("m=", "m="),
        ("a=m=Audio 4000 rtp/avp 0", "a=m=Audio 4000 rtp/avp 0"),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n", ""])
def test_a_media_line_has_a_usual_form(line, usual, end):
    head = CALL.partition(b"m=")[0]
    for session in (head, b""):
        assert in_usual_form(session + f"{line}{end}".encode()) == session + f"{usual}{end}".encode()
    assert in_usual_form(CALL) is CALL


@pytest.mark.parametrize("line", ["m=audio\t4000 RTP/AVP 0 101", "m=AUDIO 4000 rtp/avp 0 101"])
def test_a_media_line_in_another_form_is_read_and_changed_as_the_usual_one(line):
    usual = CALL.replace(CALL[CALL.find(b"m=") : CALL.find(b"\r\n", CALL.find(b"m="))], b"m=audio 4000 RTP/AVP 0 101")
    session = usual.replace(b"m=audio 4000 RTP/AVP 0 101", line.encode())
    assert media_of(session) == media_of(usual)
    assert relayed(session, [RELAY]) == relayed(usual, [RELAY])
    assert with_codecs(session, ["PCMA"]) is None
    flash = b"a=fmtp:101 0-16\r\na=rtpmap:101 telephone-event/8000\r\n"
    assert names_flash(session + flash)
    eventless = session.replace(b" 101\r\n", b"\r\n").partition(b"a=")[0]
    assert b"telephone-event" in with_events(eventless, 101)


@pytest.mark.parametrize(
    ("events", "is_named"),
    [("0-16", True), ("0-15,16", True), ("16-20,0-11", True), ("0-15", False), ("0-15,17", False)],
)
def test_the_flash_is_named_by_a_range_or_alone(events, is_named):
    session = of(f"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 {events}\r\n")
    assert names_flash(session) is is_named


def test_media_that_a_relay_cannot_carry_are_rejected_beside_others():
    session = of("m=audio 4000 RTP/AVP 0\r\nm=video 4002 TCP/RTP/AVP 31\r\nm=message 4004 TCP/MSRP *\r\n")
    assert relayable(session) == session.replace(b"m=video 4002", b"m=video 0")
    assert relayable(CALL) is CALL
    none_used = of("m=audio 0 TCP/RTP/AVP 0\r\n")
    assert relayable(none_used) == none_used
    with pytest.raises(BadSession, match="no medium that a relay can carry"):
        relayable(of("m=audio 0 RTP/AVP 0\r\nm=image 4000 TCP t38\r\n"))


def test_media_that_are_not_used_any_more_do_not_count_for_the_ports_of_a_call():
    media = media_of(of("m=audio 4000 RTP/AVP 0\r\n" * 8 + "m=video 0 RTP/AVP 31\r\n" * 12))
    assert [each.port for each in media] == [4_000] * 8 + [0] * 12


@pytest.mark.parametrize("line", ["m=audio 0 RTP/AVP", "m=video 0 RTP/AVP 31", "m=image 0 udptl t38"])
def test_a_rejected_medium_needs_neither_address_nor_formats(line):
    (medium,) = media_of(of(line + "\r\n", "v=0\r\n"))
    assert (medium.port, medium.host) == (0, "")


@pytest.mark.parametrize("value", ["70000", "0", "x", "9 IN IP4 name", "9 IN IP6 192.0.2.8", "9 IN", ""])
def test_a_line_of_rtcp_that_is_none_is_as_good_as_no_line(value):
    (medium,) = media_of(of(f"m=audio 4000 RTP/AVP 0\r\na=rtcp:{value}\r\n"))
    assert (medium.rtcp_host, medium.rtcp_port) == ("192.0.2.7", 4_001)


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:x opus/1",
        "a=rtpmap:0",
        "a=rtpmap:0 /",
        "a=rtpmap:0 A/99999999999",
        "a=rtpmap:999 A/1",
        "a=rtpmap:0 A/0",
        "a=rtpmap:0 A/40",
    ],
)
def test_a_map_that_is_none_leaves_a_clock(line):
    (medium,) = media_of(of(f"m=audio 65535 RTP/AVP 0\r\n{line}\r\n"))
    assert (medium.clocks, medium.rtcp_port) == ((8_000,), 0)


@pytest.mark.parametrize(
    ("head", "media"),
    [
        ("", "m=video 0 RTP/AVP 31\r\nc=IN IP4 10.0.0.5\r\n"),
        ("a=rtcp:5000 IN IP4 10.0.0.5\r\n", ""),
        ("", "a=source-filter: incl IN IP4 * 10.0.0.5\r\n"),
        ("", "a=alt:1 1 : 10.0.0.5 4000\r\n"),
        ("o=-  1 1 IN IP4 10.0.0.5\r\n", ""),
        ("o=- 1a x  IN IP4 10.0.0.5\r\n", ""),
        ("o=Joe B. Sales 1 1 IN IP4 10.0.0.5\r\n", ""),
        ("o=joe\t1 1 in ip4\t10.0.0.5 \r\n", ""),
        ("o=joe 10.0.0.5\r\n", ""),
        ("o=10.0.0.5\r\n", ""),
        ("o=- 1 1 IN IP4 10.0.0.5\r\no=- 1 1 IN IP4 10.0.0.5\r\n", ""),
    ],
)
def test_no_address_of_the_author_is_left(head, media):
    session = f"v=0\r\n{head}s=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{media}".encode()
    places = [Place("203.0.113.1", 10_000, 10_001), *[None] * (len(media_of(session)) - 1)]
    written = relayed(session, places)
    assert b"10.0.0.5" not in written
    assert len(media_of(written)) == len(places)
    assert media_of(written)[0].host == "203.0.113.1"


def test_an_origin_with_blanks_in_its_user_has_a_session_for_it_and_one_that_cannot_be_read_ids_that_change_with_it():
    def origin(line: str, *, keeps_user: bool = False) -> bytes:
        session = f"v=0\r\n{line}\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n".encode()
        written = relayed(session, [RELAY], keeps_user=keeps_user)
        assert relayed(written, [RELAY], keeps_user=keeps_user) == written
        return written.split(b"\r\n")[1]

    assert origin("o=Joe B 1 7 IN IP4 10.0.0.5", keeps_user=True) == b"o=Joe B 1 7 IN IP4 203.0.113.5"
    first, later, other = (origin(f"o=Joe {line} IN IP4 10.0.0.5").split() for line in ("B 1 7", "B 1 8", "C 1 7"))
    assert first[0] == b"o=-"
    assert first[1] == later[1] != other[1]
    assert (first[2], later[2]) == (b"7", b"8")
    odd = [origin(f"o=10.0.0.5 {version}") for version in (1, 2, 1)]
    assert odd[0] == odd[2] != odd[1]
    assert all(each.startswith(b"o=- 1 ") and each.endswith(b" IN IP4 203.0.113.5") for each in odd)


@pytest.mark.parametrize(
    "media",
    [
        "",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=audio 0 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\na=rtcp:9 IN IP4 192.0.2.7\r\n",
        "m=audio 0 RTP/AVP 0\r\na=candidate:1 1 UDP 1 192.0.2.7 9\r\n",
    ],
)
def test_no_address_of_the_author_is_left_where_all_media_are_rejected(media):
    session = of(media)
    written = relayed(session, [None] * len(media_of(session)), "203.0.113.1")
    assert b"192.0.2.7" not in written
    assert b"o=- 1 7 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\n" in written
    assert [each.port for each in media_of(written)] == [0] * media.count("m=")


@pytest.mark.parametrize("place", [RELAY, Place("203.0.113.5", 10_000, None)])
@pytest.mark.parametrize(
    "session", [ICE, CALL + b"a=rtcp:4007 IN IP4 192.0.2.9\r\na=candidate:1 1 UDP 1 10.0.0.1 4000\r\n"]
)
def test_names_of_attributes_in_another_case_lead_no_more_past_the_relay(session, place):
    """Some readers take them for the same, and would send RTCP or media to the author."""
    odd = re.sub(rb"a=(rtcp:|rtcp-mux|candidate|end-of|ice-|group)", lambda found: b"a=" + found[1].title(), session)
    assert odd != session
    assert relayed(odd, [place]) == relayed(session, [place])
    rejected = [each.replace(b"m=audio 4000", b"m=audio 0") for each in (odd, session)]
    assert len({relayed(each, [None], "203.0.113.1").lower() for each in rejected}) == 1


def test_the_origin_may_have_another_address_than_the_media():
    written = relayed(CALL, [RELAY], "203.0.113.1")
    assert b"o=- 1 7 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.5\r\n" in written
    message = of("m=message 5000 TCP/MSRP *\r\n")
    assert relayed(message, [None], "203.0.113.1") == message.replace(
        b"alice 1 7 IN IP4 192.0.2.7", b"- 1 7 IN IP4 203.0.113.1"
    )


def test_no_more_descriptions_are_remembered_as_a_whole_than_are_on_their_way():
    for number in range(300):
        media_of(CALL.replace(b"alice 1 7", b"alice %d 7" % number))
    assert media_of.cache_info().currsize == media._cut.cache_info().currsize == 16


def test_a_long_name_of_a_codec_is_cut():
    (medium,) = media_of(of(f"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {'A' * 9_000}/8000\r\n"))
    assert medium.codecs == ("A" * 32,)


def test_a_description_without_media_has_none():
    assert media_of(of("")) == media_of(b"") == ()


def test_address_and_port_are_those_of_the_relay_and_nothing_else_changes():
    expected = CALL.replace(b"192.0.2.7", b"203.0.113.5").replace(b" 4000 ", b" 10000 ")
    assert relayed(CALL, [RELAY], keeps_user=True) == expected
    assert relayed(CALL, [RELAY]) == expected.replace(b"alice", b"-")


@pytest.mark.parametrize("place", [RELAY, Place("203.0.113.5", 10_000, 10_007), Place("203.0.113.5", 10_000, None)])
@pytest.mark.parametrize("keeps_user", [False, True])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_nothing_is_left_that_an_author_writes_about_itself(place, keeps_user, end):
    names = HEAD.replace("s=-", "s=Acme SBC 7\r\ni=Acme\r\nu=http://acme/\r\ne=a@acme\r\np=+44 20").replace(
        "t=0 0", "t=0 0\r\na=tool:Acme 1.2\r\na=x-own:kept"
    )
    named, plain = (
        of(f"m=audio 4000 RTP/AVP 0\r\n{own}a=ptime:20\r\n", head).replace(b"\r\n", end.encode())
        for own, head in (("i=Acme\r\na=tool:Acme\r\n", names), ("", HEAD.replace("t=0 0", "t=0 0\r\na=x-own:kept")))
    )
    written = relayed(named, [place], keeps_user=keeps_user)
    assert b"Acme" not in written
    assert b"acme" not in written
    assert written == relayed(plain, [place], keeps_user=keeps_user)
    assert (b"o=alice 1 7 " in written) is keeps_user
    assert (b"o=- 1 7 " in written) is not keeps_user


def test_nothing_is_left_of_an_author_whose_media_are_all_rejected():
    session = of("m=audio 0 RTP/AVP 0\r\ni=Acme\r\n", HEAD.replace("s=-", "s=Acme"))
    assert b"Acme" not in relayed(session, [None], "203.0.113.1")


def test_a_later_description_of_one_session_has_the_same_session_and_the_later_version():
    versions = [relayed(CALL.replace(b" 1 7 ", b" 1 %d " % each), [RELAY]) for each in (7, 8)]
    assert versions[1] == versions[0].replace(b"o=- 1 7 ", b"o=- 1 8 ")


def test_without_a_place_nothing_changes():
    assert relayed(ICE, [None]) == ICE
    assert relayed(b"", []) == b""


def test_there_is_a_place_for_each_medium():
    with pytest.raises(ValueError, match="shorter"):
        relayed(CALL + b"m=video 0 RTP/AVP 31\r\n", [RELAY])


def test_ice_and_bundles_are_removed_and_keys_pass():
    assert relayed(ICE, [Place("203.0.113.5", 10_000, None)]) == of(
        "m=audio 10000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\na=mid:0\r\n"
        "a=fingerprint:sha-256 AB\r\na=rtcp-fb:111 nack\r\n",
        HEAD_AT_RELAY,
    )


@pytest.mark.parametrize("rtcp", [10_001, 10_007, None])
def test_that_rtcp_has_no_port_of_its_own_is_wanted_no_more(rtcp):
    """RFC 8858: it is not allowed without the line that permits it, which an offer to a callee has not."""
    assert b"a=rtcp-mux-only" not in relayed(CALL + b"a=rtcp-mux-only\r\n", [Place("203.0.113.5", 10_000, rtcp)])


def test_alternatives_of_another_family_are_removed():
    """RFC 6947: they would lead past the relay, and show where the author is."""
    lines = b"a=altc:1 IP4 192.0.2.7 4000\r\na=altc:2 IP6 2001:db8::7 4000\r\n"
    assert relayed(CALL + lines, [RELAY]) == relayed(CALL, [RELAY])
    assert (
        relayed(CALL.replace(b"m=audio", b"m=audio 0 RTP/AVP 0\r\n" + lines + b"m=audio"), [None, RELAY]).count(b"altc")
        == 0
    )


@pytest.mark.parametrize("name", ["G729A", "g729a", "G729AB"])
def test_a_codec_under_another_name_is_the_registered_one(name):
    session = CALL.replace(b"18 G729/", b"18 %b/" % name.encode())
    assert media_of(session)[0].codecs == ("PCMA", "G729", "telephone-event")
    limited = with_codecs(session, ["G729"])
    assert limited is not None
    assert b"RTP/AVP 18 101\r\na=rtpmap:18 %b/" % name.encode() in limited


def test_rtcp_is_where_the_place_says():
    apart = relayed(ICE, [Place("203.0.113.5", 10_000, 10_007)])
    assert b"a=rtcp:10007\r\n" in apart
    assert b"rtcp-mux" not in apart
    assert relayed(CALL, [Place("203.0.113.5", 10_000, 10_007)]).endswith(b"a=x-secret:kept\r\na=rtcp:10007\r\n")
    assert relayed(CALL, [Place("203.0.113.5", 10_000, None)]).endswith(b"a=x-secret:kept\r\na=rtcp-mux\r\n")
    fax = of("m=image 4000 udptl t38\r\n")
    assert b"rtcp" not in relayed(fax, [Place("203.0.113.5", 10_000, None)])


def test_the_other_family_can_be_announced():
    six = relayed(CALL, [Place("2001:db8::5", 10_000, 10_001)])
    assert six.count(b"IN IP6 2001:db8::5\r\n") == 2
    assert relayed(six, [Place("192.0.2.7", 4_000, 4_001)]) == CALL.replace(b"alice", b"-")


@pytest.mark.parametrize(("host", "zero"), [("203.0.113.5", b"IP4 0.0.0.0"), ("2001:db8::5", b"IP6 ::")])
def test_a_held_medium_stays_on_hold(host, zero):
    held = CALL.replace(b"c=IN IP4 192.0.2.7", b"c=IN IP4 0.0.0.0")
    written = relayed(held, [Place(host, 10_000, 10_001)])
    assert b"c=IN " + zero + b"\r\n" in written
    assert b"m=audio 10000 " in written
    assert media_of(written)[0].is_held


def test_media_at_several_addresses_get_lines_of_their_own():
    session = of(
        "m=audio 4000 RTP/AVP 0\r\ni=title\r\na=ptime:20\r\nm=video 4002 RTP/AVP 34\r\nc=IN IP4 192.0.2.9/127\r\n"
    )
    assert relayed(session, [RELAY, Place("203.0.113.6", 10_002, 10_003)]) == of(
        "m=audio 10000 RTP/AVP 0\r\na=ptime:20\r\nm=video 10002 RTP/AVP 34\r\nc=IN IP4 203.0.113.6\r\n", HEAD_AT_RELAY
    )
    other = relayed(session, [Place("203.0.113.6", 1, 2), Place("203.0.113.6", 3, 4)])
    assert [each.host for each in media_of(other)] == ["203.0.113.6"] * 2


def test_a_medium_that_is_not_relayed_keeps_its_address():
    session = of("m=audio 4000 RTP/AVP 0\r\ni=title\r\nm=message 5000 TCP/MSRP *\r\nm=video 0 RTP/AVP 34\r\n")
    written = relayed(session, [RELAY, None, None])
    assert b"o=- 1 7 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 192.0.2.7\r\n" in written
    assert b"m=audio 10000 RTP/AVP 0\r\nc=IN IP4 203.0.113.5\r\nm=message 5000 TCP" in written
    assert b"c=IN IP4 203.0.113.5\r\nt=0 0" in relayed(session.replace(b"e 5000 ", b"e 0 "), [RELAY, None, None])


def test_line_ends_and_a_missing_last_one_are_mended_where_a_line_is_added():
    bare = b"v=0\nc=IN IP4 192.0.2.7\nm=audio 4000 RTP/AVP 0\na=ptime:20"
    assert relayed(bare, [RELAY]) == b"v=0\nc=IN IP4 203.0.113.5\nm=audio 10000 RTP/AVP 0\na=ptime:20"
    assert relayed(bare, [Place("203.0.113.5", 9, None)]).endswith(b"\na=ptime:20\na=rtcp-mux\n")
    short = b"c=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 0"
    assert relayed(short, [Place("203.0.113.5", 9, 11)]).endswith(b"\r\nm=audio 9 RTP/AVP 0\r\na=rtcp:11\r\n")


@pytest.mark.parametrize("line", [b"", b"a=ptime:20\r\n"], ids=["the media line", "another line"])
def test_a_last_line_that_is_cut_within_its_end_is_mended_where_a_line_is_added(line):
    whole = of("m=audio 4000 RTP/AVP 0\r\n") + line
    assert with_events(whole[:-1], 101) == with_events(whole, 101)
    place = Place("203.0.113.5", 9, 11)
    assert relayed(whole[:-1], [place]) == relayed(whole, [place])


def test_blanks_behind_the_media_line_are_none_of_the_lines_that_are_added():
    written = with_events(of("m=audio 4000 RTP/AVP 0 \r\n"), 101)
    assert written.endswith(b"\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n")
    assert relayed(written, [Place("203.0.113.5", 9, 11)]).endswith(b" 0-15\r\na=rtcp:11\r\n")


@pytest.mark.parametrize(
    ("wanted", "formats"),
    [
        (["G729", "PCMA"], b"18 8 101"),
        (["pcma"], b"8 101"),
        (["opus", "G729"], b"18 101"),
        (["PCMA", "G729", "PCMA"], b"8 18 101"),
    ],
)
def test_codecs_are_filtered_and_ordered_and_key_presses_stay(wanted, formats):
    written = with_codecs(CALL, wanted)
    assert b"m=audio 4000 RTP/AVP " + formats + b"\r\n" in written
    assert (b"a=fmtp:18 " in written) is (b"18" in formats.split())
    assert written.endswith(b"a=fmtp:101 0-15\r\na=ptime:20\r\na=x-secret:kept\r\n")


def test_the_same_codecs_in_the_same_order_change_nothing():
    assert with_codecs(CALL, ["PCMA", "G729"]) == CALL


def test_payload_types_that_are_named_again_and_again_count_once():
    """A line of 20,000 took seconds: each type that goes with every codec was looked for among those before it."""
    again = CALL.replace(b" 101", b" 8 101 8 101 18 101", 1)
    assert again != CALL
    first = next(line for line in with_codecs(again, ["PCMA"]).splitlines() if line.startswith(b"m=audio "))
    assert first.split()[3:] == [b"8", b"101"]


@pytest.mark.parametrize("wanted", [["PCMU"], ["telephone-event"][:0], ["8"]])
def test_no_codec_in_common_is_none(wanted):
    assert with_codecs(CALL, wanted) is None


def test_comfort_noise_stays():
    assert with_codecs(of("m=audio 4000 RTP/AVP 13 0 8\r\n"), ["PCMA"]) == of("m=audio 4000 RTP/AVP 8 13\r\n")


@pytest.mark.parametrize(
    "media", ["", "m=image 4000 udptl t38\r\n", "m=audio 0 RTP/AVP 0\r\n", "m=video 4 RTP/AVP 34\r\n"]
)
def test_descriptions_without_audio_stay(media):
    assert with_codecs(of(media), ["G729"]) == of(media)


def test_an_audio_medium_without_a_wanted_codec_is_rejected_beside_one_that_has_some():
    two = "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n"
    assert with_codecs(of(two), ["PCMA"]) == of(two.replace("4000", "0"))
