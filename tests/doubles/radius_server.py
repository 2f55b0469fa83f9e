"""A strict RADIUS server on loopback, written from the RFCs alone: what a careful server drops, it drops and notes.

It shares no code with the switch. It verifies authenticators, wants a Message-Authenticator in every Access-Request,
recognises repetitions by source, identifier and authenticator, and judges digests by RFC 5090 and by the older draft.
As real servers do, it may work for long on a request (``works``), and drops repetitions meanwhile.
"""

import hashlib
import hmac
import socket
import struct
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Final, NamedTuple, Self

ACCESS, ACCOUNTING = 1, 4
ACCEPT, REJECT, RESPONSE = 2, 3, 5
MESSAGE_AUTHENTICATOR: Final = 80
DIGEST_NAMES: Final = {
    104: "realm", 105: "nonce", 108: "method", 109: "uri", 110: "qop", 111: "algorithm", 113: "cnonce", 114: "nc",
    115: "username",
}  # fmt: skip
STERMAN_NAMES: Final = {
    1: "realm", 2: "nonce", 3: "method", 4: "uri", 5: "qop", 6: "algorithm", 8: "cnonce", 9: "nc", 10: "username",
}  # fmt: skip
STATUS: Final = {1: "Start", 2: "Stop", 3: "Interim-Update", 7: "Accounting-On", 8: "Accounting-Off"}


class BadRequestError(Exception):
    """A server drops the request; the message says why."""


class Packet(NamedTuple):
    """One request that was accepted as valid."""

    code: int
    identifier: int
    authenticator: bytes
    attributes: list[tuple[int, bytes]]
    cisco: dict[int, str]

    def text(self, number: int) -> str:
        """Return the first value of an attribute."""
        return self.raw(number).decode()

    def number(self, number: int) -> int:
        """Return the first value of a number."""
        return int.from_bytes(self.raw(number), "big")

    def raw(self, number: int) -> bytes:
        """Return the first value of an attribute."""
        return next(value for each, value in self.attributes if each == number)

    @property
    def status(self) -> str:
        """Acct-Status-Type."""
        return STATUS[self.number(40)]


