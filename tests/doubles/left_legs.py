"""Legs as a killed switch has written them down."""

from msgspec.structs import replace

from doubles.virtual.probe import CUSTOMER, VENDOR
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot, PeerSnapshot

PEER = PeerSnapshot("udp:192.0.2.1:5060", VENDOR.host, VENDOR.port)
VIA = "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKearlier1"
INVITE = InviteSnapshot(
    b"sip:442079460000@198.51.100.7", VIA.encode(), b"<sip:1@192.0.2.1>;tag=ours",
    b"<sip:442079460000@198.51.100.7>", b"leg-1@192.0.2.1", 1, PEER, b"", False, "carrier",
)  # fmt: skip
DIALOG = DialogSnapshot(
    b"leg-2@192.0.2.1", b"<sip:1@192.0.2.1>;tag=ours", b"<sip:2@198.51.100.7>;tag=theirs", b"sip:2@198.51.100.7:5062",
    (b"<sip:proxy@198.51.100.8;lr>",), 3, PEER, False, "carrier", 1,
)  # fmt: skip
CALLER = CallerSnapshot(
    b"z9hG4bKcaller 192.0.2.10:5060 INVITE",
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller\r\nFrom: \"M\xfcller\" <sip:3@192.0.2.10>;tag=theirs\r\n"
    b"To: <sip:4@192.0.2.1>", b"\r\nCall-ID: leg-3@192.0.2.10\r\nCSeq: 1 INVITE\r\n", False, b"1 INVITE", "ours",
    PeerSnapshot("udp:192.0.2.1:5060", CUSTOMER.host, CUSTOMER.port), None,
)  # fmt: skip
CALLER_SIDE = replace(DIALOG, gateway="", invite_sequence=0)
