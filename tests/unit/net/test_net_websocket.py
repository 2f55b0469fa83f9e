"""SIP over WebSocket: handshakes, frames in any pieces, and visitors that want something else (RFC 6455, RFC 7118)."""

import asyncio
import base64
from itertools import pairwise

import pytest
from doubles.turns import until
from doubles.virtual.probe import SDP, request
from doubles.websocket_peer import ORIGIN, FrameReader, OpCode, check_response, frame, request_of
from hypothesis import given, strategies as st
from structlog.testing import capture_logs

from vosd.net import connection as patience
from vosd.net.settings import ConnectionLimits, TlsSettings, TransportSettings, VerifyClient
from vosd.net.tls import TlsContexts
from vosd.net.websocket import HANDSHAKE_BYTES_MAX, SLICE_BYTES, WebSocketFramer
from vosd.sip.settings import Limits
from vosd.sip.wire.parse import parse_message

from .conftest import UNKNOWN_SOURCE, Peer, connections

INVITE = request(body=SDP)
OPTIONS = request("OPTIONS")
KEY = base64.b64encode(b"sixteen bytes!!!").decode()
HELLO = request_of("switch.example.org", KEY)
SETTINGS = TransportSettings(websocket_origins=(ORIGIN,))


def framer(*origins: str, limits: Limits = Limits()) -> WebSocketFramer:  # noqa: B008 - frozen
    return WebSocketFramer(limits, origins or (ORIGIN,))


def opened_framer(limits: Limits = Limits()) -> WebSocketFramer:  # noqa: B008 - frozen
    web = framer(limits=limits)
    assert web.feed(HELLO) == []
    check_response(web.answer(0)[:-4], KEY)
    assert web.is_ready
    return web


# -- handshakes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({"Origin": "https://evil.example"}, 403, "Origin"),
        ({"Origin": f"{ORIGIN}.evil.example"}, 403, "Origin"),
        ({"Sec_WebSocket_Protocol": None}, 400, "no WebSocket"),
        ({"Sec_WebSocket_Protocol": "xmpp"}, 400, "no WebSocket"),
        ({"Sec_WebSocket_Version": "8"}, 400, "no WebSocket"),
        ({"Sec_WebSocket_Key": "short"}, 400, "no WebSocket"),
        ({"Upgrade": None}, 426, "no WebSocket"),
        ({"X_Long": "x" * 20_000}, 431, "no WebSocket"),
    ],
    ids=repr,
)
def test_a_handshake_that_is_not_for_sip_gets_an_answer_by_http_and_no_connection(change, status, why):
    web = framer()
    assert web.feed(request_of("switch.example.org", KEY, **change)) == []
    assert web.answer(0).startswith(f"HTTP/1.1 {status} ".encode())
    assert not web.is_ready
    assert web.lost is not None
    assert why in web.lost
    assert web.feed(frame(OpCode.TEXT, INVITE)) == [], "what follows is not read"


def test_a_program_without_origin_may_connect_and_every_page_where_all_are_allowed():
    for allowed, origin in [((ORIGIN,), None), (("*",), "https://evil.example"), (("*",), None)]:
        web = framer(*allowed)
        web.feed(request_of("switch.example.org", KEY, Origin=origin))
        assert web.is_ready


@pytest.mark.parametrize(("lines", "is_taken"), [(3, True), (110, False)])
def test_lists_of_a_handshake_are_not_read_beyond_what_cookies_need(lines, is_taken):
    web = framer()
    more = b"Connection: %s\r\n" % b", ".join([b"keep-alive"] * 340) * lines
    web.feed(HELLO[:-2] + more + b"\r\n")
    while web.has_more and web.lost is None:
        web.feed(b"")
    assert web.is_ready is is_taken
    assert (web.lost is None) is is_taken
    assert not web.lost or str(HANDSHAKE_BYTES_MAX) in web.lost


