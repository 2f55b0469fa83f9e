"""The form of descriptions whose encryption or ICE ends at an rtpengine."""

import pytest
from msgspec import UNSET

from vosd.media.decision import MediaSide, decide
from vosd.media.rtpengine_orders import RtpAnswer, RtpOffer, session_order
from vosd.media.termination import (
    BY_DTLS,
    BY_DTLS_OF_THE_WEB,
    BY_SDES,
    PLAIN,
    MediaForm,
    TerminatedSide,
    answered_form,
    needs_termination,
    offered_form,
)
from vosd.sdp.security import LASTING, Protection
from vosd.trunks.media import (
    DEFAULT_MEDIA,
    Encryption,
    EncryptionKind,
    IceMode,
    MediaMode,
    MediaParameters,
    MediaSettings,
)

NONE, SDES, DTLS = Protection.NONE, Protection.SDES, Protection.DTLS
OFF, PASS, OPTIONAL, REQUIRED = Encryption.OFF, Encryption.PASS, Encryption.OPTIONAL, Encryption.REQUIRED
AUTO, BY = EncryptionKind.AUTO, EncryptionKind


def side(encryption=OFF, protection=NONE, transport=None, *, ice=False, has_ice=False, is_web=False, by=AUTO):
    settings = MediaSettings(encryption=encryption, encryption_by=by, ice=IceMode.LITE if ice else IceMode.OFF)
    return TerminatedSide(settings, protection, has_ice, transport, is_web)


@pytest.mark.parametrize(
    ("author", "reader", "expected"),
    [
        (side(), side(), False),
        (side(PASS, SDES), side(PASS), False),
        (side(OFF, SDES), side(), False),
        (side(OPTIONAL, SDES), side(), True),
        (side(OPTIONAL, NONE), side(), False),
        (side(REQUIRED, DTLS), side(), True),
        (side(), side(OPTIONAL), True),
        (side(), side(REQUIRED), True),
        (side(), side(ice=True), True),
        (side(ice=True, has_ice=True), side(), True),
        (side(ice=True), side(), False),
    ],
)
def test_offers_that_need_an_rtpengine(author, reader, expected):
    assert needs_termination(author, reader) is expected


@pytest.mark.parametrize(
    ("reader", "transport", "protection", "is_opportunistic"),
    [
        (side(), PLAIN, NONE, False),
        (side(PASS), None, NONE, False),
        (side(REQUIRED), BY_SDES, SDES, False),
        (side(REQUIRED, by=BY.DTLS), BY_DTLS, DTLS, False),
        (side(REQUIRED, is_web=True), BY_DTLS_OF_THE_WEB, DTLS, False),
        (side(REQUIRED, is_web=True, by=BY.DTLS), BY_DTLS_OF_THE_WEB, DTLS, False),
        (side(REQUIRED, is_web=True, by=BY.SDES), BY_SDES, SDES, False),
        (side(OPTIONAL), PLAIN, SDES, True),
        (side(OPTIONAL, is_web=True), BY_DTLS_OF_THE_WEB, DTLS, False),
        (side(OPTIONAL, NONE, "RTP/AVP"), "RTP/AVP", NONE, False),
        (side(OPTIONAL, SDES, "RTP/SAVPF"), "RTP/SAVPF", SDES, False),
        (side(OPTIONAL, SDES, "RTP/AVP"), "RTP/AVP", SDES, True),
        (side(REQUIRED, NONE, "RTP/AVP"), BY_SDES, SDES, False),
    ],
)
def test_forms_of_offers(reader, transport, protection, is_opportunistic):
    form = offered_form(side(OPTIONAL, SDES, BY_SDES), reader)
    assert form == MediaForm(
        transport, protection, author_ice=False, reader_ice=False, is_opportunistic=is_opportunistic
    )


def test_a_trunk_with_ice_is_offered_dtls_as_browsers_are():
    form = offered_form(side(), side(REQUIRED, by=BY.DTLS, ice=True))
    assert (form.transport, form.reader_ice) == ("UDP/TLS/RTP/SAVPF", True)


def test_an_answer_has_the_form_of_its_offer():
    offerer = side(REQUIRED, DTLS, BY_DTLS_OF_THE_WEB, ice=True, has_ice=True)
    assert answered_form(side(), offerer) == MediaForm(None, DTLS, author_ice=False, reader_ice=True)
    assert answered_form(offerer, side()) == MediaForm(None, NONE, author_ice=True, reader_ice=False)


