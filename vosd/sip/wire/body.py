"""Bodies of messages: the session description, bare or as one part of several, and what else is wanted of them.

Other parts, such as the location of the caller (RFC 6442) or ISUP (RFC 3204), are left out or passed by rule.
"""

from typing import Final

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message
from vosd.sip.wire.multipart import (
    MULTIPART,
    NESTED_MAX,
    PARTS_MAX,
    SESSION,
    BodyPart,
    is_identity,
    is_writable,
    kind_of,
    opened,
)

__all__ = [
    "NESTED_MAX", "PARTS_MAX", "SESSION", "hides_session", "is_encoded", "media_type", "passed_parts", "session_of",
    "unknown_types",
]  # fmt: skip

_LOCATION: Final = "application/pidf+xml"
_NONE: Final[frozenset[str]] = frozenset()
UNOPENED: Final = "multipart"
"""Stands in ``unknown_types`` for a required part of too many levels."""


def media_type(message: Message) -> str:
    """Return the media type of a body in lower case and without parameters; empty if unknown.

    Without a usable Content-Type, a body that begins as a session description is one.
    """
    return kind_of(message.header("content-type") or "", message.body)


def is_encoded(message: Message) -> bool:
    """Return whether a whole body is compressed, or in another encoding that the switch does not take."""
    return not is_identity(message.header("content-encoding") or "")


def session_of(message: Message) -> bytes:
    """Return the session description that a message carries; empty if there is none that can be read.

    Parts of another type are left out; a body of another type carries none.
    """
    header = message.header
    if not message.body or (header("content-type") == SESSION and header("content-encoding") is None):
        return message.body
    if is_encoded(message):
        return b""
    kind = media_type(message)
    if kind == SESSION:
        return message.body
    if not kind.startswith(MULTIPART):
        return b""
    try:
        return opened(_whole(message)).session
    except ParseError:
        return b""


def hides_session(message: Message) -> bool:
    """Return whether a message has a session description, but in an encoding that the switch does not take."""
    try:
        return SESSION in unknown_types(message)
    except ParseError:
        return False


def unknown_types(message: Message) -> frozenset[str]:
    """Return the types of a body that its sender requires to be understood; session descriptions that can be read are.

    A body that is not multipart is required where nothing is said, as the RFC has it, except a location. A part of
    several is not: senders of locations leave the handling out, and their calls must not fail.

    Raises:
        ParseError: 400 for a multipart body that cannot be split.
    """
    if not message.body:
        return _NONE
    whole = opened(_whole(message))
    kind = whole.kind
    is_single = not kind.startswith(MULTIPART) and kind != _LOCATION
    unknown = whole.unknown(is_required=whole.is_required(unless_said=is_single))
    return frozenset({UNOPENED} if unknown is None else unknown)


def passed_parts(message: Message, kinds: frozenset[str]) -> tuple[BodyPart, ...]:
    """Return the parts of these types that a message carries, those that can be written again; none if it is broken."""
    if not message.body or message.header("content-type") == SESSION or is_encoded(message):
        return ()
    try:
        whole = opened(_whole(message))
    except ParseError:
        return ()
    return tuple([each for each in whole.those_of(kinds) if is_writable(each)])


def _whole(message: Message) -> BodyPart:
    header = message.header
    return BodyPart(
        message.body,
        header("content-type") or "",
        header("content-disposition") or "",
        header("content-id") or "",
        content_encoding=header("content-encoding") or "",
    )