def test_sip_is_chosen_among_other_sub_protocols():
    web = framer()
    web.feed(request_of("switch.example.org", KEY, Sec_WebSocket_Protocol="xmpp, sip"))
    check_response(web.answer(0)[:-4], KEY)


def test_a_peer_that_speaks_before_its_handshake_is_refused_is_not_read():
    web = framer()
    refused = request_of("switch.example.org", KEY, Origin="https://evil.example")
    assert web.feed(refused + frame(OpCode.TEXT, INVITE)) == []


# -- messages -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4_000), max_size=30), st.lists(st.integers(0, len(INVITE)), max_size=5))
def test_the_pieces_in_which_frames_and_messages_come_do_not_matter(cuts, fragments):
    ends = sorted({0, len(INVITE), *fragments})
    parts = [INVITE[start:end] for start, end in pairwise(ends)]
    codes = [OpCode.BINARY, *[OpCode.CONT] * (len(parts) - 1)]
    split = [frame(code, part, fin=number == len(parts) - 1) + frame(OpCode.PING, b"between")
             for number, (code, part) in enumerate(zip(codes, parts, strict=True))]  # fmt: skip
    whole = frame(OpCode.TEXT, OPTIONS) + b"".join(split) + frame(OpCode.TEXT, b"\r\n\r\n" + OPTIONS)
    web, got = framer(), []
    for start, end in pairwise(sorted({0, len(HELLO), *(cut for cut in cuts if cut < len(HELLO))})):
        assert (web.is_ready, web.feed(HELLO[start:end])) == (False, [])
    check_response(web.answer(0)[:-4], KEY)
    for start, end in pairwise(sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})):
        got += web.feed(whole[start:end])
    assert (got, web.lost, web.is_amid_message) == ([OPTIONS, INVITE, OPTIONS], None, False)
    assert FrameReader().feed(web.answer(0)) == [(OpCode.PONG, b"between")] * len(parts)
    assert web.take_pings() == len(parts)


def test_a_message_ends_with_its_websocket_message_and_needs_no_content_length():
    bare = INVITE.replace(f"Content-Length: {len(SDP)}\r\n".encode(), b"")
    assert len(bare) < len(INVITE)
    web = opened_framer()
    [got] = web.feed(frame(OpCode.TEXT, bare))
    assert parse_message(got).body == SDP


def test_what_we_send_is_text_where_it_is_and_whole_in_one_frame():
    web = opened_framer()
    large = INVITE + b"x" * 70_000
    assert FrameReader().feed(web.framed(INVITE)) == [(OpCode.TEXT, INVITE)]
    assert FrameReader().feed(web.framed(large)) == [(OpCode.TEXT, large)]
    assert FrameReader().feed(web.framed(b"SIP/2.0 200 \xff\r\n\r\n")) == [(OpCode.BINARY, b"SIP/2.0 200 \xff\r\n\r\n")]


def test_keep_alives_of_either_kind_are_answered_and_ours_is_a_ping():
    web = opened_framer()
    assert web.feed(frame(OpCode.TEXT, b"\r\n\r\n")) == []
    assert (FrameReader().feed(web.answer(1)), web.take_pings()) == ([(OpCode.TEXT, b"\r\n")], 1)
    assert FrameReader().feed(web.ping()) == [(OpCode.PING, b"")]
    assert (web.feed(frame(OpCode.PONG)), web.take_pong(), web.take_pong()) == ([], True, False)
    assert web.feed(frame(OpCode.TEXT, b"\r\n")) == []
    assert web.answer(0) == b""
    assert web.feed(frame(OpCode.TEXT, b"\r\n\r\n") + frame(OpCode.CLOSE, b"\x03\xe8")) == []
    assert not web.is_ready


