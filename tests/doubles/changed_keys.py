"""A side of TLS 1.3 that changes its keys again and again before it sends data, which no library does."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_CHANGE: Final = b"\x18\x00\x00\x01\x00"
"""KeyUpdate that asks for none of the other side (RFC 8446 section 4.6.3)."""
_HANDSHAKE, _DATA = 22, 23


async def send_behind_changes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, data: bytes, changes: int
) -> None:
    """Agree on keys over a connection in clear, change them, and send data; what comes then is not read."""
    is_server = context.protocol == ssl.PROTOCOL_TLS_SERVER
    if is_server:
        context.num_tickets = 0  # they would be the first records under the secret
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(received, sent, is_server, None if is_server else "127.0.0.1")
    while True:
        try:
            side.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(sent.read())
            if came := await reader.read(65_536):
                received.write(came)
            else:
                received.write_eof()  # a peer that has closed would be read from for ever, in one turn
    writer.write(sent.read())
    cipher = side.cipher()
    assert cipher is not None
    assert cipher[0] == "TLS_AES_256_GCM_SHA384"
    [line] = [
        each for each in _lines(context) if each.startswith(f"{'SERVER' if is_server else 'CLIENT'}_TRAFFIC_SECRET_0")
    ]
    secret = bytes.fromhex(line.split()[2])
    for _ in range(changes):
        writer.write(_record(secret, _CHANGE, _HANDSHAKE))
        secret = _derived(secret, b"traffic upd", 48)
    writer.write(_record(secret, data, _DATA))


def _lines(context: ssl.SSLContext) -> list[str]:
    return Path(context.keylog_filename).read_text().splitlines()


def _record(secret: bytes, content: bytes, kind: int) -> bytes:
    """Return the first record under a secret (section 5.2)."""
    text = content + bytes((kind,))
    head = b"\x17\x03\x03" + (len(text) + 16).to_bytes(2, "big")
    return head + AESGCM(_derived(secret, b"key", 32)).encrypt(_derived(secret, b"iv", 12), text, head)


def _derived(secret: bytes, label: bytes, size: int) -> bytes:
    """Return a value by HKDF-Expand-Label (section 7.1)."""
    info = size.to_bytes(2, "big") + bytes((6 + len(label),)) + b"tls13 " + label + b"\x00"
    return HKDFExpand(SHA384(), size, info).derive(secret)
