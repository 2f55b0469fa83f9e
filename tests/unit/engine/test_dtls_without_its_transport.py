"""Telephones whose DTLS has the transport of SDES, RTP/SAVP, as it was written before RFC 5764."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.media.rtpengine_orders import RtpOffer
from vosd.sdp.media import SessionFault
from vosd.trunks.media import Encryption, MediaEngine, MediaParameters, MediaSettings

PRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
OF_HOP = (b"a=crypto", b"a=setup", b"a=fingerprint")


class DtlsEngines(VirtualRtpEngines):
    """Answers an offer of DTLS as rtpengine does: by the transport that it has."""

    def _written(self, order, session):
        written = super()._written(order, session)
        if b"SAVP" not in written:
            return written
        role = b"actpass" if isinstance(order, RtpOffer) else b"passive"
        lines = [each for each in written.split(b"\r\n") if each and not each.startswith(OF_HOP)]
        return b"\r\n".join((*lines, PRINT.encode(), b"a=setup:" + role, b""))


@pytest.mark.parametrize("encryption", [Encryption.OFF, Encryption.OPTIONAL])
def test_a_caller_whose_keys_no_rtpengine_takes_is_refused_where_it_would_be_answered_without(encryption):
    """It is passed on to a gateway that may agree on them with it."""
    key = f"a=crypto:1 AES_192_CM_HMAC_SHA1_80 inline:{51 * 'A'}=\r\n"
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(encryption=encryption)),
        vendor_gateway(0, media=MediaSettings(encryption=Encryption.REQUIRED)), vendor_gateway(1),
    ]  # fmt: skip
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE)), rtpengines=DtlsEngines())
    sealed = [each.replace("RTP/AVP", "RTP/SAVP") + key for each in (OFFER, ANSWER)]
    scene.vendors[1].script = Script((Line(0, 200, sealed[1]),))
    call = scene.settled_call(Intent(offer=sealed[0]))
    assert (call.final, call.theirs.count(key), scene.vendor.calls) == (200, 1, [])
    record = scene.finish(call)
    assert [(row.reason, row.media_fault) for row in record.attempts] == [
        ("No Common Codec", SessionFault.NO_KEY.value), ("Answered", None),
    ]  # fmt: skip


@pytest.mark.parametrize("encryption", [Encryption.REQUIRED, Encryption.OPTIONAL])
@pytest.mark.parametrize("transport", ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"])
def test_they_call(encryption, transport):
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(encryption=encryption)), vendor_gateway(0),
    ]  # fmt: skip
    media = MediaParameters(engine=MediaEngine.RTPENGINE)
    scene = Scene(catalogue(trunks, media=media), rtpengines=DtlsEngines())
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    offer = f"{OFFER.replace('RTP/AVP', transport)}{PRINT}\r\na=setup:actpass\r\n"
    call = scene.settled_call(Intent(offer=offer))
    assert call.final == 200