@pytest.mark.parametrize(
    "bad",
    [
        b"\x81\x04INVI",
        frame(OpCode.TEXT, INVITE, first=0x40),
        frame(OpCode.CONT, INVITE),
        frame(OpCode.PING, b"x" * 126),
        frame(OpCode.TEXT, b"x" * 2_000),
        frame(OpCode.TEXT, b"x" * 900, fin=False) + frame(OpCode.CONT, b"x" * 900),
        bytes([0x81, 0xFF]) + (1 << 62).to_bytes(8, "big") + b"mask",
        bytes([0x83, 0x80]) + b"mask",
        INVITE,
    ],
    ids=["unmasked", "compressed", "no beginning", "large ping", "large", "large in parts", "huge", "unknown", "SIP"],
)
def test_a_frame_that_breaks_the_rules_or_the_limit_ends_the_connection(bad):
    web = opened_framer(Limits(max_message_bytes=1_500))
    assert web.feed(bad) == []
    assert web.lost is not None
    assert [code for code, _ in FrameReader().feed(web.answer(0))] == [OpCode.CLOSE]
    assert web.feed(frame(OpCode.TEXT, INVITE)) == []
    assert not web.is_ready


LATIN = INVITE.replace(SDP, SDP + "s=caf\xe9\r\n".encode("latin-1"))
CAFE = "s=caf\xe9".encode()


@pytest.mark.parametrize(
    "bad",
    [
        frame(OpCode.TEXT, LATIN),
        frame(OpCode.TEXT, LATIN[:100], fin=False) + frame(OpCode.PING) + frame(OpCode.CONT, LATIN[100:]),
        frame(OpCode.TEXT, b"\xed\xa0\x80"),
        frame(OpCode.TEXT, CAFE[:-1]),
    ],
    ids=["whole", "in parts", "surrogate", "cut"],
)
def test_text_that_is_not_utf_8_ends_the_connection_with_its_code(bad):
    """RFC 6455 section 8.1; nothing behind it is read."""
    web = opened_framer()
    assert web.feed(frame(OpCode.TEXT, OPTIONS) + bad + frame(OpCode.TEXT, OPTIONS)) == [OPTIONS]
    assert web.lost == "no WebSocket any more: text that is not UTF-8"
    last = FrameReader().feed(web.answer(0))[-1]
    assert (last.code, last.payload) == (OpCode.CLOSE, (1007).to_bytes(2, "big"))
    assert web.feed(frame(OpCode.TEXT, OPTIONS)) == []
    assert not web.is_ready


def test_a_character_may_be_cut_by_fragments_and_binary_messages_need_no_utf_8():
    web = opened_framer()
    cut = frame(OpCode.TEXT, CAFE[:-1], fin=False) + frame(OpCode.CONT, CAFE[-1:])
    binary = frame(OpCode.BINARY, LATIN[:100], fin=False) + frame(OpCode.CONT, LATIN[100:])
    assert web.feed(cut + binary + frame(OpCode.BINARY, LATIN) + frame(OpCode.TEXT, INVITE)) == [
        CAFE, LATIN, LATIN, INVITE,
    ]  # fmt: skip
    assert web.lost is None


def test_a_close_of_the_peer_is_answered_and_is_no_fault():
    web = opened_framer()
    assert web.feed(frame(OpCode.TEXT, OPTIONS) + frame(OpCode.CLOSE, b"\x03\xe9")) == [OPTIONS]
    assert (web.is_over, web.lost, web.is_ready) == (True, None, False)
    assert FrameReader().feed(web.answer(0)) == [(OpCode.CLOSE, b"\x03\xe9")]
    assert web.closing_bytes() == web.ping() == b""