def order(kind, form, **more):
    return session_order(kind, "c", b"v=0\r\n", "a", "b", form=form, **more)


def test_orders_to_terminate():
    to_browser = order(RtpOffer, MediaForm(BY_DTLS_OF_THE_WEB, DTLS, author_ice=False, reader_ice=True))
    assert (to_browser.transport, to_browser.ice, to_browser.ice_lite) == (BY_DTLS_OF_THE_WEB, "force", "forward")
    assert (to_browser.sdes, to_browser.rtcp_mux) == (("off",), ("offer", "accept"))
    back = order(RtpAnswer, MediaForm(None, DTLS, author_ice=False, reader_ice=True))
    assert (back.ice, back.dtls, back.dtls_of_author) == ("force", "passive", "passive")
    to_trunk = order(RtpOffer, MediaForm(BY_SDES, SDES, author_ice=True, reader_ice=False))
    assert (to_trunk.dtls, to_trunk.ice, to_trunk.ice_lite) == ("off", "remove", "backward")
    assert "no-NULL_HMAC_SHA1_80" in to_trunk.sdes
    willing = order(RtpOffer, MediaForm(PLAIN, SDES, author_ice=False, reader_ice=False, is_opportunistic=True))
    assert (willing.transport, willing.opportunistic) == (PLAIN, ("offer",))


@pytest.mark.parametrize(
    ("transport", "is_taken"), [("RTP/AVP", True), ("RTP/SAVP", False), ("UDP/TLS/RTP/SAVPF", False)]
)
@pytest.mark.parametrize("rejected", ["RTP/AVP", "RTP/SAVP"])
def test_keys_beside_plain_media_are_taken_by_a_plain_answer_alone(transport, rejected, is_taken):
    """rtpengine 12.5 would leave rejected plain media out that were offered beside encrypted ones."""
    session = f"v=0\r\nm=audio 9 {transport} 0\r\nm=audio 0 {rejected} 0\r\n".encode()
    form = MediaForm(None, SDES, author_ice=False, reader_ice=False)
    answer = session_order(RtpAnswer, "c", session, "a", "b", form=form)
    assert answer.opportunistic == (("accept",) if is_taken else UNSET)


def test_dtls_of_a_party_that_does_not_name_it_is_told_to_last_where_ice_is_restarted():
    """rtpengine from 11.3 on closes it else, and a browser makes no other handshake."""

    def told(session, form):
        return session_order(RtpOffer, "c", session, "a", "b", form=form).sdp

    form = MediaForm(PLAIN, NONE, author_ice=True, reader_ice=False)
    by_dtls = b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00\r\nm=video 0 RTP/AVP 0\r\n"
    assert told(by_dtls, form) == f"v=0\r\n{LASTING}\r\n" + by_dtls.decode()[5:]
    by_sdes = b"v=0\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AA\r\n"
    for session, its_form in (
        (by_dtls + b"a=tls-id:its-own-of-20-letters\r\n", form),
        (by_dtls, None),
        (by_sdes, form),
    ):
        assert told(session, its_form) == session.decode()


def test_a_party_with_ice_is_not_expected_where_its_sip_comes_from():
    form = MediaForm(PLAIN, NONE, author_ice=True, reader_ice=False)
    assert "SIP source address" in order(RtpOffer, None, seen_at="192.0.2.1").flags
    assert "SIP source address" not in order(RtpOffer, form, seen_at="192.0.2.1").flags


@pytest.mark.parametrize(
    ("settings", "is_registered", "step"),
    [
        (MediaSettings(encryption=PASS), False, 8),
        (MediaSettings(encryption=PASS), True, 5),
        (MediaSettings(encryption=OPTIONAL), False, 5),
        (MediaSettings(encryption=REQUIRED), False, 5),
        (MediaSettings(ice=IceMode.LITE), False, 5),
        (MediaSettings(encryption=PASS, ice=IceMode.LITE), False, 5),
        (MediaSettings(encryption=REQUIRED, mode=MediaMode.OFF), False, 2),
    ],
)
def test_calls_that_are_encrypted_here_are_relayed(settings, is_registered, step):
    one = MediaSide(settings, is_registered, "192.0.2.1", None, is_private=False)
    other = MediaSide(DEFAULT_MEDIA, False, "192.0.2.1", None, is_private=False)
    for sides in ((one, other), (other, one)):
        assert decide(MediaParameters(), *sides).step == step