class RadiusServer:
    """Serves one port; a context manager. ``silent`` leaves everything without an answer."""

    def __init__(
        self, secret: bytes = b"between us", users: dict[str, str] | None = None, at: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self.secret = secret
        self.users = users or {}
        self.packets: list[Packet] = []
        """Requests without repetitions, in order."""
        self.repeated = 0
        self.faults: list[str] = []
        self.silent = False
        self.works = False
        """Whether answers wait for ``answer``, as those of a database that is busy do, and delayed rejects."""
        self.signs = True
        """Whether answers to an Access-Request have a Message-Authenticator."""
        self.unwritable = ""
        """Acct-Session-Id whose records are never answered: the database does not take them."""
        self.reply: list[tuple[int, bytes]] = []
        """Attributes of the next answers."""
        self.forged: bytes | None = None
        """A secret with which answers are made before the right one."""
        self._changed = Condition()
        self._answers: dict[tuple[tuple[str, int], int, bytes], bytes] = {}
        self._kept: set[tuple[tuple[str, int], int, bytes]] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(at)
        self.port: int = self._socket.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def wait_for(self, count: int, within_s: float = 30.0) -> list[Packet]:
        """Wait for so many requests; return all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.packets) >= count, within_s), self.packets
            return list(self.packets)

    def answer(self) -> None:
        """Send the answers that have waited; the next ones are sent at once."""
        self.works = False
        with self._changed:
            kept, self._kept = self._kept, set()
        for key in kept:
            self._socket.sendto(self._answers[key], key[0])

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(8_192)
            if not data:
                return
            self._take(data, source)

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            packet = self._read(data)
        except BadRequestError as error:
            self.faults.append(str(error))
            return
        key = source, packet.identifier, packet.authenticator
        is_new = key not in self._answers
        if is_new:
            self._answers[key] = self._answer(packet)
        else:
            self.repeated += 1
        with self._changed:
            if is_new and self.works:
                self._kept.add(key)
            if is_new:
                self.packets.append(packet)
            self._changed.notify_all()
            is_kept = key in self._kept
            if packet.code == ACCOUNTING and self.unwritable:
                is_kept |= packet.text(44) == self.unwritable
        if not self.silent and not is_kept:
            if self.forged is not None:
                self._socket.sendto(self._made(packet, ACCEPT, self.forged), source)
            self._socket.sendto(self._answers[key], source)

    def _read(self, data: bytes) -> Packet:
        code, identifier, length = struct.unpack("!BBH", data[:4])
        authenticator, body = data[4:20], data[20:]
        if length != len(data):
            raise BadRequestError("length")
        attributes = list(_attributes(body))
        if sum(2 + len(value) for _, value in attributes) != len(body):
            raise BadRequestError("attributes")
        if code == ACCOUNTING:
            wanted = hashlib.md5(data[:4] + bytes(16) + body + self.secret).digest()
            if wanted != authenticator:
                raise BadRequestError("authenticator of accounting")
        elif code == ACCESS:
            if not attributes or attributes[0][0] != MESSAGE_AUTHENTICATOR:
                raise BadRequestError("Message-Authenticator is not the first attribute")
            if not hmac.compare_digest(attributes[0][1], self._proof(data[:20], body)):
                raise BadRequestError("Message-Authenticator")
        else:
            raise BadRequestError(f"code {code}")
        if not any(number in {4, 32} for number, _ in attributes):
            raise BadRequestError("neither NAS-IP-Address nor NAS-Identifier")
        cisco = {}
        for number, value in attributes:
            if number == 26 and value[:4] == (9).to_bytes(4, "big"):
                cisco[value[4]] = value[6 : 4 + value[5]].decode()
        return Packet(code, identifier, authenticator, attributes, cisco)

    def _proof(self, header: bytes, body: bytes) -> bytes:
        """Return the Message-Authenticator of a packet whose first attribute it is."""
        blank = body[:2] + bytes(16) + body[18:]
        return hmac.new(self.secret, header + blank, hashlib.md5).digest()

    def _answer(self, packet: Packet) -> bytes:
        if packet.code == ACCOUNTING:
            return self._made(packet, RESPONSE, self.secret)
        return self._made(packet, ACCEPT if self._is_right(packet) else REJECT, self.secret)

    def _made(self, packet: Packet, code: int, secret: bytes) -> bytes:
        body = b"".join(bytes([number, 2 + len(value)]) + value for number, value in self.reply)
        signs = self.signs and packet.code == ACCESS
        if signs:
            body = bytes([MESSAGE_AUTHENTICATOR, 18]) + bytes(16) + body
        head = struct.pack("!BBH", code, packet.identifier, 20 + len(body))
        if signs:
            proof = hmac.new(secret, head + packet.authenticator + body, hashlib.md5).digest()
            body = body[:2] + proof + body[18:]
        return head + hashlib.md5(head + packet.authenticator + body + secret).digest() + body

    def _is_right(self, packet: Packet) -> bool:
        """Judge a digest by both forms, which must say the same."""
        newer = {DIGEST_NAMES[each]: value.decode() for each, value in packet.attributes if each in DIGEST_NAMES}
        older: dict[str, str] = {}
        for number, value in packet.attributes:
            if number == 207:
                older |= {STERMAN_NAMES[each]: part.decode() for each, part in _attributes(value)}
        for said in (newer, older):
            if said and said != (newer or older):
                self.faults.append("the two forms of a digest differ")
        said = newer or older
        password = self.users.get(said.get("username", ""))
        if password is None or packet.text(1) != said["username"]:
            return False
        ha1, ha2 = _md5(said["username"], said["realm"], password), _md5(said["method"], said["uri"])
        middle = (said["nc"], said["cnonce"], said["qop"]) if "qop" in said else ()
        return _md5(ha1, said["nonce"], *middle, ha2) == packet.text(103 if newer else 206)


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(body):
        size = body[at + 1]
        if size < 2 or at + size > len(body):
            return
        yield body[at], body[at + 2 : at + size]
        at += size