def test_only_some_frames_of_many_are_parsed_at_once_and_the_rest_follows():
    web, ping = opened_framer(), frame(OpCode.PING)
    assert web.feed(ping * 1_000 + frame(OpCode.TEXT, INVITE) + ping) == []
    assert (web.has_more, web.idle_frames) == (True, SLICE_BYTES // len(ping))
    pings, got = web.idle_frames, []
    while web.has_more:
        got += web.feed(b"")
        pings += web.idle_frames
    assert (got, pings, web.take_pings()) == ([INVITE], 1_001, 1_001)


def test_large_fragments_of_a_message_are_no_idle_frames():
    web = opened_framer()
    parts = [INVITE, *[b"x" * 500] * 98]
    frames = [frame(OpCode.CONT if number else OpCode.TEXT, part, fin=False) for number, part in enumerate(parts)]
    got, data = [], b"".join([*frames, frame(OpCode.CONT, b"")])
    for at in range(0, len(data), 1_000):
        got += web.feed(data[at : at + 1_000])
        assert web.idle_frames == 0
    assert (got, web.has_more) == ([b"".join(parts)], False)


# -- connections --------------------------------------------------------------------------------------------------


async def greeted(peer: Peer) -> Peer:
    peer.writer.write(HELLO)
    check_response((await peer.reader.readuntil(b"\r\n\r\n"))[:-4], KEY)
    return peer


async def test_messages_come_and_go_over_the_connection_of_the_peer(opened, connect):
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    peer = await greeted(await connect(node.address()))
    peer.writer.write(frame(OpCode.TEXT, INVITE))
    assert await node.ear.message() == (0, INVITE, peer.address)
    node.send(OPTIONS, peer.address)
    assert await peer.read(len(OPTIONS) + 4) == bytes([0x81, 126]) + len(OPTIONS).to_bytes(2, "big") + OPTIONS
    peer.writer.write(frame(OpCode.CLOSE))
    assert await node.ear.parting() == (0, peer.address)
    assert node.ear.failures == 0


async def test_over_tls_it_is_the_same(opened, connect, authority):
    tls = TlsContexts(authority.server_context(authority.issue("web", "127.0.0.1")), authority.client_context())
    node = await opened(("wss", "127.0.0.1"), settings=SETTINGS, tls=tls)
    peer = await greeted(await connect(node.address(), ssl=authority.client_context(), server_hostname="127.0.0.1"))
    peer.writer.write(frame(OpCode.TEXT, INVITE))
    assert await node.ear.message() == (0, INVITE, peer.address)


async def test_a_browser_is_not_asked_for_a_certificate_where_callers_over_tls_must_show_one(
    opened, connect, authority
):
    certificate = authority.issue("both", "127.0.0.1")
    required = TlsSettings(certificate.file, certificate.key, authority.root.file, VerifyClient.REQUIRED)
    node = await opened(("wss", "127.0.0.1"), ("tls", "127.0.0.1"), settings=SETTINGS, tls=TlsContexts.load(required))
    context = authority.client_context()
    await greeted(await connect(node.address(), ssl=context, server_hostname="127.0.0.1"))
    other = await connect(node.address(1), ssl=context, server_hostname="127.0.0.1")
    other.writer.write(OPTIONS)
    assert await other.is_broken()


async def test_nothing_is_ever_connected_to(opened, vendor):
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    node.send(OPTIONS, vendor.address)
    assert await node.ear.failure() == (0, vendor.address)
    assert (vendor.waiting, node.transports.connections) == (0, 0)


async def test_a_message_to_a_peer_that_has_not_finished_its_handshake_has_failed(opened, connect):
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    peer = await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    node.send(OPTIONS, peer.address)
    assert await node.ear.failure() == (0, peer.address)
    await greeted(peer)


async def test_a_switch_that_stops_says_so(opened, connect):
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    peer = await greeted(await connect(node.address()))
    _, last = await asyncio.gather(node.transports.close(), peer.reader.read(-1))
    assert FrameReader().feed(last) == [(OpCode.CLOSE, b"\x03\xe9")]


async def test_other_pages_are_allowed_by_a_reload(opened, connect):
    node = await opened(("ws", "127.0.0.1"), settings=TransportSettings(websocket_origins=("https://other.example",)))
    peer = await connect(node.address())
    peer.writer.write(HELLO)
    with capture_logs() as logs:
        assert b"403 Forbidden" in await asyncio.wait_for(peer.reader.read(-1), 30)
        await until(lambda: node.transports.connections == 0)
    assert [each["why"] for each in logs] == ["the Origin of a WebSocket is none of sip.websocket.origins"]
    node.transports.adjust(SETTINGS, None)
    await greeted(await connect(node.address()))


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", HELLO, HELLO + b"\x81\xfe", HELLO + frame(OpCode.TEXT, b"INVITE", fin=False)],
    ids=["nothing", "half a request", "no message", "half a frame", "half a message"],
)
async def test_a_visitor_that_does_not_go_on_loses_its_connection(opened, connect, monkeypatch, sent):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.1)
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    for source in (UNKNOWN_SOURCE, "127.0.0.1"):
        peer = await connect(node.address(), source)
        peer.writer.write(sent)
        assert await peer.is_closed()


