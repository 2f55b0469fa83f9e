"""Mutated messages: the torture messages and calls of our own.

Owns what is done to bytes; the same seed does the same again.
"""

from random import Random
from typing import Final

from doubles.sockets.login import Login, Question, answer
from doubles.virtual.probe import SDP, START, UNKNOWN_SOURCE, request
from golden.torture import MESSAGES

from vosd.sip.digest.hashing import Algorithm
from vosd.sip.digest.header import digest_parameters
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.digest.verifier import Verifier

BRANCH: Final = b"z9hG4bKmarktoken1"
"""Of the INVITE that the endpoint under test sends first."""
ANSWER: Final = (
    b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.1:5060;branch=" + BRANCH + b"\r\nf: <sip:a@b>;tag=ours\r\n"
    b"t: <sip:c@d>;tag=2\r\ni: out@192.0.2.1\r\nCSeq: 1 INVITE\r\nm: <sip:v@198.51.100.7>\r\nRSeq: 1\r\n"
    b"Require: 100rel\r\nRecord-Route: <sip:p1;lr>, <sip:p2>\r\nRetry-After: 9 (soon)\r\nl: 0\r\n\r\n"
)
IDENTITY: Final = (
    'P-Asserted-Identity: "A, B" <sip:+44@h>, <tel:+44>\r\nRemote-Party-ID: <sip:1@h>;party=calling;privacy=full\r\n'
    "Diversion: <sip:2@h>;reason=user-busy;counter=2\r\nPrivacy: id;history\r\n"
    "History-Info: <sip:3@h?Reason=SIP%3Bcause%3D302>;index=1, <sip:4@h>;index=1.1;rc=1\r\n"
    "Identity: abc;info=<https://h/c>;alg=ES256\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n"
)
DIGEST: Final = DigestSettings(algorithms=(Algorithm.SHA_256, Algorithm.MD5), nonce_life_ms=1_000_000_000)
SECRET: Final = b"sealed"


def _proven(method: str, algorithm: str) -> bytes:
    """Write a request of the phone 1001 that has answered its challenge."""
    challenge = Verifier(SECRET, DIGEST).challenge(UNKNOWN_SOURCE.host, START.mono, f"{method}{algorithm}")
    question = Question("Authorization", digest_parameters(challenge.splitlines()[0].partition(":")[2]) or {})
    uri = "sip:4420@192.0.2.1"
    line = answer(question, Login("1001", "secret", algorithm), method, uri)
    branch = f"z9hG4bK-{method}{algorithm}"
    return request(method, uri=uri, branch=branch, call_id=branch, cseq=f"9 {method}", headers=f"{line}\r\n")


OURS: Final = "<sip:4420@192.0.2.1>;tag=ours"
CORPUS: Final = (
    *MESSAGES.values(),
    request(body=SDP, headers=IDENTITY),
    request(body=b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x--",
            headers="Content-Type: multipart/mixed;boundary=x\r\nSupported: timer, 100rel\r\n"),
    request("INVITE", to=OURS, cseq="2 INVITE", branch="z9hG4bK-2", body=SDP),
    request("UPDATE", to=OURS, cseq="3 UPDATE", branch="z9hG4bK-3"),
    request("PRACK", to=OURS, cseq="4 PRACK", branch="z9hG4bK-4", headers="RAck: 1 1 INVITE\r\n"),
    request("INFO", to=OURS, cseq="5 INFO", branch="z9hG4bK-5", body=b"Signal=5\r\nDuration=160\r\n",
            headers="Content-Type: application/dtmf-relay\r\n"),
    request("REFER", to=OURS, cseq="6 REFER", branch="z9hG4bK-6",
            headers="Refer-To: <sip:5@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\nReferred-By: <sip:6@h>\r\n"),
    request("BYE", to=OURS, cseq="7 BYE", branch="z9hG4bK-7", headers="Reason: Q.850;cause=16;text=\"x\"\r\n"),
    *(_proven(method, algorithm) for method in ("INVITE", "REGISTER") for algorithm in ("MD5", "SHA-256")),
    request("REGISTER", headers='Contact: <sip:1001@192.168.1.20:5060;line=1>;q=0.5;expires=600;reg-id=1;+sip.instance='
            '"<urn:uuid:0-1-8-0>", "B" <sips:1001@host;transport=tcp?x=y>;expires=0\r\nExpires: 90\r\n'
            "Supported: path\r\nPath: <sip:edge;lr>, <sip:inner;lr;x=y>\r\n"),
    request("REGISTER", cseq="9 REGISTER", headers="Contact: *\r\nExpires: 0\r\n"),
    request("CANCEL"), request("ACK", to=OURS, cseq="1 ACK"),
    ANSWER, ANSWER.replace(b"200 OK", b"183 Session Progress"), ANSWER.replace(b"200 OK", b"503 No"),
)  # fmt: skip
SPLINTERS: Final = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n ", b" ", b"\t", b",", b";", b'"', b"<", b">", b"\\", b":", b"@", b"%",
    b"%0d", b"%c3", b"\0", b"\x7f", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"?", b"=", b"[", b"]", b"(", b")", b"*",
    b";tag=", b";rport", b";received=", b";branch=", b";lr", b"Via: ", b"To: ", b"l: 9", b"SIP/2.0", b"99999999999",
    b"-1", b"z9hG4bK", b"INVITE", b"[::1]", b"0", b"\xd9\xa3",
    b"Authorization: Digest ", b"vosd", b"auth", b"nc=00000001", b"MD5",
)  # fmt: skip
"""What means something somewhere."""


class Mutator:
    """An endless supply of messages that are nearly right."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def message(self) -> bytes:
        """Return the next message."""
        draw = self._random.random
        data = bytearray(CORPUS[int(draw() * len(CORPUS))])
        for _ in range(1 + int(draw() * draw() * 8)):
            self._batter(data)
        if draw() < 0.02:
            del data[int(draw() * len(data)) :]
        return bytes(data)

    def _batter(self, data: bytearray) -> None:
        """Do one thing to a message."""
        draw = self._random.random
        size = len(data) + 1
        start = int(draw() * size)
        stop = min(len(data), start + int(draw() * draw() * 24))
        kind = draw()
        if kind < 0.35:
            data[start:start] = SPLINTERS[int(draw() * len(SPLINTERS))]
        elif kind < 0.55:
            data[start:stop] = SPLINTERS[int(draw() * len(SPLINTERS))]
        elif kind < 0.70:
            del data[start:stop]
        elif kind < 0.80:
            data[start : start + 1] = bytes((int(draw() * 256),))
        elif kind < 0.88:
            piece = data[start:stop]
            data[start:start] = piece * (1 + int(draw() * 12))
        elif kind < 0.96:
            self._move_line(data)
        else:
            other = CORPUS[int(draw() * len(CORPUS))]
            data[start:] = other[int(draw() * len(other)) :]

    def _move_line(self, data: bytearray) -> None:
        """Repeat one line somewhere else, or take it away."""
        draw = self._random.random
        lines = data.split(b"\r\n")
        line = lines[int(draw() * len(lines))]
        if draw() < 0.5:
            lines.insert(int(draw() * len(lines)), line)
        else:
            lines.remove(line)
        data[:] = b"\r\n".join(lines)
