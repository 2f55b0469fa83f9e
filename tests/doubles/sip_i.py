"""SIP-I in tests: ISUP and locations in bodies, written and read by the mail library, not by the switch's reader."""

from collections.abc import Iterable
from email import message_from_bytes
from email.policy import SMTP
from typing import Final, NamedTuple

from doubles.sockets.peer import Message

ISUP_TYPE: Final = "application/isup;version=itu-t92+;base=itu-t92+"
SIGNAL: Final = "signal;handling=required"


class BodyPart(NamedTuple):
    """A part: its type, disposition and Content-ID as written, and its content."""

    kind: str
    content: bytes
    disposition: str = ""
    identifier: str = ""


def isup(content: bytes, disposition: str = SIGNAL) -> BodyPart:
    """Return a part with an ISUP message."""
    return BodyPart(ISUP_TYPE, content, disposition)


IAM: Final = isup(b"\x01\x00\x48\x00\x0a\x03\x02\r\n\r\n\x0a\xff\x80--edge\x00")
ACM: Final = isup(b"\x06\x16\x04\x01\x29\x01\xfe\x00")
ANM: Final = isup(b"\x09\x01\x11\x02\xc0\xaf\x00")
REL: Final = isup(b"\x0c\x02\x00\x02\x80\x90")


def text_of(content: bytes) -> str:
    """Return bytes as texts of test peers have them."""
    return content.decode(errors="surrogateescape")


def mixed(*parts: BodyPart) -> tuple[str, str]:
    """Return the type and the text of a body with these parts."""
    written = b""
    for each in parts:
        headers = (("Content-Type", each.kind), ("Content-Disposition", each.disposition),
                   ("Content-ID", each.identifier))  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers if value)
        written += b"--edge-of-test\r\n" + lines.encode() + b"\r\n" + each.content + b"\r\n"
    return "multipart/mixed;boundary=edge-of-test", text_of(written + b"--edge-of-test--\r\n")


def parts_in(message: Message) -> list[BodyPart]:
    """Return the parts of a body, or the body alone, as the mail library reads them."""
    head = "".join(f"{name}: {message[name]}\r\n" for name in _CONTENT if message.every(name))
    whole = message_from_bytes(head.encode() + b"\r\n" + message.body.encode(errors="surrogateescape"), policy=SMTP)
    assert not whole.defects
    return [_read(each) for each in _leaves(whole)]


_CONTENT: Final = ("Content-Type", "Content-Disposition", "Content-ID", "MIME-Version")


def _leaves(whole: object) -> Iterable[object]:
    return whole.iter_parts() if whole.is_multipart() else [whole]  # type: ignore[attr-defined]


def _read(part: object) -> BodyPart:
    fields = {name.lower(): str(value) for name, value in part.raw_items()}  # type: ignore[attr-defined]
    content = part.get_payload(decode=True)  # type: ignore[attr-defined]
    get = fields.get
    return BodyPart(get("content-type", ""), content, get("content-disposition", ""), get("content-id", ""))