async def test_pings_of_an_unknown_visitor_keep_no_connection(opened, connect, monkeypatch):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.2)
    settings = connections(idle_ms=200)
    node = await opened(
        ("ws", "127.0.0.1"), settings=TransportSettings(connections=settings.connections, websocket_origins=(ORIGIN,))
    )
    peer = await greeted(await connect(node.address(), UNKNOWN_SOURCE))
    assert await peer.is_closed_despite(frame(OpCode.PING, b"x"))


@pytest.mark.parametrize("source", ["127.0.0.1", UNKNOWN_SOURCE])
@pytest.mark.parametrize(
    "short",
    [
        frame(OpCode.PING),
        frame(OpCode.PONG),
        frame(OpCode.TEXT, b"\r\n\r\n"),
        frame(OpCode.TEXT),
        frame(OpCode.TEXT, b"x", fin=False) + frame(OpCode.CONT, b"x", fin=False) * 398 + frame(OpCode.CONT, b"x"),
    ],
    ids=["pings", "pongs", "blank lines", "nothing", "small fragments"],
)
async def test_too_many_short_frames_end_the_connection(opened, connect, short, source):
    """Each costs as much as a message, and there are 42,000 in a read."""
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    peer = await greeted(await connect(node.address(), source))
    peer.writer.write(frame(OpCode.TEXT, OPTIONS) + short * 2_000)
    with capture_logs() as logs:
        assert await peer.is_closed()
    assert [each["why"] for each in logs] == ["too many keep-alives or WebSocket frames without a message"]
    assert node.ear.messages == 1


async def test_a_visitor_that_pings_and_does_not_read_is_disconnected(opened, connect, monkeypatch):
    monkeypatch.setattr("vosd.net.connection.UNREAD_BYTES_MAX", 20_000)
    monkeypatch.setattr("vosd.net.connection.IDLE_FRAMES_PER_S", 0)
    node = await opened(("ws", "127.0.0.1"), settings=SETTINGS)
    peer = await greeted(await connect(node.address()))
    peer.writer.transport.pause_reading()
    with capture_logs() as logs:
        ping = frame(OpCode.PING, b"x" * 125) * 1_000
        while node.transports.connections and not peer.writer.is_closing():
            peer.writer.write(ping)
            await asyncio.sleep(0)
    assert [each["why"] for each in logs] == ["the peer does not read"]


async def test_browsers_are_pinged_by_frames_before_proxies_lose_patience(opened, connect, monkeypatch):
    monkeypatch.setattr("vosd.net.stream_pings.WEBSOCKET_MS", 20)
    limits = ConnectionLimits(ping_ms=120_000, pong_ms=100)
    node = await opened(
        ("ws", "127.0.0.1"), settings=TransportSettings(connections=limits, websocket_origins=(ORIGIN,))
    )
    peer = await greeted(await connect(node.address()))
    assert await peer.read(2) == b"\x89\x00"
    peer.writer.write(frame(OpCode.PONG) + frame(OpCode.TEXT, OPTIONS))
    assert (await node.ear.message())[1] == OPTIONS
    assert await peer.read(2) == b"\x89\x00"
    assert await peer.is_closed()
